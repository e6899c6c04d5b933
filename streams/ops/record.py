"""Capture source topics to a recording."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from joins.clock import NEG_INF
from schemas.errors import SchemaError
from schemas.headers import WATERMARK, WRITER, texts
from schemas.wire import Codec
from streams import topics
from streams.client import OPTIONS, Read, is_control, read_message
from streams.engine.settings import EngineSettings
from streams.engine.writers import IDLE, NOTHING, Writer
from streams.sources.recording import FORMAT, Head, encode_read, encode_watermark, in_order
from streams.wire.errors import groupless


def record(
    settings: EngineSettings,
    path: Path,
    about: str = "",
    story: dict[str, Any] | None = None,
    stop: Callable[[], bool] | None = None,
    codec: Codec | None = None,
) -> int:
    """Write what the source topics hold to ``path``; returns the number of records.

    Without ``stop`` it ends at the present end of the topics, else when ``stop()`` says so and the
    end is reached; until then everything is held in memory, since it is sorted by arrival.
    Watermarks are captured as what all writers together had declared.
    """
    path.open("wb").close()  # a wrong path is told before, not behind, a long capture
    reads, marks = _capture(settings, stop or (lambda: True), codec or Codec())
    head = Head(FORMAT, about, story or {})
    lines = [(r.append_ts, 0, encode_read(r)) for r in in_order(reads)]
    lines += [(at, 1, encode_watermark(at, ts)) for at, ts in marks]
    with path.open("wb") as file:
        file.write(msgspec.json.encode(head) + b"\n")
        for _, _, line in sorted(lines, key=lambda one: one[:2]):
            file.write(line + b"\n")
    return len(reads)


def _capture(
    settings: EngineSettings, stop: Callable[[], bool], codec: Codec
) -> tuple[list[Read], list[tuple[int, int]]]:
    kafka = {"bootstrap.servers": settings.bootstrap, **settings.kafka}
    consumer = Consumer({**OPTIONS, **kafka})
    places = {(t.name, p) for t in topics.SOURCES for p in range(settings.partitions)}
    consumer.assign([TopicPartition(topic, p, 0) for topic, p in places])
    reads: list[Read] = []
    controls: list[tuple[int, str, str]] = []
    open_places = set(places)
    try:
        while open_places or not stop():
            for message in consumer.consume(1000, 0.2):
                error = message.error()
                place = (message.topic() or "", message.partition() or 0)
                if error is not None:
                    if error.code() == KafkaError._PARTITION_EOF:
                        open_places.discard(place)
                    elif not groupless(error):
                        raise KafkaException(error)
                    continue
                open_places.add(place)
                if not is_control(message):
                    reads.append(read_message(message, codec))
                elif place[1] == 0:
                    headers: Any = message.headers()
                    found = texts(headers)
                    controls.append((message.timestamp()[1], found[WRITER], found[WATERMARK]))
    finally:
        consumer.close()
    return reads, _together(controls)


def _together(controls: list[tuple[int, str, str]]) -> list[tuple[int, int]]:
    """The least that the writers had declared, each time it moved."""
    said: dict[str, int | None] = {}
    marks: list[tuple[int, int]] = []
    highest = NEG_INF
    for at, writer, text in sorted(controls):
        try:
            name = Writer.parse(writer).step
        except SchemaError:
            continue
        said[name] = None if text == IDLE else (NEG_INF if text == NOTHING else int(text))
        bounds = [ts for ts in said.values() if ts is not None]
        if bounds and min(bounds) > highest:
            highest = min(bounds)
            marks.append((at, highest))
    return marks
