"""The driver on a real broker: dead letters, groups, targets that are away, and how it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from sink_world import PARTITIONS, TOPICS, Changes, letters
from webhook_receiver import SECRET

from schemas.envelope import Event
from schemas.events import Alert
from schemas.headers import to_headers
from schemas.wire import Codec
from sinks.base import Permanent, Positions, Retryable, SinkRecord
from sinks.catalog import open_sink
from sinks.memory import MemorySink
from streams import topics
from streams.cli.sink import group_of
from streams.client import read_all
from streams.ops.patience import Patience
from streams.ops.redriving import marked
from streams.ops.sink_letters import SinkLetters
from streams.ops.sinking import FLUSH_SECONDS, SinkDriver
from tests.postgres import until

CHOSEN = [word for topic in TOPICS for word in ("--topic", topic)]


class Forgetful(MemorySink):
    """A sink that cannot store positions: the group's offsets count."""

    flush_seconds = 0.1

    def positions(self) -> Positions:
        return {}


class Picky(MemorySink):
    """Refuses the events of some ids."""

    def __init__(self, refused: set[str]) -> None:
        super().__init__()
        self.refused, self.calls = refused, 0

    def write(self, records: Sequence[SinkRecord]) -> None:
        self.calls += 1
        for record in records:
            if record.event.id in self.refused:
                raise Permanent(f"{record.event.id} is not wanted", "leave it out", record)
        super().write(records)


class Away(MemorySink):
    """Is away while ``away`` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.away, self.refusals = threading.Event(), 0

    def write(self, records: Sequence[SinkRecord]) -> None:
        if self.away.is_set():
            self.refusals += 1
            raise Retryable("the target is away", "wait for it")
        super().write(records)


def driver(bootstrap: str, sink: Any, **options: Any) -> SinkDriver:
    """A driver of the topics of these tests."""
    chosen = [topics.BY_TOPIC[name] for name in TOPICS]
    made = SinkDriver(bootstrap, chosen, [sink], **options)
    made.start()
    return made


def nets(sink: MemorySink) -> dict[str, set[str]]:
    """The live ids by topic."""
    return {name: set(sink.live(name)) for name in TOPICS}


def expected(changes: Changes) -> dict[str, set[str]]:
    """The same, of what was written."""
    return {name: set(live) for name, live in changes.live.items()}


# Dead letters -------------------------------------------------------------------------------------


def test_refused_records_are_dead_letters_and_the_others_arrive(
    sink_broker: str, changes: Changes
) -> None:
    """Key, value and headers of a letter are the record's own; the reason is in front of them."""
    for _ in range(20):
        changes.write(25)
    refused = {f"alerts-{n}" for n in range(0, changes.ids, 9)}
    sink = Picky(refused)
    made = driver(sink_broker, sink, letters=SinkLetters(sink_broker, "picky"))
    assert made.caught_up(60), made.error
    made.stop()
    source = {
        ("alerts", r.partition, r.offset): r
        for r in read_all(sink_broker, "alerts", Codec())
        if r.event is not None and r.event.id in refused
    }
    found = list(letters(sink_broker))
    assert (made.refused, len(source)) == (len(found), len(found))
    for letter, said in found:
        place = (said["dl.topic"], int(said["dl.partition"]), int(said["dl.offset"]))
        original = source.pop(place)
        assert (original.key, original.value) == (letter.key, letter.value)
        assert original.headers == [h for h in letter.headers if not h[0].startswith("dl.")]
        assert ("sink_refused", "sink:picky") == (said["dl.cause"], said["dl.step"])
        assert original.event is not None
        assert said["dl.detail"] == f"{original.event.id} is not wanted"
    wanted = expected(changes)
    assert {**wanted, "alerts": wanted["alerts"] - refused} == nets(sink)


