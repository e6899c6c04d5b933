"""The consumer on a real broker: what it yields, from where, until when, and what it refuses."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Unpack

import pytest

from schemas.envelope import Op
from schemas.events import Alert, Label
from streams import topics
from streams.client import (
    BadOption,
    Consumer,
    Malformed,
    NoTopic,
    Offset,
    Record,
    Time,
    TimedOut,
    Unavailable,
    fold,
    read_all,
)
from streams.client.options import Options
from tests.client.place import PARTITIONS, Place, alert, label, until


def test_records_are_typed_and_in_order(place: Place) -> None:
    """Each record has its place, its envelope and a value of the topic's class."""
    for number in range(3):
        place.write(topics.alerts, f"id{number}", alert("entity", f"kind{number}"), ts=number)
    with Consumer(place.bootstrap, topics.alerts, until="end") as alerts:
        found = list(alerts)
    assert ["kind0", "kind1", "kind2"] == [record.value.kind for record in found]
    assert [("id0", 0, "entity", "assert")] == [(r.id, r.ts, r.key, r.op) for r in found[:1]]
    assert isinstance(found[0].value, Alert) and [0, 1, 2] == [r.offset for r in found]


def test_several_topics_come_as_a_union(place: Place) -> None:
    """One consumer of two topics yields the records of both."""
    place.write(topics.alerts, "a", alert("x"))
    place.write(topics.labels, "b", label(1))
    with Consumer(place.bootstrap, topics.alerts, topics.labels, until="end") as both:
        kinds = {type(record.value) for record in both}
    assert {Alert, Label} == kinds


def test_start_at_the_end_sees_only_what_comes_later(place: Place) -> None:
    """What was there before is not yielded."""
    place.write(topics.alerts, "old", alert("x"))
    with Consumer(place.bootstrap, topics.alerts, start="end") as alerts:
        place.write(topics.alerts, "new", alert("x"))
        assert ["new"] == [record.id for record in alerts.poll(10, 1)]


def test_start_at_an_offset_and_where_another_one_stood(place: Place) -> None:
    """An offset is taken in every partition; positions() of one consumer starts the next."""
    for number in range(4):
        place.write(topics.alerts, f"id{number}", alert("x"), partition=0)
    with Consumer(place.bootstrap, topics.alerts, start=Offset(2), until="end") as alerts:
        assert "id2" == next(alerts).id
        stood = alerts.positions()
    assert 3 == stood["alerts", 0]
    with Consumer(place.bootstrap, topics.alerts, start=stood, until="end") as alerts:
        assert ["id3"] == [record.id for record in alerts]


def test_start_at_a_time(place: Place) -> None:
    """A time is that of the record's arrival at the broker; one after the last is the end."""
    place.write(topics.alerts, "before", alert("x"))
    time.sleep(0.02)
    place.write(topics.alerts, "after", alert("x"))
    with Consumer(place.bootstrap, topics.alerts, until="end") as alerts:
        stamp = [record.append_ts for record in alerts][1]
    moment = datetime.fromtimestamp(stamp / 1000, UTC)
    for start in (Time(stamp), moment):
        with Consumer(place.bootstrap, topics.alerts, start=start, until="end") as alerts:
            assert ["after"] == [record.id for record in alerts]
    with Consumer(place.bootstrap, topics.alerts, start=Time(stamp + 1), until="end") as alerts:
        assert [] == list(alerts)


def test_the_end_is_that_of_the_start(place: Place) -> None:
    """A record that comes while the consumer reads to the end is left to the next one.

    alerts/0   first     later
    alerts/1   slow (in a transaction that ends after later)
    """
    writer = place.transactional("slow")
    writer.begin_transaction()
    place.write(topics.alerts, "slow", alert("x"), partition=1, producer=writer)
    writer.flush(10)
    place.write(topics.alerts, "first", alert("x"), partition=0)
    with Consumer(place.bootstrap, topics.alerts, until="end") as alerts:
        place.write(topics.alerts, "later", alert("x"), partition=0)
        assert ["first"] == [record.id for record in alerts.poll(10)]
        assert [] == alerts.poll(0.5)
        writer.commit_transaction(10)
        assert ["slow"] == [record.id for record in alerts]
        assert 1 == alerts.positions()["alerts", 0]


def test_only_committed_records_are_facts(place: Place) -> None:
    """Aborted records are never yielded, and their markers do not keep the end away."""
    writer = place.transactional("aborter")
    for end in (writer.abort_transaction, writer.commit_transaction):
        writer.begin_transaction()
        place.write(topics.alerts, end.__name__, alert("x"), producer=writer)
        writer.flush(10)
        end(10)
    with Consumer(place.bootstrap, topics.alerts, until="end") as alerts:
        assert ["commit_transaction"] == [record.id for record in alerts]


