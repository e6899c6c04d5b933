"""Capture source topics to a recording."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from joins.clock import NEG_INF
from schemas.errors import BadHeaders
from schemas.headers import Headers
from schemas.wire import Codec
from streams import topics
from streams.client import OPTIONS, Read, is_control, read_message
from streams.engine.guard import headers_of
from streams.engine.settings import EngineSettings
from streams.engine.writers import said_ts, spoken
from streams.sources.recording import FORMAT, Head, encode_read, encode_watermark, in_order
from streams.wire.errors import groupless

Control = tuple[int, Headers]
"""A control record: when it came (ms), and its headers."""


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
    controls: list[Control] = []
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
                    controls.append((message.timestamp()[1], headers_of(message)))
    finally:
        consumer.close()
    return reads, _together(controls)


def _together(controls: list[Control]) -> list[tuple[int, int]]:
    """The least that the writers had declared, each time it moved; what makes no sense is none."""
    said: dict[str, int | None] = {}
    marks: list[tuple[int, int]] = []
    highest = NEG_INF
    for at, headers in sorted(controls, key=lambda one: one[0]):
        try:
            writer, text, _ = spoken(headers)
            said[writer.step] = said_ts(text)
        except BadHeaders:
            continue
        bounds = [ts for ts in said.values() if ts is not None]
        if bounds and min(bounds) > highest:
            highest = min(bounds)
            marks.append((at, highest))
    return marks
