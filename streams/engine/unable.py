"""Brokers that cannot give a task its transactions, and what to set: waiting does not help."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

from streams.engine.checkpoint import WRITE
from streams.wire.errors import WireError

OURS_MS = int(WRITE["transaction.timeout.ms"])
_CAUSES = {
    KafkaError.INVALID_TRANSACTION_TIMEOUT: (
        f"the brokers let no transaction be open for {OURS_MS} ms",
        f"set transaction.max.timeout.ms={OURS_MS} or more on all of them",
    ),
    KafkaError._UNSUPPORTED_FEATURE: (
        "the brokers have no transactions, and no checkpoint can be written without",
        "use Apache Kafka 2.5 or later, or a broker as able",
    ),
}
_CAUSES[KafkaError.UNSUPPORTED_VERSION] = _CAUSES[KafkaError._UNSUPPORTED_FEATURE]


class NoTransactions(WireError):
    """The brokers do not let us have transactions as ours are."""


def unable(error: BaseException | None) -> NoTransactions | None:
    """Why the brokers cannot; None for every other error."""
    reason = error.args[0] if isinstance(error, KafkaException) else None
    found = None if reason is None else _CAUSES.get(reason.code())
    return None if found is None else NoTransactions(*found)