def test_a_record_that_is_written_back_for_another_reader_is_left_out(
    sink_broker: str, changes: Changes
) -> None:
    """Who stored it before does not store it, or post it, a second time; who refused it does."""
    changes.write(1)
    producer, codec = Producer({"bootstrap.servers": sink_broker}), Codec()
    for reader in ("", "sink:picky", "sink:another", "streams-by_txid"):
        value = Alert("entity", "kind", "high", [], [])
        event = Event(f"for-{reader}", "k", 0, "assert", value, type="alerts.alert.v1")
        raw = codec.encode(event.type, value)
        headers: Any = marked(to_headers(event), 1, reader)
        producer.produce("alerts", raw, b"k", headers=headers)
    assert 0 == producer.flush(30)
    sink = Picky(set())
    made = driver(sink_broker, sink, letters=SinkLetters(sink_broker, "picky"))
    assert made.caught_up(60), made.error
    made.stop()
    assert {"for-", "for-sink:picky"} == {id for id in sink.live("alerts") if id[:4] == "for-"}


def test_many_refused_records_take_no_quadratic_time(sink_broker: str, changes: Changes) -> None:
    """When every second record is refused, a batch is not begun anew for each of them."""
    while changes.written < 1000:
        changes.write(100)
    sink = Picky({f"{topic}-{n}" for topic in TOPICS for n in range(0, changes.ids, 2)})
    made = driver(sink_broker, sink, letters=SinkLetters(sink_broker, "picky"))
    assert made.caught_up(60), made.error
    made.stop()
    assert (True, True) == (made.refused > 200, sink.calls < 4 * made.refused), sink.calls


# Away ---------------------------------------------------------------------------------------------


def test_a_target_that_is_away_is_said_once_and_loses_nothing(
    sink_broker: str, changes: Changes
) -> None:
    """Reading is paused: what waits stays in Kafka, and all of it arrives afterwards."""
    said: list[str] = []
    sink = Away()
    made = driver(sink_broker, sink, group="away", say=said.append)
    changes.write(50)
    while not any(changes.live.values()):
        changes.write(50)
    assert made.caught_up(60), made.error
    sink.away.set()
    for _ in range(10):
        changes.write(50)
    until("it is said", lambda: said)
    written = made.written
    until("it was tried again", lambda: sink.refusals > 3)
    assert (1, written) == (len(said), made.written)
    sink.away.clear()
    assert made.caught_up(60), made.error
    made.stop()
    assert (expected(changes), 2) == (nets(sink), len(said))
    assert ("reading is paused" in said[0], "it works again after" in said[1]) == (True, True)


def test_a_member_that_waits_keeps_its_partitions_and_gives_them_up_when_asked(
    sink_broker: str, changes: Changes
) -> None:
    """One member's target is away; a second member comes and gets half; the first one's rest waits.

    first    reads .... away ............................ back, writes its half
    second                     joins, writes its half
    """
    away, well = Away(), MemorySink()
    said: list[str] = []
    first = driver(sink_broker, away, group="share", say=said.append)
    until("it has partitions", lambda: first._mine)
    away.away.set()
    for _ in range(8):
        changes.write(50)
    until("it waits", lambda: said)
    second = driver(sink_broker, well, group="share")
    until("the second has some", lambda: second._mine)
    assert second.caught_up(60), second.error
    away.away.clear()
    until("all is written", lambda: _together(away, well) == expected(changes), 60)
    assert {4} == {len({p for _, p in (first._mine or [])} | {p for _, p in second._mine or []})}
    first.stop()
    second.stop()
    assert (None, None) == (first.error, second.error)


def _together(*sinks: MemorySink) -> dict[str, set[str]]:
    """Live ids of several sinks: of each id, the newest record that any of them has."""
    found: dict[str, set[str]] = {}
    for name in TOPICS:
        newest: dict[str, SinkRecord] = {}
        for sink in sinks:
            for id, record in sink.rows.get(name, {}).items():
                if id not in newest or record.offset > newest[id].offset:
                    newest[id] = record
        found[name] = {id for id, r in newest.items() if r.event.op == "assert"}
    return found


def test_the_groups_offsets_count_for_a_sink_without_positions(
    sink_broker: str, changes: Changes
) -> None:
    """What was flushed is not read again, and what came meanwhile is."""
    changes.write(100)
    while not any(changes.live.values()):
        changes.write(100)
    first = Forgetful()
    made = driver(sink_broker, first, group="forgetful")
    assert made.caught_up(60), made.error
    made.stop()
    total = made.written
    for _ in range(5):
        changes.write(20)
    second = Forgetful()
    made = driver(sink_broker, second, group="forgetful")
    assert made.caught_up(60), made.error
    made.stop()
    assert changes.written == total + made.written
    assert expected(changes) == _together(first, second)


