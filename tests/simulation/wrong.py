"""Ways to get the protocol wrong, each a small change of its stages; the simulation must see it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from streams.engine.checkpoint import Fenced, Transactions, Written
from streams.engine.emit import POSITION, Snapshot
from streams.engine.runner import Runner
from streams.engine.stages import Stage
from tests.simulation.broker import Content, Place
from tests.simulation.client import Producer, refused
from tests.simulation.owner import Owner
from tests.simulation.plain import PLAIN
from tests.simulation.schemes import Scheme

# Taking over --------------------------------------------------------------------------------------


def replay_then_fence(owner: Owner) -> None:
    """The changelog is read before the older owner is fenced."""
    owner.runner._replay(owner.still)
    owner.runner._fence(owner.still)
    owner.runner.saved = dict(owner.runner.task.position)
    owner.seek()


def seek_then_fence(owner: Owner) -> None:
    """Where to read on is looked up first; the rest is in order."""
    owner.next = _hinted(owner)
    owner.strand.wait_for(owner.runner.open(owner.still))


def seek_to_the_hint(owner: Owner) -> None:
    """Offsets that were committed to the group, outside of the transaction, are the position."""
    owner.strand.wait_for(owner.runner.open(owner.still))
    owner.runner.task.position.update({p.topic: n for p, n in _hinted(owner).items()})
    owner.seek()


def resume_then_replay(owner: Owner) -> None:
    """Work begins before the end of the changelog is reached."""
    owner.runner._fence(owner.still)
    owner.seek()
    if owner.readable:
        owner.process_some()
    owner.runner._replay(owner.still)
    owner.seek()


def keep_stale_chunks(owner: Owner) -> None:
    """What an earlier owner in the process had fetched is taken for what follows."""
    owner.take_over()
    stale = owner.process.fetched.get(owner.task)
    if stale and not owner.revoked:
        owner.next = dict(stale)
        owner.runner.task.position.update({p.topic: n for p, n in stale.items()})


def come_back_to_stale_chunks(owner: Owner) -> None:
    """The same for a task that was parked."""
    stale = owner.process.fetched[owner.task]
    owner.next = dict(stale)
    owner.runner.task.position.update({p.topic: n for p, n in stale.items()})


def fence_and_come_back(owner: Owner) -> None:
    """A parked task takes its id again, and goes on with the state that it has."""
    owner.runner._fence(owner.still)
    owner.seek()


def _hinted(owner: Owner) -> dict[Any, int]:
    hints = owner.world.hints
    return {place: hints.get((owner.task, place.topic), 0) for place in owner.runner.places}


def id_of_the_worker(owner: Owner, id: str) -> str:
    """The id names the worker, which does not move, not the task, which does."""
    return f"{owner.process.name}-{owner.task}"


def one_id(owner: Owner, id: str) -> str:
    """Two tasks share an id."""
    return "shared"


# Checkpoints --------------------------------------------------------------------------------------


class _Parts(Runner):
    """A checkpoint whose parts are not one transaction."""

    owner: Owner

    def plain(self, records: Iterable[Written]) -> None:
        """Write outside of any transaction."""
        for topic, key, value, headers, partition in records:
            assert partition is not None
            self.owner.point("write")
            content = Content(key, value, headers)
            self.owner.world.broker.log(Place(topic, partition)).append([content], None)

    def parts(self, snapshot: Snapshot) -> tuple[list[Written], list[Written], list[Written]]:
        """Outputs, changelog, position."""
        state = list(self.encoder.state(snapshot))
        changes = [r for r in state if r[1] != POSITION]
        position = [r for r in state if r[1] == POSITION]
        declared = self.encoder.declared(snapshot, self.delivery.declare_to)
        return [*self.encoder.outputs(snapshot.outputs), *declared], changes, position


class PositionAfter(_Parts):
    """The position follows the transaction."""

    def _commit(self, snapshot: Snapshot) -> None:
        outputs, changes, position = self.parts(snapshot)
        self.tx.commit([*outputs, *changes])
        self.plain(position)


class PositionFirst(_Parts):
    """The position is written before the results."""

    def _commit(self, snapshot: Snapshot) -> None:
        outputs, changes, position = self.parts(snapshot)
        self.tx.commit([*changes, *position])
        self.tx.commit(outputs)


class OutputsFirst(_Parts):
    """Results are written in a transaction of their own, before that of the state."""

    def _commit(self, snapshot: Snapshot) -> None:
        outputs, changes, position = self.parts(snapshot)
        self.tx.commit(outputs)
        self.tx.commit([*changes, *position])


class ChangelogOutside(_Parts):
    """The changelog is written outside of the transaction."""

    def _commit(self, snapshot: Snapshot) -> None:
        outputs, changes, position = self.parts(snapshot)
        self.plain(changes)
        self.tx.commit([*outputs, *position])


class NotPutBack(Runner):
    """A failed checkpoint is forgotten."""

    def _over(self, snapshot: Snapshot, error: BaseException | None, seconds: float) -> None:
        if error is None:
            super()._over(snapshot, error, seconds)


class KeptFirst(Runner):
    """The disk is written before the transaction is committed."""

    def _commit(self, snapshot: Snapshot) -> None:
        records = list(self.delivery.records(snapshot))
        with Stage.KEEP:
            self.task.store.keep(snapshot.changes)
        self.tx.commit(records)


class RetakesBlindly(Runner):
    """Whose transaction timed out takes the id again and does not look who went on."""

    def _retake(self, snapshot: Snapshot, fenced: Fenced, seconds: float) -> None:
        if not self.wanted():
            raise fenced
        self.tx.renew(self.wanted)
        raise refused()


class GivesUp(Transactions):
    """A commit that nobody answers has failed."""

    def _commit(self, producer: Any) -> None:
        try:
            producer.commit_transaction(0)
        except Exception as error:
            if error.args[0].retriable():
                self._again()
                raise refused() from error
            raise

    def _again(self) -> None:
        owner = self.producer.owner  # type: ignore[union-attr]
        self.producer = Producer(owner, self.id)  # type: ignore[assignment]
        self.fence()

    def _abort(self, producer: Any, error: Exception) -> None:
        if producer is self.producer:
            super()._abort(producer, error)


class TriesAgain(GivesUp):
    """Who is fenced takes the id again, and goes on with the state that it has."""

    _commit = Transactions._commit

    def commit(self, outputs: Iterable[Written]) -> None:
        try:
            super().commit(outputs)
        except Fenced:
            self._again()
            raise refused() from None


class Forgetful(Producer):
    """A refused record is missing from the transaction, which is committed all the same."""

    def send(self) -> None:
        if self.owner.world.plan.rarely("a record is refused"):
            self.owner.note("a record is refused, and nobody hears of it")
            del self.queue[0]
        else:
            super().send()

    def refuse(self) -> None:
        pass


WRONG = (
    Scheme(
        "replay-before-fence", "what the old one commits meanwhile is missed",
        take_over=replay_then_fence,
    ),
    Scheme("seek-before-fence", "the position moves on meanwhile", take_over=seek_then_fence),
    Scheme("seek-to-the-hint", "it is behind the state", take_over=seek_to_the_hint),
    Scheme(
        "resume-before-end-of-replay", "results of a state that never was",
        take_over=resume_then_replay,
    ),
    Scheme(
        "stale-chunks", "records between position and chunk are lost",
        take_over=keep_stale_chunks, come_back=come_back_to_stale_chunks, often=("group",),
    ),
    Scheme(
        "parked-and-fenced-again", "somebody else went on meanwhile",
        come_back=fence_and_come_back, often=("group",),
    ),
    Scheme("id-of-the-worker", "the new owner does not fence the old", id_of=id_of_the_worker),
    Scheme("one-id-for-two-tasks", "they fence each other", id_of=one_id),
    Scheme(
        "replay-uncommitted", "aborted state is taken over",
        reads_committed=False, often=("crash", "send"),
    ),
    Scheme("inputs-uncommitted", "aborted inputs count", inputs_committed=False),
    Scheme(
        "position-after-transaction", "state ahead of it counts twice",
        runner=PositionAfter, often=("crash",),
    ),
    Scheme("position-before-outputs", "results are lost", runner=PositionFirst),
    Scheme("outputs-before-state", "results are doubled", runner=OutputsFirst),
    Scheme("changelog-outside-transaction", "torn state counts", runner=ChangelogOutside),
    Scheme(
        "no-put-back", "what a failed checkpoint took is lost",
        runner=NotPutBack, often=("rare",),
    ),
    Scheme(
        "disk-before-commit", "the disk is ahead",
        runner=KeptFirst, store="rocks", often=("crash", "group"),
    ),
    Scheme(
        "disk-trusted-for-ever", "deletions are missed",
        trusts_for_ever=True, store="rocks", often=("day", "group"),
    ),
    Scheme(
        "unanswered-commit-failed", "it may have been done",
        transactions=GivesUp, often=("rare",),
    ),
    Scheme(
        "fenced-tries-again", "its state is not that of the log",
        transactions=TriesAgain, often=("group", "freeze"),
    ),
    Scheme(
        "retake-without-a-look", "somebody else went on meanwhile",
        runner=RetakesBlindly, often=("group", "freeze", "expire"),
    ),
    Scheme(
        "refused-record-missing", "the position moves on without it",
        producer=Forgetful, often=("rare",),
    ),
    *PLAIN,
)  # fmt: skip
"""Each with why it is wrong."""
