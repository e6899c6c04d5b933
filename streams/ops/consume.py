"""Read a topic for a person or a program, from its beginning or from now on."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from confluent_kafka import TopicPartition

from schemas.jsonform import payload
from streams.client import Read, Reader

TIMEOUT_SECONDS = 15
POLL_SECONDS = 0.1


def start(reader: Reader, topic: str, partitions: list[int], from_beginning: bool) -> None:
    """Position a reader at the beginning of what is kept, or at the present end."""
    offsets = {}
    for partition in partitions:
        place = TopicPartition(topic, partition)
        low, high = reader.consumer.get_watermark_offsets(place, timeout=TIMEOUT_SECONDS)
        offsets[topic, partition] = low if from_beginning else high
    reader.start(offsets)


def batches(
    reader: Reader, most: int | None = None, until_end: bool = False
) -> Iterator[list[Read]]:
    """Records as they come, at most ``most``, up to the present end or for ever."""
    left = most
    while left is None or left > 0:
        if until_end and reader.at_end:
            return
        found = reader.poll(POLL_SECONDS)
        if left is not None:
            found = found[:left]
            left -= len(found)
        if found:
            yield found


def event_row(read: Read) -> dict[str, Any]:
    """A decoded record as one flat row: its place, its envelope, then the fields of its value."""
    event = read.event
    if event is None:
        return {**place(read), "error": read.error}
    return {
        **place(read),
        "ts": event.ts,
        "op": event.op,
        "correction": event.correction,
        "id": event.id,
        "key": event.key,
        **payload(event.value),
    }


def raw_row(read: Read) -> dict[str, Any]:
    """A record as it is: bytes in base64, headers as text."""
    return {
        **place(read),
        "append_ts": read.append_ts,
        "key": base64_text(read.key),
        "value": base64_text(read.value),
        "headers": header_texts(read),
    }


def place(read: Read) -> dict[str, Any]:
    """Where a record is."""
    return {"topic": read.topic, "partition": read.partition, "offset": read.offset}


def header_texts(read: Read) -> dict[str, str]:
    """Headers as text; bytes that are not UTF-8 are written as escapes."""
    return {name: (raw or b"").decode(errors="backslashreplace") for name, raw in read.headers}


def base64_text(raw: bytes | None) -> str | None:
    """Bytes in base64; None stays None."""
    return None if raw is None else base64.b64encode(raw).decode()