def test_from_now_leaves_out_what_is_there_and_nothing_after_a_restart(
    sink_broker: str, changes: Changes
) -> None:
    """What comes between the first start and the next one is not left out.

    records   |--- before ---|            |--- between ---|
    sink                     start, stop                  start
    """
    while not changes.written:
        changes.write(60)
    before, told = changes.written, []
    for _ in range(2):
        made = driver(sink_broker, Forgetful(), group="now", from_now=True)
        assert made.caught_up(60), made.error
        made.stop()
        told.append(made.written)
        for _ in range(5 if len(told) == 1 else 0):
            changes.write(20)
    assert [0, changes.written - before] == told
    assert changes.written > before


def test_an_error_at_the_close_is_the_drivers_and_the_other_sinks_are_closed(
    sink_broker: str,
) -> None:
    """What a sink could not write at the end is an error, and holds up nobody else's end."""

    class Full(MemorySink):
        def close(self) -> None:
            raise Permanent("the disk is full", "free it")

    class Closing(MemorySink):
        closed = False

        def close(self) -> None:
            self.closed = True

    first, second = Full(), Closing()
    chosen = [topics.BY_TOPIC[name] for name in TOPICS]
    made = SinkDriver(sink_broker, chosen, [first, second])
    made.start()
    made.stop()
    assert ("the disk is full; free it", True) == (str(made.error), second.closed)


def test_from_now_is_remembered_before_the_first_flush(sink_broker: str) -> None:
    """A sink that flushes once a minute, and is killed before it, leaves nothing more out."""
    made = driver(sink_broker, MemorySink(), group="killed", from_now=True)
    asking = Consumer({"bootstrap.servers": sink_broker, "group.id": "killed"})
    places = [TopicPartition(name, p) for name in TOPICS for p in range(PARTITIONS)]

    def known() -> bool:
        try:
            return all(found.offset >= 0 for found in asking.committed(places, timeout=15))
        except KafkaException as error:  # the first group of a broker has to find its coordinator
            assert error.args[0].code() == KafkaError.NOT_COORDINATOR
            return False

    until("the group knows where it began", known, FLUSH_SECONDS / 4)
    asking.close()
    made.stop()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"url": "https://h/a"}, {"url": "https://h/b"}),
        ({"url": "https://h/a?for=1"}, {"url": "https://h/a?for=2"}),
        ({"uri": "postgresql://h/db"}, {"uri": "postgresql://h/db", "schema": "other"}),
        ({"uri": "postgresql://h/db"}, {"uri": "postgresql://h/other"}),
    ],
)
def test_two_targets_are_two_groups(
    monkeypatch: pytest.MonkeyPatch, one: dict[str, str], other: dict[str, str]
) -> None:
    """Two targets never share a topic's partitions between them; a password changes no group."""
    monkeypatch.setenv("HOOK", SECRET)
    name, extra = ("webhook", {"secret": "env:HOOK"}) if "url" in one else ("postgres", {})
    with_user = {n: v.replace("://", "://user:password@") for n, v in one.items()}
    sinks: list[Any] = [open_sink(name, {**s, **extra}) for s in (one, other, with_user)]
    first, second, same = (group_of(name, sink.identity) for sink in sinks)
    for sink in sinks:
        sink.close()
    assert (True, True) == (first != second, first == same)


def test_patience_tells_once_waits_as_asked_and_ends_when_it_must() -> None:
    """Three failures are one message; a stop in between raises what failed last."""
    said: list[str] = []
    answers = [Retryable("gone", "wait")] * 3
    patience = Patience(time.sleep, said.append)

    def act() -> str:
        if answers:
            raise answers.pop()
        return "done"

    assert ("done", 2) == (patience.run(act, lambda: False), len(said))
    answers[:] = [Retryable("gone", "wait")] * 3
    with pytest.raises(Retryable):
        patience.run(act, lambda: True)
    assert 2 == len(answers)
    patience.close()
