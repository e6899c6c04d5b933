"""No way in, or no right: one line of cause, one of remedy."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

RIGHTS = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "topic",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "group",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "cluster",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "transactional id",
}
"""What a right is missing on, by Kafka's error."""
REMEDY = "`streams topics acls` prints the rights that each role needs; give them to our principal"


class WireError(RuntimeError):
    """The broker refuses us, or we do not trust it; waiting does not help."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}: {remedy}")
        self.cause, self.remedy = cause, remedy


class BadWire(WireError):
    """The settings of the section [kafka] do not fit together."""


class NoToken(WireError):
    """There is no token to show to the broker."""


class NoRight(WireError):
    """The broker knows us, and does not let us do something."""


def groupless(error: KafkaError) -> bool:
    """Whether an error is about the group that librdkafka wants a name for and nobody joins."""
    return bool(error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED)


def no_right(error: BaseException | KafkaError | None, doing: str) -> NoRight | None:
    """A right that was missing while ``doing`` something; None for every other error.

    What an exception was raised from counts too.
    """
    if isinstance(error, KafkaException):
        found = no_right(error.args[0], doing)
    elif isinstance(error, KafkaError):
        kind = RIGHTS.get(error.code())
        return None if kind is None else NoRight(
            f"Kafka does not let us {doing}: a right on the {kind} is missing ({error.name()})",
            REMEDY,
        )  # fmt: skip
    else:
        found = None
    cause = getattr(error, "__cause__", None)
    return found or (None if cause is None else no_right(cause, doing))
