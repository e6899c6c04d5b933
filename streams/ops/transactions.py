"""Transactions that are not over, and whose they are: asked of the brokers themselves.

The leader of a partition knows the producers that write to it, by number; the coordinator of a
transaction knows the name behind the number, since when it is open, and when Kafka will end it.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.structs import TopicPartition

from streams.engine.checkpoint import Transactions
from streams.engine.mover import Place
from streams.ops.admin import OpsError
from streams.wire.mapping import aiokafka_settings
from streams.wire.transactions import DescribeProducers, DescribeTransactions, ListTransactions

OPEN = ("Ongoing", "PrepareCommit", "PrepareAbort")
"""The states in which readers of committed data wait."""
ASK_SECONDS = 10.0
T = TypeVar("T")


class CannotAsk(OpsError):
    """The brokers do not tell who has transactions open."""

    code = 4


class NoTransaction(OpsError):
    """There is no open transaction of that name."""

    code = 2


class Transaction(msgspec.Struct, frozen=True):
    """One that is not over, as its coordinator knows it."""

    transactional_id: str
    state: str
    """``Ongoing``: its writer may write more; ``Prepare...``: Kafka is about to end it."""
    age_s: float
    timeout_s: float
    """The age at which Kafka ends it by itself, within 10 s (`transaction.timeout.ms`)."""
    producer_id: int
    epoch: int
    coordinator: str
    """The broker that knows this: its id and address."""
    partitions: list[str]
    """``topic/partition`` that it has written to."""


class Holder(msgspec.Struct, frozen=True):
    """Who keeps the readers of one partition waiting."""

    offset: int
    """Of its first record there."""
    producer_id: int
    epoch: int
    written_s: float
    """How long ago it wrote its last record there."""
    transaction: Transaction | None
    """None: we may not see it, or no coordinator knows it and nobody will end it."""

    @property
    def name(self) -> str:
        """Its transactional id, or its number."""
        known = self.transaction
        return f"producer {self.producer_id}" if known is None else known.transactional_id

    @property
    def age_s(self) -> float:
        """Since when it is open, as far as is known."""
        return self.written_s if self.transaction is None else self.transaction.age_s


class _Listed(msgspec.Struct, frozen=True):
    """Of ListTransactions."""

    transactional_id: str


class _Written(msgspec.Struct, frozen=True):
    """A topic of a transaction."""

    topic: str
    partitions: list[int]


class _Described(msgspec.Struct, frozen=True):
    """Of DescribeTransactions."""

    transactional_id: str
    transaction_state: str
    transaction_timeout_ms: int
    transaction_start_time_ms: int
    producer_id: int
    producer_epoch: int
    topics: list[_Written]


class _Producer(msgspec.Struct, frozen=True):
    """Who writes to a partition."""

    producer_id: int
    producer_epoch: int
    last_timestamp: int
    current_txn_start_offset: int


class _Part(msgspec.Struct, frozen=True):
    """A partition of a topic."""

    partition_index: int
    active_producers: list[_Producer]


class _Topic(msgspec.Struct, frozen=True):
    """Of DescribeProducers."""

    name: str
    partitions: list[_Part]


def remedy(bootstrap: str, place: Place, offset: int, holder: Holder | None) -> str:
    """How to end the transaction whose first record lies there.

    >>> remedy("k:9092", Place("bids", 3), 17, None)
    'kafka-transactions.sh --bootstrap-server k:9092 abort --topic bids --partition 3 --start-offset 17'
    """  # noqa: E501
    known = None if holder is None else holder.transaction
    if known is None:
        where = f"--topic {place.topic} --partition {place.partition} --start-offset {offset}"
        return f"kafka-transactions.sh --bootstrap-server {bootstrap} abort {where}"
    if known.state != "Ongoing":
        return "see that all brokers run: the coordinator cannot finish it"
    return f"streams transactions abort {known.transactional_id}"


def open_transactions(kafka: Mapping[str, Any]) -> list[Transaction]:
    """Every one that we may see, the oldest first; raises CannotAsk."""
    found = _ask(kafka, _transactions)
    return sorted(found, key=lambda t: (-t.age_s, t.transactional_id))


def holders(kafka: Mapping[str, Any], places: Iterable[Place]) -> dict[Place, Holder]:
    """Who keeps the readers of these partitions waiting, where anybody does; raises CannotAsk."""
    wanted = list(places)

    async def both(client: Any) -> dict[Place, Holder]:
        # ids may be hidden from us, numbers are not
        known = {t.producer_id: t for t in await _transactions(client)}
        return await _holders(client, wanted, known)

    return _ask(kafka, both) if wanted else {}


def abort(kafka: Mapping[str, Any], transactional_id: str) -> Transaction:
    """End the open transaction of this id, and shut out whoever has it open.

    Raises NoTransaction, CannotAsk, or KafkaException.
    """
    found = {t.transactional_id: t for t in open_transactions(kafka)}
    if transactional_id not in found:
        raise NoTransaction(
            f"{transactional_id} has no open transaction, or we may not see it",
            "`streams transactions ls` shows all that we may see",
        )
    writing = Transactions(dict(kafka), transactional_id)
    deadline = time.monotonic() + ASK_SECONDS
    try:
        writing.fence(lambda: time.monotonic() < deadline)
    finally:
        writing.close()
    return found[transactional_id]


def _ask(kafka: Mapping[str, Any], question: Callable[[Any], Awaitable[T]]) -> T:
    async def asked() -> T:
        client = AIOKafkaClient(**aiokafka_settings(kafka), request_timeout_ms=5000)
        try:
            async with asyncio.timeout(ASK_SECONDS):
                await client.bootstrap()
                return await question(client)
        finally:
            await client.close()

    try:
        return asyncio.run(asked())
    except (KafkaError, TimeoutError, NotImplementedError) as error:
        raise CannotAsk(
            f"the brokers do not tell who has transactions open ({type(error).__name__})",
            "they must be Kafka 3.0 or later, and let us DESCRIBE transactional ids",
        ) from error


def requests_known(kafka: Mapping[str, Any]) -> frozenset[int]:
    """Numbers of the requests that every broker answers; raises CannotAsk."""

    async def known(client: Any) -> frozenset[int]:
        found: list[set[int]] = []
        for broker in client.cluster.brokers():
            answer = await client.send(broker.nodeId, ApiVersionRequest())
            found.append({key for key, *_ in answer.api_versions or ()})
        return frozenset(set.intersection(*found)) if found else frozenset()

    return _ask(kafka, known)


def _rows(answer: Any, name: str, kind: type[T]) -> list[T]:
    """A list of an answer; raises CannotAsk where a part of it is left out."""
    try:
        return msgspec.convert(answer.to_object()[name], list[kind])  # type: ignore[valid-type]
    except (TypeError, msgspec.ValidationError) as error:
        raise CannotAsk(
            f"a broker's {type(answer).__name__} is none of Kafka's ({error})",
            "see what answers at its address",
        ) from error


async def _transactions(client: Any) -> list[Transaction]:
    found: list[Transaction] = []
    for broker in client.cluster.brokers():
        listed = await client.send(broker.nodeId, ListTransactions(OPEN))
        ids = [one.transactional_id for one in _rows(listed, "transaction_states", _Listed)]
        if not ids:
            continue
        described = await client.send(broker.nodeId, DescribeTransactions(ids))
        where = f"{broker.nodeId} ({broker.host}:{broker.port})"
        states = _rows(described, "transaction_states", _Described)
        found += [_transaction(one, where) for one in states if one.transaction_state in OPEN]
    return found


def _transaction(one: _Described, coordinator: str) -> Transaction:
    return Transaction(
        one.transactional_id,
        one.transaction_state,
        _ago(one.transaction_start_time_ms),
        one.transaction_timeout_ms / 1000,
        one.producer_id,
        one.producer_epoch,
        coordinator,
        [f"{t.topic}/{p}" for t in one.topics for p in sorted(t.partitions)],
    )


async def _holders(
    client: Any, places: Iterable[Place], known: Mapping[int, Transaction]
) -> dict[Place, Holder]:
    found: dict[Place, Holder] = {}
    client.set_topics({place.topic for place in places})
    await client.force_metadata_update()
    for leader, topics in _by_leader(client, places).items():
        answer = await client.send(leader, DescribeProducers(list(topics.items())))
        for topic in _rows(answer, "topics", _Topic):
            for part in topic.partitions:
                first = _first(part.active_producers, known)
                if first is not None:
                    found[Place(topic.name, part.partition_index)] = first
    return found


def _by_leader(client: Any, places: Iterable[Place]) -> dict[int, dict[str, list[int]]]:
    found: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place in places:
        leader = client.cluster.leader_for_partition(TopicPartition(*place))
        if leader is not None and leader >= 0:  # else it moves just now
            found[leader][place.topic].append(place.partition)
    return found


def _first(producers: Iterable[_Producer], known: Mapping[int, Transaction]) -> Holder | None:
    """The open transaction that began first: readers stand at its first record."""
    open_ = [one for one in producers if one.current_txn_start_offset >= 0]
    if not open_:
        return None
    one = min(open_, key=lambda one: one.current_txn_start_offset)
    return Holder(
        one.current_txn_start_offset,
        one.producer_id,
        one.producer_epoch,
        _ago(one.last_timestamp),
        known.get(one.producer_id),
    )


def _ago(ms: int) -> float:
    return round(max(0.0, time.time() - ms / 1000), 1)
