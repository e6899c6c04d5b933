"""Results that are written ahead of their checkpoint: all of them, and none before an older one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.checkpoint import Written
from streams.engine.repeating import MOST_AHEAD, Repeating


class Client:
    """A producer's end: it stores, has no room, or learns that the broker refuses."""

    def __init__(self, refused: list[KafkaError]) -> None:
        self.refused, self.stored, self.waiting = refused, list[Any](), 0
        self.full = self.refuses = False

    def produce(self, topic: str, value: Any, key: Any, at: int, headers: Any = None) -> None:
        if self.full:
            raise BufferError
        if self.refuses:
            self.refused.append(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
        else:
            self.stored.append(value)

    def poll(self, seconds: float) -> int:
        return 0

    def flush(self, seconds: float) -> int:
        return 0

    def __len__(self) -> int:
        return self.waiting


def _encoded(new: Sequence[Any]) -> list[Written]:
    return [("results", None, result, None, 0) for result in new]


class Work:
    """One task that makes results 0, 1, 2, ..., and its checkpoints."""

    def __init__(self) -> None:
        self.repeating = Repeating({"bootstrap.servers": "127.0.0.1:9"}, _encoded)
        self.client = Client(self.repeating._refused)
        self.repeating.producer = self.client  # type: ignore[assignment]
        self.made = 0
        self.pending: list[Any] = []
        self.taken: list[Any] | None = None
        self.sent = False
        self.committed: list[Any] = []

    def result(self) -> None:
        self.pending.append(self.made)
        self.made += 1

    def ahead(self) -> None:
        self.repeating.ahead(self.pending)

    def take(self) -> None:
        if self.taken is None:
            self.taken, self.pending, self.sent = self.pending, [], False
            self.repeating.take()

    def send(self) -> None:
        if self.taken is not None and not self.sent and not self.client.full:
            try:
                self.repeating.send(self.taken)
                self.sent = True
            except KafkaException:
                self._fail()

    def commit(self) -> None:
        if self.taken is not None and self.sent:
            self.committed += self.taken
            self.taken = None
            self.repeating.over(failed=False)

    def abort(self) -> None:
        if self.taken is not None and self.sent:
            self._fail()

    def _fail(self) -> None:
        self.pending = [*(self.taken or []), *self.pending]
        self.taken = None
        self.repeating.over(failed=True)

    def no_room(self) -> None:
        self.client.full = not self.client.full

    def much_on_its_way(self) -> None:
        self.client.waiting = MOST_AHEAD + 1 - self.client.waiting

    def refuse(self) -> None:
        self.client.refuses = not self.client.refuses

    def end(self) -> None:
        """A broker that is well, and some checkpoints: the first may still hear of refusals."""
        self.client.full = self.client.refuses = False
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
    assert (expected, expected) == (work.client.stored, work.committed)


@given(st.lists(st.sampled_from((*ACTS, "refuse")), min_size=40))
def test_no_checkpoint_is_committed_whose_results_were_refused(acts: list[str]) -> None:
    """Also what was refused ahead of a checkpoint is written again with it."""
    work = _played(acts)
    assert (set(range(work.made)), list(range(work.made))) == (
        set(work.client.stored),
        work.committed,
    )
