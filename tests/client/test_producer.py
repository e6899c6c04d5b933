"""The producer on a real broker: ids, checks, transactions, and errors that are never silent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from msgspec import structs

from schemas.catalog import BY_NAME
from schemas.envelope import Anchor
from schemas.events import Block, Label, Value
from streams import event_type, topics
from streams.client import (
    BadOption,
    Consumer,
    Fenced,
    NotCommitted,
    NotDelivered,
    NoTopic,
    Producer,
    Record,
    Refused,
    Unavailable,
)
from streams.engine.own_types import forget
from streams.topics import Topic
from tests.client.place import Place, alert, label, until

NOW = 1_700_000_000_000
FAST = {"session.timeout.ms": 2000, "heartbeat.interval.ms": 500}
BLOCK = Block("regtest", "aa" * 32, 7, "00" * 32, 1, "bb" * 32, 1_700_000, 0, 0, 1, 300, 900)


@pytest.fixture
def producer(place: Place) -> Iterator[Producer]:
    """A producer with a clock that stands still."""
    with Producer(place.bootstrap, source="test", clock=lambda: NOW) as made:
        yield made


def labels(place: Place) -> list[Record[Label]]:
    """What the topic of labels holds."""
    with Consumer(place.bootstrap, topics.labels, until="end") as found:
        return list(found)


def test_a_value_gets_id_key_and_headers_from_its_type(place: Place, producer: Producer) -> None:
    """What is read is what was sent, with the id that every producer gives it."""
    sent = producer.send(label(1), wait=True)
    [record] = labels(place)
    assert BY_NAME["ml.label.v1"].event_id(label(1)) == sent == record.id
    assert (label(1), label(1).subject, NOW) == (record.value, record.key, record.ts)
    assert ("test", NOW) == (record.event.producer, record.event.ingest_ts)


def test_withdraw_takes_a_fact_back(place: Place, producer: Producer) -> None:
    """The same id, key and ts, as a retract: the net view is empty again."""
    producer.send(label(1), ts=5)
    producer.withdraw(label(1), ts=5, wait=True)
    with Consumer(place.bootstrap, topics.labels, view="net", until="end") as found:
        assert ["assert", "retract"] == [record.op for record in found]
        assert {} == found.net()


def test_the_key_chooses_the_partition_as_every_client_of_ours_does(
    place: Place, producer: Producer
) -> None:
    """Records of one key go to the partition that the pipeline reads it from."""
    for number in range(20):
        producer.send(label(number))
        place.write(topics.labels, f"other{number}", label(number))
    producer.flush()
    by_key: dict[str, set[int]] = {}
    for record in labels(place):
        by_key.setdefault(record.key, set()).add(record.partition)
    assert [{1}] == list({len(places): {len(places)} for places in by_key.values()}.values())


def test_the_pipelines_topics_are_refused_unless_told(place: Place, producer: Producer) -> None:
    """An alert is a result: only a producer that says ``derived`` may send one, with an id."""
    with pytest.raises(Refused, match="derived=True"):
        producer.send(alert("x"), id="a")
    with Producer(place.bootstrap, derived=True) as repairs:
        with pytest.raises(Refused, match="pass id="):
            repairs.send(alert("x"))
        assert "a" == repairs.send(alert("x"), id="a")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (structs.replace(label(1), confidence=2.0), "confidence must lie in"),
        (structs.replace(label(1), subject="short"), "64 lower-case hex"),
        (structs.replace(label(1), illicit=cast(Any, "yes")), "Expected `bool`, got `str`"),
        (BLOCK, "pass ts="),
        (cast(Any, {"subject": "x"}), "no event of ours"),
    ],
)
def test_what_cannot_be_true_is_refused(producer: Producer, value: Any, words: str) -> None:
    """A bad value is an error of the call, with its remedy; nothing is sent."""
    with pytest.raises(Refused, match=words):
        producer.send(value)
    assert {} == producer.sender.under_way


def test_a_wrong_id_is_refused(producer: Producer) -> None:
    """An id that is not the value's own would be another fact."""
    with pytest.raises(Refused, match="leave id= out"):
        producer.send(label(1), id="mine")


def test_a_block_carries_its_own_anchor() -> None:
    """Blocks and transactions depend on their block without being told."""
    from streams.client.compose import event_of  # noqa: PLC0415

    event = event_of(BLOCK, 5, "assert", "test", NOW, {})
    assert Anchor("regtest", 7, "aa" * 32) == event.anchor


def test_a_transaction_is_seen_whole_or_not_at_all(place: Place) -> None:
    """A block that raises leaves nothing; one that ends leaves all."""
    with Producer(place.bootstrap, transactional_id="t1") as producer:
        with pytest.raises(ZeroDivisionError), producer.transaction():
            producer.send(label(1), wait=True)
            _ = 1 / 0
        with producer.transaction():
            producer.send(label(2))
            producer.send(label(3))
    assert {label(2).subject, label(3).subject} == {record.key for record in labels(place)}


def test_a_producer_of_transactions_sends_nothing_outside_of_them(place: Place) -> None:
    """The remedy names the with statement; and a plain producer has none."""
    with (
        Producer(place.bootstrap, transactional_id="t2") as producer,
        pytest.raises(BadOption, match=r"with producer\.transaction"),
    ):
        producer.send(label(1))
    with (
        Producer(place.bootstrap) as plain,
        pytest.raises(BadOption, match="transactional_id="),
        plain.transaction(),
    ):
        pass


def test_a_second_owner_fences_the_first(place: Place) -> None:
    """A transactional id has one owner: the older one is told."""
    with Producer(place.bootstrap, transactional_id="t3") as old:
        with Producer(place.bootstrap, transactional_id="t3") as new, new.transaction():
            new.send(label(1))
        with pytest.raises(Fenced, match="give each process its own"), old.transaction():
            old.send(label(2))
    assert [label(1)] == [record.value for record in labels(place)]


