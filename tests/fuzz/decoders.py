"""The decoders under test: real bytes, the call, and the errors that it may raise."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from schemas.dwn.encoding import parse_json
from schemas.dwn.errors import DwnInvalid
from schemas.dwn.verify import verify
from schemas.envelope import Event
from schemas.errors import SchemaError
from schemas.events import Transaction, TxOutput
from schemas.headers import from_headers, to_headers
from schemas.jsonform import from_line, to_line
from schemas.validate import validate
from streams import topics
from streams.chain.address import AddressError, script_of
from streams.chain.parse import ParseError, parse_block, parse_header, parse_tx
from streams.engine.codec import decode_key, decode_value, due_of
from streams.engine.ordered import pack, unpack
from streams.engine.writers import spoken
from streams.sources import bitcoin_zmq
from streams.sources.dwn_message import plain_object
from tests.fuzz import archives, files, nodes, servers, services, stored
from tests.fuzz.material import (
    CODEC,
    Decoder,
    block,
    frames,
    messages,
    played,
    raw_transactions,
    records,
    small_block,
    state,
    storable,
    values,
)
from tests.fuzz.mutate import Mutator


def _wire(mutator: Mutator) -> None:
    raw = mutator.bytes()
    event_type, value = CODEC.decode(raw)
    key = event_type.key(value)
    validate(value, key, event_type.key)
    event_type.event_id(value)
    storable(Event("id", key, 0, "assert", value))


def _headers(mutator: Mutator) -> None:
    log = records()[mutator.dice.choice(_ENVELOPED)]
    own = mutator.headers(mutator.dice.choice(log).raw_headers)
    event = from_headers(dict(own), "key", "id", 0, "type")
    to_headers(event)
    storable(event)


_ENVELOPED = (topics.transactions.name, topics.alerts.name, topics.records.name)


def _control(mutator: Mutator) -> None:
    own = [("streams-writer", b"step/0/0/1"), ("streams-watermark", b"1700000000000")]
    made = mutator.headers(own)
    if any(name == "streams-watermark" for name, _ in made):
        spoken(made)


def _json(mutator: Mutator) -> None:
    topic = mutator.dice.choice(topics.SOURCES)
    storable(from_line(mutator.bytes(), topic.type, "fuzz", 0))


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


def addresses() -> list[bytes]:
    """Addresses of every form."""
    texts = {out.address for raw in values(topics.transactions.name) for out in _outputs(raw)}
    return [text.encode() for text in sorted(filter(None, texts))[:40]]


def _outputs(raw: bytes) -> list[TxOutput]:
    found: Transaction = CODEC.decode(raw)[1]
    return found.outputs


def _address(mutator: Mutator) -> None:
    raw = mutator.bytes() if mutator.dice.random() < 0.7 else mutator.dice.choice(mutator.corpus)
    script_of(raw.decode(errors="replace"), mutator.dice.choice(("main", "regtest")))


def _lines() -> list[bytes]:
    return [to_line(event) for topic in topics.SOURCES for event in played().events(topic)[:20]]


DECODERS: dict[str, Callable[[], Decoder]] = {
    **archives.DECODERS,
    **nodes.DECODERS,
    **servers.DECODERS,
    **services.DECODERS,
    **stored.DECODERS,
    **files.DECODERS,
    "wire": lambda: Decoder(values(), _wire, (SchemaError,)),
    "headers": lambda: Decoder([b"x"], _headers, (SchemaError,)),
    "control": lambda: Decoder([b"x"], _control, (SchemaError,)),
    "json": lambda: Decoder(_lines(), _json, (SchemaError,)),
    "tx": lambda: Decoder(raw_transactions(), lambda m: parse_tx(m.bytes()), (ParseError,)),
    "block": lambda: Decoder([small_block()], lambda m: parse_block(m.bytes()), (ParseError,)),
    "header": lambda: Decoder([block()[:80]], lambda m: parse_header(m.bytes()), (ParseError,)),
    "dwn": lambda: Decoder(messages()[1], _dwn, (DwnInvalid,)),
    "zmq": lambda: Decoder(frames(), _zmq, (ValueError,)),
    "disk key": lambda: Decoder(
        [pack(key) for key in (("tx", -5, "a\0b"), ("z",), (1 << 80, -(1 << 80)))],
        lambda m: unpack(m.bytes()),
        (ValueError,),
    ),
    "address": lambda: Decoder(addresses(), _address, (AddressError,)),
    "state": lambda: Decoder(state()[1], _state, (ValueError, msgspec.MsgspecError)),
    "state key": lambda: Decoder(
        state()[0], lambda m: decode_key(m.bytes()), (ValueError, TypeError, msgspec.MsgspecError)
    ),
}
