"""What the decoders are tried on: real bytes of every kind, made once."""

from __future__ import annotations

import lzma
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from schemas.envelope import Event
from schemas.headers import to_headers
from schemas.wire import Codec
from streams import topics
from streams.chain.parse import parse_block
from streams.engine.codec import decode_value, encode_value
from streams.testing import Record, TopologyDriver
from tests.fuzz.mutate import Mutator
from tests.playing import play_into_driver

DATA = Path(__file__).parents[2] / "streams" / "data"
DEMO = DATA / "demo.ndjson"
CODEC = Codec()
Call = Callable[[Mutator], object]


class Decoder(NamedTuple):
    """One decoder."""

    corpus: Sequence[bytes]
    call: Call
    """Takes the next mutation."""
    raises: tuple[type[Exception], ...]


@cache
def played() -> TopologyDriver:
    """The demo's recording through the main job: real records of every topic."""
    return play_into_driver(DEMO, partitions=1)


@cache
def records() -> dict[str, list[Record]]:
    """The records by topic."""
    found: dict[str, list[Record]] = {}
    for (topic, _), log in played().log.items():
        found.setdefault(topic, []).extend(log)
    return found


def values(*names: str) -> list[bytes]:
    """The values of all topics, or of these; not too many of each."""
    chosen = names or tuple(records())
    return [r.raw_value for n in chosen for r in records().get(n, ())[:60] if r.raw_value]


@cache
def block() -> bytes:
    """A block of the main chain, cut to its header and some transactions."""
    return lzma.decompress((DATA / "413567.raw.xz").read_bytes())


@cache
def raw_transactions() -> list[bytes]:
    """Transactions of that block, as they stand in its bytes."""
    whole, found, start = block(), [], 83
    for tx in parse_block(whole).transactions[:60]:
        found.append(whole[start : start + tx.size])
        start += tx.size
    return found


@cache
def small_block() -> bytes:
    """A block that holds the first three of its transactions."""
    return block()[:80] + b"\x03" + b"".join(raw_transactions()[:3])


@cache
def messages() -> tuple[str, list[bytes]]:
    """A tenant, and the DWN messages that the demo has of it."""
    found = [CODEC.decode(raw)[1] for raw in values(topics.records.name)[:5]]
    return found[0].tenant, [value.message.encode() for value in found]


@cache
def state() -> tuple[list[bytes], list[bytes]]:
    """Keys and values of changelogs."""
    pairs = [pair for log in played()._changelogs.values() for pair in log if pair is not None]
    return [key for key, _ in pairs[:400]], [value for _, value in pairs[:400] if value]


@cache
def frames() -> list[bytes]:
    """Bodies of the node's notifications."""
    labels = [bytes(32) + b"C", bytes(32) + b"A" + bytes(8), b"\x11" * 32 + b"R" + b"\x01" * 8]
    return [*labels, *raw_transactions()[:5]]


def storable(event: Event) -> None:
    """Whatever was read can be written to a changelog: else a worker dies of it at a checkpoint."""
    decode_value(encode_value(event))


def writable(events: Iterable[Event]) -> None:
    """The same, and to a topic: else a source dies of what it was told."""
    for event in events:
        CODEC.encode(event.type, event.value)
        to_headers(event)
        storable(event)