def test_what_was_read_and_what_was_made_of_it_are_one(place: Place) -> None:
    """With ``after`` the group's positions are in the transaction: an abort moves neither.

    alerts    a    b
    first     sent, then error: nothing
    second    sent, committed
    """
    place.write(topics.alerts, "a", alert("x"), partition=0)
    place.write(topics.alerts, "b", alert("x"), partition=0)
    for fails in (True, False, False):
        with (
            Producer(place.bootstrap, transactional_id="t4") as producer,
            Consumer(
                place.bootstrap, topics.alerts, group=place.group, commit="manual", until="end"
            ) as alerts,
        ):
            try:
                for record in alerts:
                    with producer.transaction(after=alerts):
                        producer.send(label(record.offset))
                        assert not fails
            except AssertionError:
                continue
    assert [label(0), label(1)] == sorted((r.value for r in labels(place)), key=lambda v: v.subject)


def test_a_transaction_leaves_nothing_out_after_one_that_failed(place: Place) -> None:
    """The record of a transaction that failed is never passed over by the next one's positions."""
    place.write(topics.alerts, "a", alert("x"), partition=0)
    place.write(topics.alerts, "b", alert("x"), partition=0)
    options: dict[str, Any] = {"group": place.group, "commit": "manual", "until": "end"}
    with Producer(place.bootstrap, transactional_id="t5") as producer:
        with Consumer(place.bootstrap, topics.alerts, **options) as alerts:
            next(alerts)
            with pytest.raises(ZeroDivisionError), producer.transaction(after=alerts):
                _ = 1 / 0
            next(alerts)
            with (
                pytest.raises(NotCommitted, match="open the consumer again"),
                producer.transaction(after=alerts),
            ):
                producer.send(label(2))
        with Consumer(place.bootstrap, topics.alerts, **options) as alerts:
            for record in alerts:
                with producer.transaction(after=alerts):
                    producer.send(label(record.offset))
    assert {label(0), label(1)} == {record.value for record in labels(place)}


def test_a_transaction_fails_when_the_group_took_its_records_away(place: Place) -> None:
    """Who has a partition now makes the same of its records: both at once would double them.

    first      reads a, b ........ [transaction] refused
    second              joins, takes a partition over
    """
    place.write(topics.alerts, "a", alert("x"), partition=0)
    place.write(topics.alerts, "b", alert("x"), partition=1)
    options: dict[str, Any] = {"group": place.group, "commit": "manual", "kafka": FAST}
    with (
        Producer(place.bootstrap, transactional_id="t6") as producer,
        Consumer(place.bootstrap, topics.alerts, **options) as first,
    ):
        read: list[str] = []
        until("both were read", lambda: read.extend(r.id for r in first.poll(0.1)) or len(read) > 1)
        with Consumer(place.bootstrap, topics.alerts, **options) as second:

            def shared() -> bool:
                for member in (first, second):
                    member.poll(0.05)
                return 1 == len(first.assignment) == len(second.assignment)

            until("each has a partition", shared)
            with pytest.raises(NotCommitted), producer.transaction(after=first):
                producer.send(label(1))
    assert [] == labels(place)


def test_a_record_that_the_broker_refuses_is_raised_with_its_id(place: Place) -> None:
    """A topic with a small limit: the delivery error names the event, in words."""
    big = structs.replace(label(1), source="x" * 2000)
    place.shrink(topics.labels, 1000)
    producer = Producer(place.bootstrap, kafka={"compression.type": "none"})
    sent = producer.send(big)
    with pytest.raises(NotDelivered, match="MSG_SIZE_TOO_LARGE") as caught:
        producer.flush()
    assert (sent,) == caught.value.ids
    producer.close()


def test_missing_topics_and_brokers_are_named(place: Place) -> None:
    """Both at the first send, with a remedy."""
    place.remove(topics.labels)
    with Producer(place.bootstrap) as producer, pytest.raises(NoTopic, match=r"ml\.labels"):
        producer.send(label(1))
    with (
        Producer("127.0.0.1:1", timeout=1.0) as nowhere,
        pytest.raises(Unavailable, match="no Kafka broker answers"),
    ):
        nowhere.send(label(1))


def test_a_full_queue_makes_send_wait(place: Place) -> None:
    """Ten thousand events through a queue of a hundred: all arrive, none is refused."""
    with Producer(place.bootstrap, kafka={"queue.buffering.max.messages": 100}) as producer:
        for number in range(10_000):
            producer.send(label(number))
    assert 10_000 == len(labels(place))


def test_our_own_settings_are_not_overridden(place: Place) -> None:
    """Idempotence and the partitioner are promises."""
    with pytest.raises(BadOption, match="acks"):
        Producer(place.bootstrap, kafka={"acks": "1"})


class Order(Value, frozen=True):
    """A value of a user's own."""

    number: str
    paid_sat: int


def test_types_of_your_own_are_sent_and_read(place: Place) -> None:
    """A class and a topic made in the program travel like ours."""
    event_type("shop.order.v1", Order, key=lambda v: v.number, identity=lambda v: (v.number,))
    orders: Topic[Order] = Topic("shop.orders", "any", "orders", "shop.order.v1", source=True)
    try:
        place.create((orders,), {})
        with Producer(place.bootstrap) as producer:
            with pytest.raises(Refused, match="pass topic="):
                producer.send(Order("7", 5))
            producer.send(Order("7", 5), topic=orders)
        with Consumer(place.bootstrap, orders, until="end") as found:
            assert [5] == [record.value.paid_sat for record in found]
    finally:
        forget("shop.order.v1")
