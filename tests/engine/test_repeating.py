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
        self.refused, self.stored = refused, list[Any]()
        self.unasked = self.stuck = 0
        """What was stored and not asked for, as librdkafka counts it; what is not stored yet."""
        self.room: int | None = None
        self.refuses = False

    def produce(self, topic: str, value: Any, key: Any, at: int, headers: Any = None) -> None:
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
        if self.taken is not None and not self.sent and self.client.room is None:
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
        self.client.room = 0 if self.client.room is None else None

    def little_room(self) -> None:
        self.client.room = 1 if self.client.room is None else None

    def much_on_its_way(self) -> None:
        self.client.stuck = MOST_AHEAD + 1 - self.client.stuck

    def refuse(self) -> None:
        self.client.refuses = not self.client.refuses

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
    assert (expected, expected) == (work.client.stored, work.committed)


@given(st.lists(st.sampled_from((*ACTS, "refuse")), min_size=40))
def test_no_checkpoint_is_committed_whose_results_were_refused(acts: list[str]) -> None:
    """Also what was refused ahead of a checkpoint is written again with it."""
    work = _played(acts)
    assert (set(range(work.made)), list(range(work.made))) == (
        set(work.client.stored),
        work.committed,
    )


@given(st.lists(st.sampled_from((*ACTS, "little_room")), min_size=40))
def test_what_a_full_client_took_in_part_comes_again_in_its_order(acts: list[str]) -> None:
    """Repeats, and no result before an older one."""
    work = _played(acts)
    expected = list(range(work.made))
    assert (expected, expected) == (list(dict.fromkeys(work.client.stored)), work.committed)


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
    assert [0] == work.client.stored
    work.end()
    assert [0, 0, 1] == work.client.stored


def test_what_is_stored_is_no_longer_on_its_way() -> None:
    """However long the interval: librdkafka counts what nobody has asked for."""
    work = _played([])
    for _ in range(3 * MOST_AHEAD):
        work.result()
        work.ahead()
    assert 3 * MOST_AHEAD == len(work.client.stored)


def test_too_much_at_once_waits_for_its_checkpoint() -> None:
    """The event loop is not kept from the other tasks by what has piled up."""
    work = _played([])
    for _ in range(MOST_AHEAD + 1):
        work.result()
    work.ahead()
    assert [] == work.client.stored
    work.end()
    assert list(range(MOST_AHEAD + 1)) == work.client.stored


def test_nothing_is_written_ahead_while_it_is_held() -> None:
    """As while somebody else may have the task."""
    work = _played([])
    work.take()
    work.send()
    work.repeating.hold()
    work.result()
    work.ahead()
    assert [] == work.client.stored
    work.commit()
    work.ahead()
    assert [0] == work.client.stored
