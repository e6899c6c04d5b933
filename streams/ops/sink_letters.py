"""Records that a sink cannot store go to the dead letters, byte-identical, with the reason."""

from __future__ import annotations

from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from schemas.headers import Headers
from sinks.base import SinkError
from streams import topics
from streams.client import Read
from streams.client.sending import OPTIONS
from streams.engine.guard import Letter, letter

QUIET = {"delivery.timeout.ms": 30_000, "log_level": 0}
CAUSE = b"sink_refused"


class SinkLetters:
    """Writes dead letters; a record is one of them for good when ``send`` returns.

    A sink that is killed before its position has passed the record writes the letter again.
    """

    def __init__(self, bootstrap: str, name: str, kafka: dict[str, Any] | None = None) -> None:
        self._bootstrap, self._kafka, self.step = bootstrap, kafka or {}, f"sink:{name}"
        self._producer: Producer | None = None
        self._failed: KafkaError | None = None

    def send(self, read: Read, error: SinkError) -> None:
        """Write the letter of a record; raises KafkaException when the broker does not take it."""
        content = sink_letter(read, self.step, error)
        producer = self._producer = self._producer or self._open()
        producer.produce(
            topics.dead_letters.name,
            content.value,
            content.key,
            on_delivery=self._delivered,
            headers=content.headers,  # type: ignore[arg-type]
        )
        while producer.flush(1.0) and self._failed is None:
            pass
        if self._failed is not None:
            raise KafkaException(self._failed)

    def _open(self) -> Producer:
        own = {"bootstrap.servers": self._bootstrap, **QUIET}
        return Producer({**OPTIONS, **own, **self._kafka})

    def _delivered(self, error: KafkaError | None, message: object) -> None:
        self._failed = self._failed or error


def sink_letter(read: Read, step: str, error: SinkError) -> Letter:
    """The dead letter of a record: key, value and headers as they were, and why in ``dl.``."""
    why: Headers = [
        ("dl.cause", CAUSE),
        ("dl.step", step.encode()),
        ("dl.detail", error.cause[:1000].encode(errors="replace")),
        ("dl.topic", read.topic.encode()),
        ("dl.partition", b"%d" % read.partition),
        ("dl.offset", b"%d" % read.offset),
        ("dl.timestamp", b"%d" % read.append_ts),
        ("dl.reader", step.encode()),
    ]
    return letter(read.key, read.value, read.headers, why)
