"""A checkpoint: one Kafka transaction with a task's outputs, state changes and position.

What to do on each error was measured on Apache Kafka 4.3.1:

=============================  ==================================================================
fatal, or fenced               somebody else owns the task: the process ends; a transaction that
                               timed out looks the same (``retake``)
retriable at commit or abort   the same call again (at commit an abort would conflict)
anything else                  abort, put state and outputs back, try at the next interval
failed abort                   as fenced
=============================  ==================================================================
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Producer

from schemas.headers import Headers
from streams.engine.stages import Stage
from streams.tuning import EngineTuning

WRITE: dict[str, Any] = {
    "transaction.timeout.ms": EngineTuning().transaction_timeout_ms,
    "linger.ms": 50,  # a commit flushes at once: until then fuller batches
    "delivery.report.only.error": True,  # Python is told of nothing else: a flush waits for all
    "log_level": 2,  # a broker that is away would fill the log
    "retry.backoff.ms": 10,
    "batch.size": 1_000_000,
    "batch.num.messages": 20_000,
    "message.max.bytes": 17 << 20,
    "queue.buffering.max.messages": 2_000_000,
    "queue.buffering.max.kbytes": 1 << 20,
    "partitioner": "murmur2_random",
    "compression.type": "lz4",
}
COORDINATORS = "__transaction_state"
INIT_SECONDS = 5
COMMIT_SECONDS = 7
"""No divisor of the time after which a transaction is aborted: a call that ends with it could take
the answer of one for that of the other."""
FULL_SECONDS = 10.0
"""How long a full queue may not get emptier before a checkpoint fails."""
ABORTS = 3
"""How often a transaction that has to be aborted, as librdkafka says, is."""
ABORT_SECONDS = 5


FENCES = frozenset({
    KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH,
})  # fmt: skip


class Fenced(Exception):
    """Somebody else owns this task now, or its producer is broken beyond repair."""

    broken = False
    """Whether it is only that: no other owner, and no timeout, looks like it."""

    @classmethod
    def by(cls, reason: KafkaError, words: str) -> Fenced:
        """What a reason amounts to."""
        found = cls(words)
        found.broken = reason.code() not in FENCES
        return found


class Output(NamedTuple):
    """One record to write; partition None: chosen by the key (murmur2, as Java clients do)."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers | None = None
    partition: int | None = None


Written = tuple[str, bytes | None, bytes | None, Headers | None, int | None]
"""An ``Output`` as a plain tuple: made quicker, and there are many."""


def produce(producer: Producer, outputs: Iterable[Written], patience: float = FULL_SECONDS) -> None:
    """Hand records to a producer, as quickly as it takes them; raises KafkaException.

    Raises BufferError where its queue has been full for ``patience`` seconds.
    """
    one: Any = producer.produce
    for number, (topic, key, value, headers, partition) in enumerate(outputs):
        at = -1 if partition is None else partition
        try:
            if headers is None:
                one(topic, value, key, at)
            else:
                one(topic, value, key, at, headers=headers)
        except BufferError:
            _insist(producer, partial(one, topic, value, key, at, headers=headers), patience)
        if number % 10_000 == 9_999:
            producer.poll(0)


def _insist(producer: Producer, one: Callable[[], None], patience: float) -> None:
    """Hand over a record for which there is no room yet."""
    deadline = time.monotonic() + patience
    while True:
        producer.poll(min(0.1, patience))
        try:
            return one()
        except BufferError:
            if time.monotonic() > deadline:
                raise


class Transactions:
    """The transactional producer of one task: its transactional id is the fence."""

    wanted: Callable[[], bool] = staticmethod(lambda: True)
    """Whether to wait for brokers that are away: a source that is told to end does not, and leaves
    a commit that nobody answered to the next owner. A worker waits until its watchdog ends it."""

    def __init__(self, config: dict[str, Any], transactional_id: str) -> None:
        self.id = transactional_id
        self._config = {**WRITE, **config, "transactional.id": transactional_id}
        self.producer: Producer | None = self._made()

    def _made(self) -> Producer:
        return Producer(self._config)

    def renew(self, wanted: Callable[[], bool]) -> None:
        """Take the id again, with a new producer: the old one is fenced for good."""
        if self.producer is None:
            raise Fenced(f"{self.id}: the producer is closed")
        self.producer = self._made()
        self.fence(wanted)

    def fence(self, wanted: Callable[[], bool] = lambda: True) -> None:
        """Take the id over: from here on nothing of an older owner can be written.

        Waits for a broker that is away, for as long as it is ``wanted``.
        """
        while wanted() and self.producer is not None:
            try:
                # a producer that is not connected yet looks for its coordinator every 0.5 s only
                with suppress(KafkaException):
                    self.producer.list_topics(COORDINATORS, timeout=INIT_SECONDS)
                self.producer.init_transactions(INIT_SECONDS)
                return
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise

    def commit(self, outputs: Iterable[Written]) -> None:
        """Write ``outputs`` in one transaction; raises Fenced, or KafkaException after an abort."""
        producer = self.producer
        if producer is None:
            raise Fenced(f"{self.id}: the producer is closed")
        try:
            with Stage.BEGIN:
                producer.begin_transaction()
            produce(producer, outputs)
            self._commit(producer)
        except (KafkaException, BufferError) as error:
            self._abort(producer, error)
            raise

    def _commit(self, producer: Producer) -> None:
        while True:
            try:
                with Stage.COMMIT:
                    producer.commit_transaction(COMMIT_SECONDS)
                return
            except KafkaException as error:
                if not error.args[0].retriable() or not self.wanted():
                    raise

    def _abort(self, producer: Producer, error: Exception) -> None:
        reason = error.args[0] if isinstance(error, KafkaException) else None
        if reason is not None and reason.fatal():
            raise Fenced.by(reason, f"{self.id}: {reason.name()} {reason.str()}") from error
        tries = count(1)
        while self.wanted():
            try:
                with Stage.ABORT:
                    producer.abort_transaction(ABORT_SECONDS)
                return
            except KafkaException as worse:
                reason = worse.args[0]
                again = reason.txn_requires_abort() and next(tries) < ABORTS
                if not reason.retriable() and not again:
                    words = (
                        f"{self.id}: abort failed: {reason.name()} {reason.str()}, after {error}"
                    )
                    raise Fenced.by(reason, words) from error

    def close(self) -> None:
        """Forget the producer; an open transaction is aborted by the next owner's fence."""
        if self.producer is not None:
            self.producer.purge()
            self.producer = None
