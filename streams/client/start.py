"""Where reading begins: the beginning, the end, an offset, or a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

import msgspec
from confluent_kafka import Consumer, TopicPartition

from streams.client.errors import BadOption

Place = tuple[str, int]
"""Topic and partition."""


class Offset(msgspec.Struct, frozen=True):
    """This offset in every partition; what is older than the log's beginning is the beginning."""

    offset: int


class Time(msgspec.Struct, frozen=True):
    """The first record that the broker stamped at or after this time (ms since 1970).

    Our topics are stamped on arrival, so this is a time of arrival, not event time.
    """

    ms: int


Start = Literal["beginning", "end"] | Offset | Time | datetime | Mapping[Place, int]
"""A mapping gives each partition's offset, as ``positions()`` returned it; partitions that it does
not name are read from the beginning."""


def checked(start: Start) -> Start:
    """The start with times as Time; raises BadOption."""
    if isinstance(start, datetime):
        if start.tzinfo is None:
            raise BadOption(f"start={start!r} has no time zone", "add tzinfo=UTC")
        return Time(round(start.timestamp() * 1000))
    if isinstance(start, Offset | Time | Mapping) or start in ("beginning", "end"):
        return start
    raise BadOption(
        f"start={start!r} is no place to start",
        'write "beginning", "end", Offset(n), Time(ms), a datetime, or what positions() returned',
    )


def resolve(
    consumer: Consumer, places: Iterable[Place], start: Start, timeout: float
) -> dict[Place, int]:
    """The offset in each partition; raises KafkaException."""
    asked = list(places)
    ends = {p: consumer.get_watermark_offsets(TopicPartition(*p), timeout=timeout) for p in asked}
    return {place: _within(place, ends[place], consumer, start, timeout) for place in asked}


def _within(
    place: Place, ends: tuple[int, int], consumer: Consumer, start: Start, timeout: float
) -> int:
    low, high = ends
    if start == "beginning" or start == "end":
        return low if start == "beginning" else high
    if isinstance(start, Time):
        [found] = consumer.offsets_for_times([TopicPartition(*place, start.ms)], timeout)
        wanted = found.offset if found.offset >= 0 else high
    elif isinstance(start, Offset):
        wanted = start.offset
    else:
        wanted = start.get(place, low) if isinstance(start, Mapping) else low
    return min(max(low, wanted), high)
