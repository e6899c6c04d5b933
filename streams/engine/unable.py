"""Brokers that cannot give a task its transactions, and what to set: waiting does not help."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

from streams.wire.errors import WireError

_CAUSES = {
    KafkaError.INVALID_TRANSACTION_TIMEOUT: (
        "the brokers let no transaction be open for {0} ms (engine.transaction_timeout_ms)",
        "set transaction.max.timeout.ms={0} or more on all of them, or ask for less",
    ),
    KafkaError._UNSUPPORTED_FEATURE: (
        "the brokers have no transactions, and no checkpoint can be written without",
        "use Apache Kafka 2.5 or later, or a broker as able",
    ),
}
_CAUSES[KafkaError.UNSUPPORTED_VERSION] = _CAUSES[KafkaError._UNSUPPORTED_FEATURE]


class NoTransactions(WireError):
    """The brokers do not let us have transactions as ours are."""


def unable(error: BaseException | None, timeout_ms: int) -> NoTransactions | None:
    """Why the brokers cannot, asked for transactions of ``timeout_ms``; None for other errors."""
    reason = error.args[0] if isinstance(error, KafkaException) else None
    found = None if reason is None else _CAUSES.get(reason.code())
    return None if found is None else NoTransactions(*(words.format(timeout_ms) for words in found))