def test_an_open_transaction_at_the_end_is_waited_for_and_named(place: Place) -> None:
    """The end is that of the log: while a transaction is open there, TimedOut says so."""
    writer = place.transactional("open")
    writer.begin_transaction()
    place.write(topics.alerts, "a", alert("x"), producer=writer, partition=0)
    writer.flush(10)
    with (
        Consumer(place.bootstrap, topics.alerts, until="end", timeout=1.0) as alerts,
        pytest.raises(TimedOut, match=r"alerts/0 stands at 0 of 1"),
    ):
        list(alerts)
    writer.commit_transaction(10)


def test_records_that_are_no_events_are_counted_or_yielded(place: Place) -> None:
    """A foreign record ends nothing: it is skipped and counted, or yielded with its cause."""
    place.write(topics.alerts, "a", alert("x"), partition=0)
    place.bytes(topics.alerts, b"k", b"not ours", 0)
    place.bytes(topics.alerts, b"k", place.codec.encode("ml.label.v1", label(1)), 0)
    place.bytes(topics.alerts, b"k", None, 0)
    place.write(topics.alerts, "b", alert("x"), partition=0)
    with Consumer(place.bootstrap, topics.alerts, until="end") as alerts:
        assert ["a", "b"] == [record.id for record in alerts]
        assert 3 == alerts.malformed
    with Consumer(place.bootstrap, topics.alerts, until="end", malformed="yield") as alerts:
        found = [item for item in alerts if isinstance(item, Malformed)]
    causes = [item.cause.partition(":")[0] for item in found]
    assert ["not_framed", "wrong_schema", "empty_value"] == causes
    assert (b"not ours", 1) == (found[0].raw, found[0].offset)


def test_watermarks_are_not_records_but_are_known(place: Place) -> None:
    """A declared watermark counts once the records before it were yielded.

    alerts/0   a  W=5  b
    """
    place.write(topics.alerts, "a", alert("x"), partition=0)
    place.declare(topics.alerts, 5)
    place.write(topics.alerts, "b", alert("x"), partition=0)
    with Consumer(place.bootstrap, topics.alerts, until="end") as alerts:
        [first, *_] = [next(alerts).id]
        assert ("a", None) == (first, alerts.watermark(topics.alerts, 0))
        assert ["b"] == [record.id for record in alerts]
        assert 5 == alerts.watermark(topics.alerts)


def test_a_broadcast_topic_is_read_once(place: Place) -> None:
    """Of a topic whose every partition says the same, one partition is read."""
    place.tip(1, "a")
    with Consumer(place.bootstrap, topics.tip, until="end") as tips:
        assert [("a", 1)] == [(record.id, record.value.height) for record in tips]
        assert [("bitcoin.tip", 0)] == tips.assignment


def test_the_net_view_is_the_net_set(place: Place) -> None:
    """Repeats have no effect, a new value replaces, and net() equals an independent fold."""
    told: tuple[tuple[str, str, Op], ...] = (
        ("a", "1", "assert"), ("a", "1", "assert"), ("b", "1", "assert"), ("a", "2", "assert"),
        ("b", "1", "retract"), ("b", "1", "retract"), ("c", "1", "assert"),
    )  # fmt: skip
    for id, kind, op in told:
        place.write(topics.alerts, id, alert("x", kind), op)
    with Consumer(place.bootstrap, topics.alerts, view="net", until="end") as alerts:
        said = [(record.op, record.id, record.value.kind) for record in alerts]
        live = {id: record.value for id, record in alerts.net().items()}
    assert [
        ("assert", "a", "1"), ("assert", "b", "1"), ("retract", "a", "1"), ("assert", "a", "2"),
        ("retract", "b", "1"), ("assert", "c", "1"),
    ] == said  # fmt: skip
    assert fold(read_all(place.bootstrap, "alerts", place.codec)) == live


def test_the_net_view_knows_what_lies_before_its_start(place: Place) -> None:
    """A consumer that starts at the end has the whole net set, and yields what changes it."""
    place.write(topics.alerts, "a", alert("x"))
    with Consumer(place.bootstrap, topics.alerts, view="net", start="end") as alerts:
        place.write(topics.alerts, "a", alert("x"), "retract")
        assert [("retract", "a")] == [(r.op, r.id) for r in alerts.poll(10, 1)]
        assert {} == alerts.net()


def test_stop_ends_the_iteration_from_another_thread(place: Place) -> None:
    """An endless consumer ends when it is told to."""
    with Consumer(place.bootstrap, topics.alerts) as alerts:
        threading.Timer(0.2, alerts.stop).start()
        assert [] == list(alerts)


