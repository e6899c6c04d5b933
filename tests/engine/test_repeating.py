"""What is written outside of a checkpoint's transaction: results before it, watermarks after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.checkpoint import Written
from streams.engine.emit import Snapshot
from streams.engine.repeating import MOST_AHEAD, Repeating


class Client:
    """A producer's end: it stores, has no room, or learns that the broker refuses."""

    def __init__(self, refused: list[KafkaError]) -> None:
        self.refused, self.stored = refused, list[Any]()
        self.unasked = self.stuck = 0
        """What was stored and not asked for, as librdkafka counts it; what is not stored yet."""
        self.room: int | None = None
        self.refuses = self.broken = False

    def produce(self, topic: str, value: Any, key: Any, at: int, headers: Any = None) -> None:
        if self.broken:
            raise KafkaException(KafkaError(KafkaError._FATAL, "sequence lost", fatal=True))
        if self.room == 0:
            raise BufferError
        if self.room is not None:
            self.room -= 1
        self.unasked += 1
        if self.refuses:
            self.refused.append(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
        else:
            self.stored.append(value)

    def poll(self, seconds: float) -> int:
        self.unasked = 0
        return 0

    def flush(self, seconds: float) -> int:
        return self.poll(seconds)

    def __len__(self) -> int:
        return self.unasked + self.stuck


class Encoder:
    """An encoder's end: results are numbers, watermarks are called w0, w1, ..."""

    def outputs(self, new: Sequence[Any]) -> list[Written]:
        return [("results", None, result, None, 0) for result in new]

    def declared(
        self, snapshot: Snapshot, to: Sequence[str], unfenced: bool = False
    ) -> Iterator[Written]:
        for topic in to:
            for said in snapshot.declares:
                value: Any = "idle" if said is None else f"w{said}"
                yield topic, None, value, [("unfenced", b"")] if unfenced else None, 0

    def state(self, snapshot: Snapshot) -> list[Written]:
        return [("changelog", b"position", None, None, 0)]


class Work:
    """One task that makes results 0, 1, 2, ..., and its checkpoints."""

    def __init__(self) -> None:
        kafka = {"bootstrap.servers": "127.0.0.1:9"}
        self.repeating = Repeating(Encoder(), ("results",), kafka)  # type: ignore[arg-type]
        self.client = Client(self.repeating._refused)
        self.repeating.producer = self.client  # type: ignore[assignment]
        self.made = 0
        self.pending: list[Any] = []
        self.taken: Snapshot | None = None
        self.marks: list[int] = []
        """How many results are covered by watermark 0, 1, 2, ..."""
        self.sent = False
        self.committed: list[Any] = []

    def result(self) -> None:
        self.pending.append(self.made)
        self.made += 1

    def ahead(self) -> None:
        self.repeating.ahead(self.pending)

    def take(self) -> None:
        if self.taken is None:
            self.taken = Snapshot(self.pending, [], {}, [len(self.marks)])
            self.pending, self.sent = [], False
            self.repeating.take()

    def send(self) -> None:
        if self.taken is not None and not self.sent and self.client.room is None:
            try:
                written = [record[0] for record in self.repeating.records(self.taken)]
                assert ["changelog"] == written
                self.sent = True
            except KafkaException:
                self._fail()

    def commit(self) -> None:
        if self.taken is not None and self.sent:
            self.committed += self.taken.outputs
            self.marks.append(len(self.committed))
            self.repeating.committed(self.taken)
            self.taken = None
            self.repeating.over(failed=False)

    def abort(self) -> None:
        if self.taken is not None and self.sent:
            self._fail()

    def _fail(self) -> None:
        assert self.taken is not None
        self.pending = [*self.taken.outputs, *self.pending]
        self.taken = None
        self.repeating.over(failed=True)

    def no_room(self) -> None:
        self.client.room = 0 if self.client.room is None else None

    def little_room(self) -> None:
        self.client.room = 1 if self.client.room is None else None

    def much_on_its_way(self) -> None:
        self.client.stuck = MOST_AHEAD + 1 - self.client.stuck

    def refuse(self) -> None:
        self.client.refuses = not self.client.refuses

    @property
    def results(self) -> list[int]:
        """What is stored, without the watermarks."""
        return [value for value in self.client.stored if isinstance(value, int)]

    @property
    def watermarks(self) -> list[str]:
        """The watermarks that are stored."""
        return [value for value in self.client.stored if isinstance(value, str)]

    @property
    def declared(self) -> list[str]:
        """The watermarks of all checkpoints."""
        return [f"w{number}" for number in range(len(self.marks))]

    def end(self) -> None:
        """A broker that is well, and some checkpoints: the first may still hear of refusals."""
        self.client.room, self.client.refuses = None, False
        for _ in range(3):
            self.take()
            self.send()
            self.commit()


ACTS = ("result", "ahead", "take", "send", "commit", "abort", "no_room", "much_on_its_way")


def _played(acts: list[str]) -> Work:
    work = Work()
    for act in acts:
        getattr(work, act)()
    work.end()
    return work


@given(st.lists(st.sampled_from(ACTS), min_size=40))
def test_results_are_written_once_and_in_their_order(acts: list[str]) -> None:
    """Ahead of their checkpoint or with it, also when it is aborted and comes again."""
    work = _played(acts)
    expected = list(range(work.made))
    assert (expected, expected) == (work.results, work.committed)


@given(st.lists(st.sampled_from((*ACTS, "refuse")), min_size=40))
def test_no_checkpoint_is_committed_whose_results_were_refused(acts: list[str]) -> None:
    """Also what was refused ahead of a checkpoint is written again with it."""
    work = _played(acts)
    assert (set(range(work.made)), list(range(work.made))) == (
        set(work.results),
        work.committed,
    )


@given(st.lists(st.sampled_from((*ACTS, "little_room")), min_size=40))
def test_what_a_full_client_took_in_part_comes_again_in_its_order(acts: list[str]) -> None:
    """Repeats, and no result before an older one."""
    work = _played(acts)
    expected = list(range(work.made))
    assert (expected, expected) == (list(dict.fromkeys(work.results)), work.committed)


def test_a_full_client_is_not_asked_with_every_chunk() -> None:
    """What it took in part is written again by the checkpoint, and not before."""
    work = _played([])
    work.result()
    work.result()
    work.little_room()
    work.ahead()
    work.client.room = None
    for _ in range(3):
        work.ahead()
    assert [0] == work.results
    work.end()
    assert [0, 0, 1] == work.results


def test_what_is_stored_is_no_longer_on_its_way() -> None:
    """However long the interval: librdkafka counts what nobody has asked for."""
    work = _played([])
    for _ in range(3 * MOST_AHEAD):
        work.result()
        work.ahead()
    assert 3 * MOST_AHEAD == len(work.results)


def test_too_much_at_once_waits_for_its_checkpoint() -> None:
    """The event loop is not kept from the other tasks by what has piled up."""
    work = _played([])
    for _ in range(MOST_AHEAD + 1):
        work.result()
    work.ahead()
    assert [] == work.results
    work.end()
    assert list(range(MOST_AHEAD + 1)) == work.results


def test_nothing_is_written_ahead_while_it_is_held() -> None:
    """As while somebody else may have the task."""
    work = _played([])
    work.take()
    work.send()
    work.repeating.hold()
    work.result()
    work.ahead()
    assert [] == work.results
    work.commit()
    work.ahead()
    assert [0] == work.results


@given(st.lists(st.sampled_from((*ACTS, "refuse", "little_room")), min_size=40))
def test_a_watermark_never_comes_before_what_it_covers(acts: list[str]) -> None:
    """Nor before it is committed: all of those results have been stored by then."""
    work = _played(acts)
    stored = work.client.stored
    for number, covered in enumerate(work.marks):
        place = stored.index(f"w{number}") if f"w{number}" in stored else len(stored)
        assert set(range(covered)) <= set(stored[:place])


@given(st.lists(st.sampled_from(ACTS), min_size=40))
def test_watermarks_are_written_once_and_in_their_order(acts: list[str]) -> None:
    """Where brokers refuse nothing; a client that was full takes them with the next checkpoint."""
    work = _played(acts)
    assert work.declared == work.watermarks


@given(st.lists(st.sampled_from((*ACTS, "refuse", "little_room")), min_size=40))
def test_a_watermark_that_was_refused_is_written_again(acts: list[str]) -> None:
    """All of them are there in the end, the last one last."""
    work = _played(acts)
    assert (set(work.declared), work.declared[-1]) == (set(work.watermarks), work.watermarks[-1])


def test_a_watermark_that_was_refused_is_worth_a_checkpoint() -> None:
    """There may be nothing else to write for a long time."""
    work = _played([])
    work.refuse()
    work.take()
    work.client.refuses = False
    work.send()
    work.client.refuses = True
    work.commit()
    assert work.repeating.owes()
    work.end()
    assert (False, work.declared) == (work.repeating.owes(), work.watermarks)


@pytest.mark.parametrize(
    ("was_idle", "declares", "within"),
    [
        (False, [7, None], ["w7", "idle"]),
        (True, [7], ["w7"]),
        (False, [7], []),
        (True, [], []),
    ],
)
def test_changes_of_idleness_are_declared_in_the_transaction(
    was_idle: bool, declares: list[int | None], within: list[str]
) -> None:
    """Written late they would be wrong: the next owner may be at work by then."""
    work = _played([])
    before = len(work.client.stored)
    snapshot = Snapshot([], [], {}, declares, (5, was_idle, False))
    work.repeating.take()
    written = [record[2] or record[0] for record in work.repeating.records(snapshot)]
    work.repeating.committed(snapshot)
    outside = ["w7"] if declares and not within else []
    assert ([*within, "changelog"], outside) == (written, work.client.stored[before:])


def test_a_client_that_can_write_no_more_is_replaced() -> None:
    """As librdkafka is after it has lost the sequence of its records."""
    work = _played([])
    work.repeating._made = lambda: work.client  # type: ignore[method-assign, assignment, return-value]
    broken = work.repeating.producer = Client([])  # type: ignore[assignment]
    broken.broken = True
    for act in ("result", "ahead", "result", "take", "send"):
        getattr(work, act)()
    work.end()
    assert ([0, 1], [0, 1]) == (work.results, work.committed)
