"""The decoders under test: real bytes, the call, and the errors that it may raise."""

from __future__ import annotations

import lzma
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from schemas.dwn.encoding import parse_json
from schemas.dwn.errors import DwnInvalid
from schemas.dwn.verify import verify
from schemas.envelope import Event
from schemas.errors import SchemaError
from schemas.headers import from_headers, to_headers
from schemas.jsonform import from_line, to_line
from schemas.validate import validate
from schemas.wire import Codec
from streams import topics
from streams.chain.parse import ParseError, parse_block, parse_header, parse_tx
from streams.engine.codec import decode_key, decode_value, due_of, encode_value
from streams.engine.writers import spoken
from streams.sources import bitcoin_zmq
from streams.sources.dwn_message import plain_object
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


def _storable(event: Event) -> None:
    """Whatever was read can be written to a changelog: else a worker dies of it at a checkpoint."""
    decode_value(encode_value(event))


def _wire(mutator: Mutator) -> None:
    raw = mutator.bytes()
    event_type, value = CODEC.decode(raw)
    key = event_type.key(value)
    validate(value, key, event_type.key)
    event_type.event_id(value)
    _storable(Event("id", key, 0, "assert", value))


def _headers(mutator: Mutator) -> None:
    log = records()[mutator.dice.choice(_ENVELOPED)]
    own = mutator.headers(mutator.dice.choice(log).raw_headers)
    event = from_headers(dict(own), "key", "id", 0, "type")
    to_headers(event)
    _storable(event)


_ENVELOPED = (topics.transactions.name, topics.alerts.name, topics.records.name)


def _control(mutator: Mutator) -> None:
    own = [("streams-writer", b"step/0/0/1"), ("streams-watermark", b"1700000000000")]
    made = mutator.headers(own)
    if any(name == "streams-watermark" for name, _ in made):
        spoken(made)


def _json(mutator: Mutator) -> None:
    topic = mutator.dice.choice(topics.SOURCES)
    _storable(from_line(mutator.bytes(), topic.type, "fuzz", 0))


def _dwn(mutator: Mutator) -> None:
    message = plain_object(parse_json(mutator.bytes()))
    verify(message, None, messages()[0])


def _zmq(mutator: Mutator) -> None:
    topic = mutator.dice.choice((b"sequence", b"rawtx", b"hashblock", b""))
    counter = mutator.dice.randbytes(mutator.dice.choice((4, 4, 4, 0, 5)))
    parts = [topic, mutator.bytes(), counter]
    frame = bitcoin_zmq.decode(parts[: mutator.dice.choice((3, 3, 3, 2, 0))])
    if frame.label is None:
        parse_tx(frame.body)


def _state(mutator: Mutator) -> None:
    raw = mutator.bytes()
    due_of(raw)
    decode_value(raw)


def _lines() -> list[bytes]:
    return [to_line(event) for topic in topics.SOURCES for event in played().events(topic)[:20]]


DECODERS: dict[str, Callable[[], Decoder]] = {
    "wire": lambda: Decoder(values(), _wire, (SchemaError,)),
    "headers": lambda: Decoder([b"x"], _headers, (SchemaError,)),
    "control": lambda: Decoder([b"x"], _control, (SchemaError,)),
    "json": lambda: Decoder(_lines(), _json, (SchemaError,)),
    "tx": lambda: Decoder(raw_transactions(), lambda m: parse_tx(m.bytes()), (ParseError,)),
    "block": lambda: Decoder([small_block()], lambda m: parse_block(m.bytes()), (ParseError,)),
    "header": lambda: Decoder([block()[:80]], lambda m: parse_header(m.bytes()), (ParseError,)),
    "dwn": lambda: Decoder(messages()[1], _dwn, (DwnInvalid,)),
    "zmq": lambda: Decoder(frames(), _zmq, (ValueError,)),
    "state": lambda: Decoder(state()[1], _state, (ValueError, msgspec.MsgspecError)),
    "state key": lambda: Decoder(
        state()[0], lambda m: decode_key(m.bytes()), (ValueError, TypeError, msgspec.MsgspecError)
    ),
}
