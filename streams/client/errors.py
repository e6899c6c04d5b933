"""What can go wrong for a program that uses the client: one line of cause, one of remedy."""

from __future__ import annotations


class ClientError(RuntimeError):
    """Base of this package's errors; ``cause`` and ``remedy`` are one line each."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}: {remedy}")
        self.cause, self.remedy = cause, remedy


class BadOption(ClientError, ValueError):
    """An argument, or a use of the client, that cannot work."""


class Unavailable(ClientError):
    """The broker does not answer, or it refuses us."""


class NoTopic(ClientError):
    """The broker has no such topic."""


class TimedOut(ClientError, TimeoutError):
    """Nothing went on for ``timeout`` seconds where something had to."""


class NotCommitted(ClientError):
    """The group's positions were not stored: what was processed since will come again."""


class Refused(ClientError, ValueError):
    """A value is not sent: it cannot be true, or not written to this topic."""


class NotDelivered(ClientError):
    """The broker does not have some of what was sent; ``ids`` are its events."""

    def __init__(
        self, cause: str, remedy: str, ids: tuple[str, ...] = (), kafka_code: int | None = None
    ) -> None:
        super().__init__(cause, remedy)
        self.ids, self.kafka_code = ids, kafka_code


class Fenced(ClientError):
    """Another producer has taken this transactional id over; this one can write no more."""
