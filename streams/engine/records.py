"""Records of a topic of original bytes: columns for steps that work on many at once.

Such a topic has no envelope: every record is a fact of its own, asserted once, at the time that
Kafka has for it. It has no ids, so nothing is taken for a repetition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from operator import itemgetter
from typing import Any, NamedTuple

from confluent_kafka import Message as KafkaMessage

from joins.outcome import Late
from schemas.envelope import Event
from streams.engine.guard import Message, headers_of
from streams.engine.progress import Progress
from streams.topics import Topic

_time = itemgetter(1)


class Record(NamedTuple):
    """One record: its bytes, its time (ms) and its headers."""

    key: bytes | None
    value: bytes | None
    ts: int
    headers: Any


class Records:
    """Records of one topic and one partition, in offset order; each one takes effect.

    ``keys``, ``values`` and ``times`` are columns of equal length; iterating gives ``Record``s.
    """

    def __init__(self, topic: Topic, messages: Sequence[Message], watermark: int) -> None:
        self.topic, self.messages, self.watermark = topic, messages, watermark

    @cached_property
    def keys(self) -> list[bytes | None]:
        """The keys."""
        return self._column(KafkaMessage.key, "key")

    @cached_property
    def values(self) -> list[bytes | None]:
        """The values."""
        return self._column(KafkaMessage.value, "value")

    @cached_property
    def times(self) -> list[int]:
        """The times (ms)."""
        return list(map(_time, self._column(KafkaMessage.timestamp, "timestamp")))

    @cached_property
    def records(self) -> list[Record]:
        """The records, one object each."""
        headers = [headers_of(message) for message in self.messages]
        return [*map(Record, self.keys, self.values, self.times, headers)]

    def _column(self, of_kafka: Callable[..., Any], name: str) -> list[Any]:
        """One field of all records; librdkafka's own messages give it without a Python call."""
        if self.messages and type(self.messages[0]) is KafkaMessage:
            return list(map(of_kafka, self.messages))
        return [getattr(message, name)() for message in self.messages]

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.messages)


def in_time(
    topic: Topic, records: Records, progress: Progress, late: Callable[[Message, Late], None]
) -> Records:
    """The records that are not late, in the order of their partition; others go to ``late``."""
    times = records.times
    if progress.none_late(topic, times):
        progress.seen(topic, max(times))
        return records
    kept: list[Message] = []
    for message, ts in zip(records.messages, times, strict=True):
        found = progress.late(
            topic, Event("", "", ts, "assert", None), retracted=False, written=False
        )
        if found is None:
            progress.seen(topic, ts)
            kept.append(message)
        else:
            late(message, found)
    return Records(topic, kept, records.watermark)
