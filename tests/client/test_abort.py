"""What is given up is gone when the call returns, and takes nothing that comes later along."""

from __future__ import annotations

from confluent_kafka import KafkaError, Message
from confluent_kafka import Producer as Librdkafka

from bench.harness import load
from streams import topics
from streams.client.sending import Sender, Whole, give_up
from streams.client.transactions import Transactions
from tests.client.place import PARTITIONS, Place

RECORDS = 8_000
ROUNDS = 60


def test_librdkafka_has_given_up_what_it_held_when_it_returns(place: Place) -> None:
    """confluent-kafka has its ``blocking`` the wrong way round; who mends that makes this fail."""
    told: list[int | None] = []

    def tell(error: KafkaError | None, message: Message) -> None:
        told.append(None if error is None else error.code())

    producer = Librdkafka({"bootstrap.servers": place.bootstrap, "linger.ms": 60_000})
    producer.list_topics(topics.labels.name, timeout=10)
    for number in range(RECORDS):
        producer.produce(topics.labels.name, b"x", None, number % PARTITIONS, on_delivery=tell)
    give_up(producer)
    producer.poll(0)
    assert [KafkaError._PURGE_QUEUE] * RECORDS == told


def test_the_first_record_after_an_abort_is_kept(place: Place) -> None:
    """However soon it comes.

    ::

        begin  -1-  abort | begin -2- commit | begin  -3-  abort | ...
    """
    sender = Sender(place.bootstrap, {}, 30.0, "abort")
    transactions = Transactions(sender)
    transactions.fence()

    def put(number: int) -> None:
        value = b"%d" % number
        sender.put(value.decode(), Whole(topics.labels.name, value, None, number % PARTITIONS, []))

    for number in range(ROUNDS):
        transactions.begin()
        put(-number)
        transactions.abort()
        transactions.begin()
        put(number)
        transactions.commit()
    found = load.messages(place.bootstrap, topics.labels.name, PARTITIONS)
    kept = sorted(int(m.value() or b"") for m in found)
    assert list(range(ROUNDS)) == kept
