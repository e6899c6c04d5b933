"""What a recovery makes of a changelog: as if each record were taken at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from streams.engine import recovery
from streams.engine.codec import encode_changes
from streams.engine.mover import Place
from streams.engine.recovery import Firsts, Reader, Recovery
from streams.engine.stores import TaskStore

Log = list[tuple[bytes, bytes | None]]
keys = st.integers(0, 300)
batches = st.lists(
    st.dictionaries(keys, st.one_of(st.none(), st.integers(1, 9)), max_size=60), max_size=12
)


class Holder:
    """Of a task, what a recovery needs."""

    def __init__(self) -> None:
        self.store = TaskStore()


def logged(writes: list[dict[int, int | None]]) -> tuple[TaskStore, Log]:
    """A store after these batches, a checkpoint each, with its changelog."""
    store, log = TaskStore(), Log()
    for batch in writes:
        scope = store.scope("step")
        for key, value in batch.items():
            scope.put(("entry", key), value, due=value)
            if value is None:
                del scope.table("table")[key]
            else:
                scope.table("table")[key] = value
        store.settle()
        log += [record for changes in store.take_changes() for record in encode_changes(changes)]
    return store, log


def content(store: TaskStore) -> tuple[Any, Any, Any]:
    """All that a step sees of its state."""
    scope = store.scope("step")
    return dict(scope.scan(("entry",))), dict(scope.table("table").items()), scope.due("entry")


@given(batches, st.integers(1, 50))
def test_what_is_held_back_changes_nothing(writes: list[dict[int, int | None]], held: int) -> None:
    """Entries, times and tables that grow and shrink: the state is that of the last checkpoint."""
    expected, log = logged(writes)
    found: Any = Holder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recovery, "HELD", held)
        taking = Recovery(found)
        for offset, (key, body) in enumerate(log):
            taking.take(offset, key, body)
        assert (True, len(log)) == (taking.stand(), taking.records)
    assert content(expected) == content(found.store)


def test_a_record_that_a_later_one_replaces_is_not_worked_on() -> None:
    """A hundred checkpoints of one entry cost one."""
    _, log = logged([{1: n} for n in range(1, 10)] * 11)
    found: Any = Holder()
    worked: list[bytes] = []
    found.store.replay = lambda key, body: worked.append(key)
    taking = Recovery(found)
    for offset, (key, body) in enumerate(log):
        taking.take(offset, key, body)
    taking.stand()
    assert (2, True) == (len(worked), len(log) > 100)  # the entry, and the page of the table


def test_bytes_bound_what_is_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large records are passed on before they are many."""
    monkeypatch.setattr(recovery, "HELD_BYTES", 100)
    found: Any = Holder()
    worked: list[bytes] = []
    found.store.replay = lambda key, body: worked.append(key)
    taking = Recovery(found)
    for offset in range(10):
        taking.take(offset, b"%d" % offset, b"x" * 60)
    assert 10 == len(worked)


def test_what_is_left_has_the_order_that_compaction_leaves() -> None:
    """A key stands where its last record stood.

    a 1    b 2    a 3    ->    b 2    a 3
    """
    found: Any = Holder()
    worked: Log = []
    found.store.replay = lambda key, body: worked.append((key, body))
    taking = Recovery(found)
    for offset, record in enumerate([(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]):
        taking.take(offset, *record)
    taking.stand()
    assert [(b"b", b"2"), (b"a", b"3")] == worked


# Reading to the end -------------------------------------------------------------------------------


class Told:
    """A message of librdkafka, or what it says instead of one."""

    def __init__(self, offset: int, code: int | None = None) -> None:
        self._offset, self._error = offset, None if code is None else KafkaError(code)

    def error(self) -> KafkaError | None:
        return self._error

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes:
        return b"k%d" % self._offset

    def value(self) -> bytes:
        return b"v"


class Leader:
    """A consumer whose leader has just been elected: it answers as told, one by one."""

    def __init__(self, ends: list[int], fetches: list[list[Told]]) -> None:
        self.ends, self.fetches = ends, fetches

    def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
        end = self.ends.pop(0)
        if end < 0:
            raise KafkaException(KafkaError(-end))
        return 0, end

    def assign(self, places: list[TopicPartition]) -> None:
        """It has one partition."""

    def consume(self, most: int, seconds: float) -> list[Told]:
        return self.fetches.pop(0)


class Offsets:
    """Notes what it is given."""

    def __init__(self) -> None:
        self.found: list[int] = []

    def take(self, offset: int, key: bytes, body: bytes | None) -> None:
        self.found.append(offset)


def reader_of(leader: Leader) -> Reader:
    found = Reader.__new__(Reader)
    found._consumer, found._topic, found._partition = leader, "changelog", 0  # type: ignore[assignment]
    return found


EOF = KafkaError._PARTITION_EOF
AWAY = KafkaError.OFFSET_NOT_AVAILABLE


def test_an_end_before_what_was_committed_is_none() -> None:
    """A new leader lets nobody read the newest records before the others have them, too.

    ::

        log      0  1  2  | 3  4 |     the end is 5, fetches show 3 for a while
        fetches  0  1  2  end  3  4  end
    """
    fetches = [
        [Told(0), Told(1), Told(2), Told(3, EOF)],
        [Told(3, EOF)],
        [Told(3), Told(4), Told(5, EOF)],
    ]
    told = Offsets()
    assert reader_of(Leader([5], fetches)).read(told, 0, lambda: True)
    assert [0, 1, 2, 3, 4] == told.found


def test_a_leader_that_knows_no_end_yet_is_asked_again() -> None:
    """For as long as the task is wanted; else its error is raised."""
    assert (0, 5) == reader_of(Leader([-AWAY, -AWAY, 5], [])).ends(lambda: True)
    with pytest.raises(KafkaException):
        reader_of(Leader([-AWAY, 5], [])).ends()


def test_a_missing_right_is_not_waited_for() -> None:
    """It does not come by itself."""
    forbidden = -KafkaError.TOPIC_AUTHORIZATION_FAILED
    with pytest.raises(KafkaException):
        reader_of(Leader([forbidden, 5], [])).ends(lambda: True)


def test_where_inputs_begin_is_asked_once_and_again_while_nobody_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of 64 tasks that begin, one asks for all of them; the others wait for its answer."""
    asked: list[list[Place]] = []

    class Asking:
        def __init__(self, kafka: Any) -> None:
            pass

        def ask(self, places: Any, timeout: float, what: int) -> dict[Place, int]:
            asked.append(list(places))
            if len(asked) == 1:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
            return dict.fromkeys(places, 7)

        def close(self) -> None:
            pass

    monkeypatch.setattr(recovery, "Ends", Asking)
    places = [Place("t", 0), Place("t", 1)]
    firsts = Firsts({}, places)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: firsts.get(lambda: True), range(64)))
    assert [dict.fromkeys(places, 7)] * 64 == found
    assert [places, places] == asked
