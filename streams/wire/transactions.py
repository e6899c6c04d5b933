"""Questions about transactions that no client library asks: requests 61, 65 and 66 of Kafka.

Brokers answer them since 3.0 (KIP-664). Field names and types are those of Kafka's own
``DescribeProducers``, ``DescribeTransactions`` and ``ListTransactions`` message definitions.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

TEXT = CompactString("utf-8")
TAGS = ("tags", TaggedFields)
Topics = Sequence[tuple[str, Sequence[int]]]
"""Topics and their partitions."""


class DescribeProducersResponse(Response):  # type: ignore[misc]
    """Who writes to partitions, as their leader knows it."""

    API_KEY = 61
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("name", TEXT),
                (
                    "partitions",
                    CompactArray(
                        ("partition_index", Int32),
                        ("error_code", Int16),
                        ("error_message", TEXT),
                        (
                            "active_producers",
                            CompactArray(
                                ("producer_id", Int64),
                                ("producer_epoch", Int32),
                                ("last_sequence", Int32),
                                ("last_timestamp", Int64),
                                ("coordinator_epoch", Int32),
                                ("current_txn_start_offset", Int64),
                                TAGS,
                            ),
                        ),
                        TAGS,
                    ),
                ),
                TAGS,
            ),
        ),
        TAGS,
    )


class DescribeProducersStruct(RequestStruct):  # type: ignore[misc]
    """Asks the leader of partitions."""

    FLEXIBLE_VERSION = True
    API_KEY = 61
    API_VERSION = 0
    RESPONSE_TYPE = DescribeProducersResponse
    SCHEMA = Schema(
        ("topics", CompactArray(("name", TEXT), ("partition_indexes", CompactArray(Int32)), TAGS)),
        TAGS,
    )


class DescribeProducers(Request[DescribeProducersStruct]):  # type: ignore[misc]
    """Who writes to partitions; to be sent to their leader."""

    API_KEY = 61

    def __init__(self, topics: Topics) -> None:
        self._topics: list[tuple[str, list[int], dict[int, bytes]]] = [
            (name, list(partitions), {}) for name, partitions in topics
        ]

    def build(self, struct: type[DescribeProducersStruct]) -> DescribeProducersStruct:
        return struct(self._topics, {})


class DescribeTransactionsResponse(Response):  # type: ignore[misc]
    """What a coordinator knows of transactional ids."""

    API_KEY = 65
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "transaction_states",
            CompactArray(
                ("error_code", Int16),
                ("transactional_id", TEXT),
                ("transaction_state", TEXT),
                ("transaction_timeout_ms", Int32),
                ("transaction_start_time_ms", Int64),
                ("producer_id", Int64),
                ("producer_epoch", Int16),
                (
                    "topics",
                    CompactArray(("topic", TEXT), ("partitions", CompactArray(Int32)), TAGS),
                ),
                TAGS,
            ),
        ),
        TAGS,
    )


class DescribeTransactionsStruct(RequestStruct):  # type: ignore[misc]
    """Asks the coordinator of transactional ids."""

    FLEXIBLE_VERSION = True
    API_KEY = 65
    API_VERSION = 0
    RESPONSE_TYPE = DescribeTransactionsResponse
    SCHEMA = Schema(("transactional_ids", CompactArray(TEXT)), TAGS)


class DescribeTransactions(Request[DescribeTransactionsStruct]):  # type: ignore[misc]
    """State of transactional ids; to be sent to their coordinator."""

    API_KEY = 65

    def __init__(self, ids: Sequence[str]) -> None:
        self._ids = list(ids)

    def build(self, struct: type[DescribeTransactionsStruct]) -> DescribeTransactionsStruct:
        return struct(self._ids, {})


class ListTransactionsResponse(Response):  # type: ignore[misc]
    """The transactional ids that a broker coordinates."""

    API_KEY = 66
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("unknown_state_filters", CompactArray(TEXT)),
        (
            "transaction_states",
            CompactArray(
                ("transactional_id", TEXT),
                ("producer_id", Int64),
                ("transaction_state", TEXT),
                TAGS,
            ),
        ),
        TAGS,
    )


class ListTransactionsStruct(RequestStruct):  # type: ignore[misc]
    """Asks a broker."""

    FLEXIBLE_VERSION = True
    API_KEY = 66
    API_VERSION = 0
    RESPONSE_TYPE = ListTransactionsResponse
    SCHEMA = Schema(
        ("state_filters", CompactArray(TEXT)), ("producer_id_filters", CompactArray(Int64)), TAGS
    )


class ListTransactions(Request[ListTransactionsStruct]):  # type: ignore[misc]
    """Transactions in these states; to be sent to every broker: each knows its own."""

    API_KEY = 66

    def __init__(self, states: Sequence[str]) -> None:
        self._states = list(states)

    def build(self, struct: type[ListTransactionsStruct]) -> ListTransactionsStruct:
        return struct(self._states, [], {})
