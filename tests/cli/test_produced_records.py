"""What ``streams produce`` writes is what the engine's guard accepts: no broker is needed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from schemas.envelope import Event
from schemas.jsonform import to_line
from schemas.wire import Codec
from streams import topics
from streams.engine.reading import reader
from streams.ops.produce import Record, Refused, records
from streams.sources.archive import read_blocks
from streams.testing import Record as KafkaRecord
from streams.topics import Topic

BLOCK = Path(str(files("streams") / "data" / "413567.raw.xz"))


@pytest.fixture(scope="module")
def block() -> list[Event]:
    """The events of a real block of the main network: the block, then its transactions."""
    [found] = read_blocks([BLOCK])
    events = [found.block, *found.transactions]
    for version, event in enumerate(events, 1):
        event.version, event.producer, event.ingest_ts = version, "source:archive", 5
    return events


def written(events: list[Event], topic: Topic, codec: Codec) -> Iterator[Record | Refused]:
    return records([to_line(event) for event in events], topic, codec, lambda: 9)


def guarded(record: Record | Refused, topic: Topic, codec: Codec) -> Event:
    """The record as a task takes it in."""
    assert isinstance(record, Record)
    _, _, key, value, headers = record.content
    read = KafkaRecord((topic.name, 0, 0), key, value, headers, 10)
    return reader(topic, codec)(read)


def test_a_real_block_goes_through_lines_into_the_guard(block: list[Event]) -> None:
    """1,558 events of block 413,567 come out as they went in, and none is a dead letter."""
    codec = Codec()
    sources = [(topics.blocks, block[:1]), (topics.transactions, block[1:])]
    found = [
        guarded(record, topic, codec)
        for topic, events in sources
        for record in written(events, topic, codec)
    ]
    assert block == found
    assert 1558 == len(found)


def test_a_line_that_the_guard_would_refuse_is_refused_first(block: list[Event]) -> None:
    """An amount above 21 million bitcoin is named with its line."""
    codec = Codec()
    good = to_line(block[1])
    bad = good.replace(b'"value_sat":', b'"value_sat":9999999')
    first, second = records([good, bad], topics.transactions, codec, lambda: 9)
    assert isinstance(first, Record)
    assert isinstance(second, Refused)
    assert (2, True) == (second.number, "21 million" in second.cause)


def test_empty_lines_are_passed_over(block: list[Event]) -> None:
    """They count as lines, so that numbers are those of the editor."""
    lines = [b"\n", to_line(block[0]), b"  \n", b"x"]
    found = list(records(lines, topics.blocks, Codec(), lambda: 9))
    assert [2, 4] == [record.number for record in found]
