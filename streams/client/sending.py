"""A librdkafka producer that loses nothing silently: who was not delivered is known by id."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as Librdkafka

from schemas.headers import Headers
from streams.client.compose import Composed
from streams.client.errors import BadOption, ClientError, Fenced, NotDelivered, NoTopic
from streams.client.librdkafka import REFUSED, client_of, explained, patiently
from streams.topics import Topic

OPTIONS: dict[str, Any] = {
    "enable.idempotence": True,
    "acks": "all",
    "partitioner": "murmur2_random",
    "compression.type": "lz4",
    "linger.ms": 5,
    "message.max.bytes": 17 << 20,
    "queue.buffering.max.kbytes": 65536,
}
SLICE_SECONDS = 0.1
FORGET_SECONDS = 1.0
BLAMES_RECORD = (
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.INVALID_MSG,
    KafkaError.INVALID_RECORD,
    KafkaError.INVALID_TIMESTAMP,
    KafkaError._INVALID_ARG,
)
"""What the broker will never take, however often it is sent."""
FELL_WITH_ANOTHER = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)
"""Undone with a transaction; right after a refusal librdkafka does that to the next one, too."""
_OURS = ("bootstrap.servers", "enable.idempotence", "acks", "partitioner", "transactional.id")
Told = Callable[[ClientError | None], None]
"""Receives the outcome of one delivery."""


class Whole(NamedTuple):
    """A record, part by part."""

    topic: str
    value: bytes | None
    key: bytes | None
    partition: int
    headers: Headers
    ts: int = 0
    """Its time (ms), where the topic keeps what its producer says; 0 is now."""


class Sender:
    """Queues records, and keeps the ids of those that are under way or failed."""

    def __init__(
        self, bootstrap: str, kafka: Mapping[str, Any], timeout: float, transactional_id: str | None
    ) -> None:
        for name in kafka:
            if name in _OURS:
                raise BadOption(f"kafka={{{name!r}: ...}} is the client's own setting",
                                "leave it out")  # fmt: skip
        self.bootstrap, self.timeout, self.kafka = bootstrap, timeout, kafka
        config = {**OPTIONS, "delivery.timeout.ms": round(timeout * 1000), **kafka}
        config["bootstrap.servers"] = bootstrap
        if transactional_id is not None:
            config["transactional.id"] = transactional_id
            config["transaction.timeout.ms"] = round(timeout * 1000)
        self.librdkafka: Librdkafka = client_of(Librdkafka, config)
        self.under_way: dict[int, str] = {}
        """Number of the sending to event id."""
        self._failed: list[tuple[str, KafkaError]] = []
        self._counts: dict[str, int] = {}
        self._sent = 0

    def knows(self, topic: str) -> bool:
        """Whether the partition count is known already."""
        return topic in self._counts

    def partitions(self, topic: str) -> int:
        """Partition count, asked for once; raises NoTopic or Unavailable."""
        if topic not in self._counts:
            ask = partial(self.librdkafka.list_topics, topic)
            found = patiently(ask, self.bootstrap, self.timeout, self.kafka).topics[topic]
            if found.error is not None and found.error.code() in REFUSED:
                raise explained(KafkaException(found.error), self.bootstrap)
            if found.error is not None:
                raise NoTopic(
                    f"the broker at {self.bootstrap} has no topic {topic} ({found.error.str()})",
                    "create the topics with `streams topics apply`",
                )
            self._counts[topic] = len(found.partitions)
        return self._counts[topic]

    def send(self, record: Composed, told: Told | None = None) -> list[int]:
        """Queue a record, to every partition of a broadcast topic; waits while the queue is full.

        Returns the numbers under which it is under way. Raises NotDelivered, also of earlier ones.
        """
        deadline = time.monotonic() + self.timeout
        numbers = []
        for partition in self.places(record.topic):
            while (number := self.queue(record, partition, told)) is None:
                _served(self.librdkafka.poll)
                if time.monotonic() > deadline:
                    raise self.too_slow((record.id,))
            numbers.append(number)
        self.librdkafka.poll(0)
        self.check()
        return numbers

    def places(self, topic: Topic) -> tuple[int, ...]:
        """The partitions that a record goes to, -1: the one of its key; raises NoTopic."""
        count = self.partitions(topic.name)
        return tuple(range(count)) if topic.broadcast else (-1,)

    def queue(self, record: Composed, partition: int, told: Told | None = None) -> int | None:
        """Queue a record; None while the queue is full. Raises NotDelivered or Fenced."""
        whole = (record.topic.name, record.value, record.key, partition, record.headers)
        return self.put(record.id, Whole(*whole), told)

    def put(self, id: str, whole: Whole, told: Told | None = None) -> int | None:
        """The same for a record as it is; ``id`` names it in errors."""
        self._sent += 1
        number = self._sent
        self.under_way[number] = id
        try:
            self.librdkafka.produce(
                whole.topic,
                whole.value,
                whole.key,
                whole.partition,
                on_delivery=partial(self._delivered, number, told),
                timestamp=whole.ts,
                headers=whole.headers,  # type: ignore[arg-type]
            )
        except BufferError:
            del self.under_way[number]
            return None
        except KafkaException as error:
            del self.under_way[number]
            raise refusal(error.args[0], (id,)) from error
        return number

    def _delivered(
        self, number: int, told: Told | None, error: KafkaError | None, message: Message
    ) -> None:
        id = self.under_way.pop(number)
        if told is not None:
            told(None if error is None else refusal(error, (id,)))
        elif error is not None:
            self._failed.append((id, error))

    def wait_for(self, numbers: list[int]) -> None:
        """Wait until the broker has these records; raises NotDelivered."""
        deadline = time.monotonic() + self.timeout + 1
        while any(number in self.under_way for number in numbers):
            _served(self.librdkafka.poll)
            if time.monotonic() > deadline:
                raise self.too_slow(tuple(self.under_way.values()))
        self.check()

    def flush(self) -> None:
        """Wait until the broker has everything; raises NotDelivered."""
        deadline = time.monotonic() + self.timeout + 1
        while self._flushing():
            self.check()
            if time.monotonic() > deadline:
                raise self.too_slow(tuple(self.under_way.values()))
        self.check()

    def _flushing(self) -> bool:
        try:
            return bool(_served(self.librdkafka.flush))
        except KafkaException as error:
            raise refusal(error.args[0], tuple(self.under_way.values())) from error

    def check(self) -> None:
        """Raise NotDelivered with the ids of all that failed since the last time."""
        if self._failed:
            cause = self._first_cause()
            failed, self._failed = self._failed, []
            raise refusal(cause, tuple(id for id, _ in failed))

    def _first_cause(self) -> KafkaError:
        """Why the first record failed: those that fell with it may be told of before it is."""
        deadline = time.monotonic() + FORGET_SECONDS
        while True:
            causes = [error for _, error in self._failed if error.code() not in FELL_WITH_ANOTHER]
            if causes or not self.under_way or time.monotonic() > deadline:
                return next(iter(causes), self._failed[0][1])
            _served(self.librdkafka.poll)

    def forget(self) -> None:
        """Give up what is under way; nobody is told of it."""
        if self.under_way:
            give_up(self.librdkafka)
        self.settle()

    def settle(self) -> None:
        """Wait until nothing is under way; nobody is told of it."""
        deadline = time.monotonic() + FORGET_SECONDS
        while self.under_way and time.monotonic() < deadline:
            _served(self.librdkafka.poll)
        self._failed.clear()

    def too_slow(self, ids: tuple[str, ...]) -> NotDelivered:
        """What to raise when the broker took nothing for ``timeout`` seconds."""
        return NotDelivered(
            f"{len(ids)} events were not taken by {self.bootstrap} within {self.timeout} s",
            "see that the broker runs; sending them again is safe, their ids stay the same",
            ids,
        )


def give_up(librdkafka: Librdkafka) -> None:
    """Have librdkafka drop what it holds, and wait until it has.

    confluent-kafka 2.16.1 takes ``blocking`` the wrong way round. One that does not wait may drop
    the first record of the transaction after it, too.
    """
    librdkafka.purge(blocking=False)


def _served(call: Callable[[float], int]) -> int:
    """Have librdkafka call back for a slice of time; a Ctrl-C that comes meanwhile is one.

    Where it comes in a callback confluent-kafka loses it, and Python says that of the call.
    """
    try:
        return call(SLICE_SECONDS)
    except SystemError as error:
        raise KeyboardInterrupt from error


def refusal(error: KafkaError, ids: tuple[str, ...]) -> ClientError:
    """Why events were not delivered, in words."""
    words = f"{len(ids)} events were not delivered ({error.name()}: {error.str()})"
    if error.fatal() or error.code() in (KafkaError._FENCED, KafkaError.PRODUCER_FENCED):
        return Fenced(
            f"this producer can write no more ({error.name()}: {error.str()})",
            "another one may have taken its transactional_id: give each process its own",
        )
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return NotDelivered(words, "make the value smaller, or raise the topic's"
                            " max.message.bytes", ids, error.code())  # fmt: skip
    if error.code() in BLAMES_RECORD:
        return NotDelivered(words, "write to a topic that takes such records", ids, error.code())
    if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
        return NotDelivered(words, "let this user write to the topic", ids)
    return NotDelivered(
        words, "see that the broker runs; sending them again is safe, their ids stay the same", ids,
        error.code(),
    )  # fmt: skip
