"""Look at the records that could not be processed, and at those that came too late."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from schemas.jsonform import to_line
from streams import topics
from streams.client import Read, Reader
from streams.ops.admin import OpsError
from streams.ops.consume import base64_text, batches, header_texts, start
from streams.topics import Topic

PREFIX = {topics.dead_letters.name: "dl.", topics.late_records.name: "late."}
"""What the headers begin with that say why a record is here."""
COLUMNS = {
    topics.dead_letters.name: (
        "partition", "offset", "dl.cause", "dl.step", "dl.topic", "dl.partition", "dl.offset",
        "dl.detail",
    ),
    topics.late_records.name: (
        "partition", "offset", "late.step", "late.by", "late.watermark", "late.idle",
        "late.topic", "late.partition", "late.offset",
    ),
}  # fmt: skip
"""What a listing shows."""


class NoRecord(OpsError):
    """There is no record at a place."""


def letters(reader: Reader, topic: Topic, where: dict[str, str]) -> Iterator[Read]:
    """The records of a topic whose headers are as ``where`` says, up to the present end."""
    count = partitions(reader, topic)
    start(reader, topic.name, list(range(count)), from_beginning=True)
    for found in batches(reader, until_end=True):
        for read in found:
            texts = header_texts(read)
            if all(texts.get(name) == wanted for name, wanted in where.items()):
                yield read


def letter(reader: Reader, topic: Topic, partition: int, offset: int) -> Read:
    """One record; raises NoRecord when there is none at that place."""
    if partition < partitions(reader, topic):
        reader.start({(topic.name, partition): offset})
        for found in batches(reader, 1, until_end=True):
            if found[0].offset == offset:
                return found[0]
    raise NoRecord(
        f"{topic.name} has no record {partition}/{offset}", "`streams dlq ls` lists them"
    )


def partitions(reader: Reader, topic: Topic) -> int:
    """Partition count; raises OpsError when the topic is not there."""
    count = reader.partitions(topic.name)
    if not count:
        raise OpsError(
            f"the broker has no topic {topic.name}",
            "create the topics with `streams topics apply`",
        )
    return count


def summary_row(read: Read) -> dict[str, Any]:
    """Where a record is, why it is here, and how long it is."""
    prefix = PREFIX[read.topic]
    why = {n: text for n, text in header_texts(read).items() if n.startswith(prefix)}
    size = len(read.value or b"")
    return {
        "partition": read.partition,
        "offset": read.offset,
        "append_ts": read.append_ts,
        "bytes": size,
        **why,
    }


def full_row(read: Read) -> dict[str, Any]:
    """Everything of a record: original key and value in base64, headers, and its event if any."""
    event = None if read.event is None else msgspec.json.decode(to_line(read.event))
    return {
        **summary_row(read),
        "key": base64_text(read.key),
        "value": base64_text(read.value),
        "headers": header_texts(read),
        "event": event,
        "error": read.error,
    }