def test_poll_gives_nothing_when_nothing_comes(place: Place) -> None:
    """An empty list after the time that was given, no error."""
    with Consumer(place.bootstrap, topics.alerts) as alerts:
        began = time.monotonic()
        assert [] == alerts.poll(0.3)
        assert 0.3 <= time.monotonic() - began < 2.0


def test_a_closed_consumer_says_so(place: Place) -> None:
    """Use after the with block is an error with a remedy; closing twice is none."""
    with Consumer(place.bootstrap, topics.alerts) as alerts:
        pass
    alerts.close()
    with pytest.raises(BadOption, match="closed"):
        next(alerts)


def test_a_missing_topic_is_named(place: Place) -> None:
    """A topic that the broker does not have is an error at once, not an endless wait."""
    with pytest.raises(NoTopic, match=r"has no topic no.such\.topic: create"):
        Consumer(place.bootstrap, "no.such.topic")


def test_no_broker_is_an_error_with_a_remedy() -> None:
    """Nobody at the address: Unavailable after the timeout, with the address."""
    with pytest.raises(Unavailable, match=r"no Kafka broker answers at 127\.0\.0\.1:1 "):
        Consumer("127.0.0.1:1", topics.alerts, timeout=1.0)


# A group ------------------------------------------------------------------------------------------

FAST = {"session.timeout.ms": 2000, "heartbeat.interval.ms": 500}


def in_group(place: Place, **options: Unpack[Options]) -> Consumer[Record[Alert]]:
    """A member of the group ``app`` that reads to the end."""
    options |= {"group": place.group, "until": "end", "kafka": FAST}
    return Consumer(place.bootstrap, topics.alerts, **options)


def test_a_group_goes_on_where_it_stood(place: Place) -> None:
    """What the block processed without an error does not come again."""
    for number in range(4):
        place.write(topics.alerts, f"id{number}", alert("x"), partition=0)
    with in_group(place) as alerts:
        assert ["id0", "id1"] == [next(alerts).id, next(alerts).id]
    with in_group(place) as alerts:
        assert ["id2", "id3"] == [record.id for record in alerts]


def test_what_was_under_way_at_an_error_comes_again(place: Place) -> None:
    """The record that the program failed on was not processed; those before it were."""
    for number in range(3):
        place.write(topics.alerts, f"id{number}", alert("x"), partition=0)
    with pytest.raises(ZeroDivisionError), in_group(place) as alerts:
        for record in alerts:
            assert 1 / int("id1" != record.id)
    with in_group(place) as alerts:
        assert ["id1", "id2"] == [record.id for record in alerts]


def test_commits_by_hand(place: Place) -> None:
    """With commit="manual" only commit() moves the group."""
    for number in range(3):
        place.write(topics.alerts, f"id{number}", alert("x"), partition=0)
    with in_group(place, commit="manual") as alerts:
        next(alerts)
        alerts.commit()
        next(alerts)
    with in_group(place, commit="manual") as alerts:
        assert ["id1", "id2"] == [record.id for record in alerts]


def test_a_group_with_a_net_view_rebuilds_what_it_knew(place: Place) -> None:
    """After a restart a retract still withdraws what was yielded before it."""
    place.write(topics.alerts, "a", alert("x"), partition=0)
    place.write(topics.alerts, "b", alert("x"), partition=0)
    with in_group(place, view="net") as alerts:
        assert ["a", "b"] == [record.id for record in alerts]
    place.write(topics.alerts, "a", alert("x"), "retract", partition=0)
    place.write(topics.alerts, "b", alert("x"), partition=0)
    with in_group(place, view="net") as alerts:
        assert [("retract", "a")] == [(record.op, record.id) for record in alerts]
        assert {"b"} == set(alerts.net())


def test_members_share_the_partitions(place: Place) -> None:
    """A second member takes a partition over; every record is processed by somebody."""
    first = Consumer(place.bootstrap, topics.alerts, group=place.group, kafka=FAST)
    second = Consumer(place.bootstrap, topics.alerts, group=place.group, kafka=FAST)
    with first, second:
        seen: list[str] = []

        def shared() -> bool:
            seen.extend(r.id for c in (first, second) for r in c.poll(0.05))
            return 1 == len(first.assignment) == len(second.assignment)

        until("both have a partition", shared)
        for number in range(10):
            place.write(topics.alerts, f"id{number}", alert("x"), partition=number % PARTITIONS)
        until("all were read", lambda: shared() and len(seen) >= 10)
        assert {f"id{number}" for number in range(10)} == set(seen)


def test_a_commit_without_a_group_is_refused(place: Place) -> None:
    """There is nothing to commit to."""
    with (
        Consumer(place.bootstrap, topics.alerts) as alerts,
        pytest.raises(BadOption, match="open the consumer with group="),
    ):
        alerts.commit()
