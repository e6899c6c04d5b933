"""What is played to workers, what it gives undisturbed, and what may not differ from that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from schemas.envelope import Event
from schemas.jsonform import to_line
from streams.agents.pipeline import topology
from streams.client import Read
from streams.config import Config
from streams.ops.demo import BLOCK, as_path
from streams.sources.archive import read_blocks
from streams.sources.recording import Line, encode_watermark, read_lines
from streams.testing import TopologyDriver
from streams.topics import DERIVED
from streams.tuning import EngineTuning
from tests.playing import play_line, story_config

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "streams" / "data" / "demo.ndjson"
SESSION_MS = 4000
"""Time after which the group gives a silent worker's partitions away."""
NetSets = dict[str, dict[str, Any]]


def story_of(recording: Path, **engine: int) -> Config:
    """The configuration that a recording is about, for a group that soon notices a dead worker."""
    tuning = EngineTuning(session_timeout_ms=SESSION_MS, **engine)
    return story_config(recording, Config(engine=tuning))


def undisturbed(recording: Path) -> NetSets:
    """The net set of every derived topic, from the same input without Kafka."""
    driver = TopologyDriver(topology(story_of(recording)), dead_letters="keep")
    for line in read_lines(recording):
        play_line(driver, line, run=False)
    driver.run()
    return {topic.name: driver.net(topic) for topic in DERIVED}


def busy_recording(target: Path, transactions: int, before_ms: int) -> Path:
    """A longer recording: part of mainnet block 413567 over ``before_ms``, then the demo's lines.

    Both have a watermark of their own, so that timers fire from beginning to end.
    """
    text = DEMO.read_bytes().splitlines(keepends=True)
    first = msgspec.json.decode(text[1])["at"] - before_ms
    block = next(iter(read_blocks([as_path(BLOCK)], (), "main")))
    events: list[tuple[str, Event]] = [("bitcoin.blocks", block.block)]
    events += [("bitcoin.transactions", e) for e in block.transactions[:transactions]]
    lines = [
        msgspec.json.encode(
            Line(first + before_ms * n // len(events), topic, event=msgspec.Raw(to_line(event)))
        )
        for n, (topic, event) in enumerate(events)
    ]
    lines.append(encode_watermark(first + before_ms, block.block.ts))
    target.write_bytes(b"".join([text[0], *[line + b"\n" for line in lines], *text[1:]]))
    return target


def alternation(reads: Sequence[Read]) -> list[str]:
    """Breaches of: per id, assert and retract alternate, beginning with an assert."""
    live: dict[tuple[int, str], bool] = {}
    wrong = []
    for read in reads:
        if read.event is None:
            wrong.append(f"{read.topic}/{read.partition}/{read.offset} cannot be decoded")
            continue
        place, asserted = (read.partition, read.event.id), read.event.op == "assert"
        if live.get(place, False) == asserted:
            wrong.append(f"{read.event.op} of {read.event.id} at {read.partition}/{read.offset}")
        live[place] = asserted
    return wrong


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What distinguishes two net sets, id by id."""
    return [
        f"{id}: expected {expected.get(id)}, found {found.get(id)}"
        for id in sorted(expected.keys() | found.keys())
        if expected.get(id) != found.get(id)
    ]


class Busy(NamedTuple):
    """An input that takes a while, and what it gives undisturbed."""

    recording: Path
    slow: float
    """The speed at which it outlasts any test."""
    sets: NetSets
