"""Decoders of files that people bring, and of what a webhook's receiver answers."""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import tomli_w

from schemas.dwn.encoding import b64encode
from schemas.envelope import Event
from schemas.errors import BadHeaders
from schemas.headers import WATERMARK
from sinks.base import SinkError, SinkRecord
from sinks.catalog import open_sink
from sinks.webhook_answer import LONGEST_WAIT_SECONDS, judged
from streams import topics
from streams.config import ConfigError, load
from streams.engine.settings import settings_of
from streams.engine.writers import Writer, control_headers, said_ts, spoken
from streams.ops.play import _Player
from streams.ops.record import _together
from streams.sources.dwn_config import read_tenants
from streams.sources.errors import SourceError
from streams.sources.recording import encode_watermark, read_lines
from streams.topics import BY_TOPIC, Topic
from streams.wire.errors import BadWire
from tests.fuzz.archives import folder
from tests.fuzz.material import DEMO, Decoder, played, writable
from tests.fuzz.mutate import Mutator


@cache
def lines() -> list[bytes]:
    """Some lines of the demo's recording: its first, events, a raw record, a watermark."""
    found = DEMO.read_bytes().splitlines()
    raw = next(line for line in found if b'"raw":' in line)
    mark = next(line for line in found if b'"watermark":' in line)
    return [found[0], *found[2:6], raw, mark]


def _recording(mutator: Mutator) -> None:
    """Read a recording with a line that is mutated, to what would be played."""
    dice, found = mutator.dice, list(lines())
    at = dice.randrange(len(found))
    found[at] = mutator.reshaped(json.loads(found[at])) if dice.random() < 0.7 else mutator.bytes()
    raw, packed = b"\n".join(found), dice.random() < 0.1
    path = folder() / ("story.ndjson.xz" if packed else "story.ndjson")
    path.write_bytes(mutator.bytes(lzma.compress(raw, preset=0)) if packed else raw)
    player = _Player(_Written(), None, lambda count: None)  # type: ignore[arg-type]
    for line in read_lines(path):
        player.play(line)


class _Written:
    """Takes what is played, as a source's writer does."""

    def send(self, topic: Topic, event: Event, keep: bool = False) -> None:
        writable([event])

    def send_raw(self, topic: str, *parts: Any) -> None:
        assert topic in BY_TOPIC

    def commit(self, cursor: Any, watermark: int | None) -> None:
        if watermark is not None:
            said_ts(spoken(control_headers(_WRITER, watermark)).text)


_WRITER = Writer("source:recording", 0, 0, 1)
CONFIG: dict[str, Any] = {
    "partitions": 2,
    "kafka": {"protocol": "SSL", "check_hostname": False},
    "engine": {"checkpoint_ms": 100, "grace_ms": 1000},
    "run": {"name": "v2", "starts": ["bitcoin.blocks/0=7"]},
    "payments": {"watch": ["bc1qa"]},
    "health_listen": "127.0.0.1:8080",
    "schema_registry": "http://a.example,http://b.example",
}


def _toml(mutator: Mutator, plain: dict[str, Any]) -> bytes:
    """A mutation of a file of settings: of its text, or of what it holds."""
    if mutator.dice.random() < 0.7:
        return mutator.bytes()
    made = json.loads(mutator.reshaped(json.loads(json.dumps(plain))))
    return tomli_w.dumps(made if isinstance(made, dict) else plain).encode()


def _config(mutator: Mutator) -> None:
    """Settings of a file, and of the environment."""
    path = folder() / "streams.toml"
    with suppress(*_NO_TOML):
        path.write_bytes(_toml(mutator, CONFIG))
    names = ("STREAMS_KAFKA__USER", "STREAMS_KAFKA", "STREAMS_PARTITIONS", "STREAMS_RUN__NAME__X")
    value = mutator.bytes(b"17").decode(errors="replace").replace("\0", "")
    env = {mutator.dice.choice(names): value} if mutator.dice.random() < 0.2 else {}
    if mutator.dice.random() < 0.2:
        secret = folder() / "secret"
        secret.write_bytes(mutator.bytes(b"user:password"))
        env["STREAMS_SCHEMA_REGISTRY_USER_INFO_FILE"] = str(secret)
    found = load(None, env, path)
    repr(found)
    settings_of(found.config, "kafka:9092")


_NO_TOML = (ValueError, TypeError, RecursionError, OverflowError)
"""What cannot be written as TOML is no mutation of it."""
TENANTS: dict[str, Any] = {
    "tenant": [
        {
            "url": "https://dwn.example",
            "did": "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp",
            "key": "reader.jwk",
            "protocols": ["https://example/protocols/a"],
            "grants": {"query": "bafy", "read": "bafy"},
        }
    ]
}


def _tenants(mutator: Mutator) -> None:
    """The tenants of a file, and the key that it names."""
    place, dice = folder() / "tenants", mutator.dice
    place.mkdir(exist_ok=True)
    path, key = place / "tenants.toml", place / "reader.jwk"
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64encode(bytes(32)), "d": b64encode(bytes(32))}
    whole = {"uri": TENANTS["tenant"][0]["did"], "privateKeys": [jwk]}
    if dice.random() < 0.5:
        key.write_text(json.dumps(whole))
        with suppress(*_NO_TOML):
            path.write_bytes(_toml(mutator, TENANTS))
    else:
        key.write_bytes(mutator.reshaped(json.loads(json.dumps(whole))))
        path.write_text(tomli_w.dumps(TENANTS))
    for tenant in read_tenants(path):
        assert tenant.places


def _answer(mutator: Mutator) -> None:
    """What becomes of an event by a receiver's answer."""
    dice = mutator.dice
    status = dice.choice((200, 301, 400, 401, 404, 429, 503))
    wait = dice.choice((None, b"120", b"Wed, 21 Oct 2015 07:28:00 GMT"))
    header = None if wait is None else mutator.bytes(wait).decode("latin-1")
    found = judged("receiver", status, mutator.bytes(), frozenset({401}), header, 1_700_000_000.0)
    if found is not None:
        assert 0 <= getattr(found, "seconds", 0.0) <= LONGEST_WAIT_SECONDS
        raise found


def _sunk(name: str) -> tuple[Path, bytes]:
    """A file that a sink has written, and its bytes."""
    place = folder() / f"sink-{name}"
    sink = open_sink(name, {"directory": str(place)})
    event = played().events(topics.alerts)[0]
    sink.write([SinkRecord("alerts", 0, offset, event) for offset in range(4)])
    sink.close()
    [path] = [path for path in place.rglob("*") if path.is_file()]
    return path, path.read_bytes()


@cache
def sunk(name: str) -> tuple[Path, bytes]:
    """The same, made once."""
    return _sunk(name)


def _sink(name: str) -> Callable[[Mutator], None]:
    def opened(mutator: Mutator) -> None:
        """Open a sink where one of its files is not as it was written."""
        path, raw = sunk(name)
        said = mutator.bytes(b"[[0,4]]")[:7].ljust(7)
        own = mutator.dice.random() < 0.3
        path.write_bytes(raw.replace(b"[[0,4]]", said) if own else mutator.bytes(raw))
        sink = open_sink(name, {"directory": str(folder() / f"sink-{name}")})
        assert all(isinstance(offset, int) for offset in sink.positions().values())
        sink.close()

    return opened


def _control(mutator: Mutator) -> None:
    """Watermarks of sources, as they are recorded."""
    real = [control_headers(_WRITER, ts) for ts in (None, 5, 1_700_000_000_000)]
    made = [(at, mutator.headers(mutator.dice.choice(real))) for at in range(4)]
    found = _together([one for one in made if WATERMARK in dict(one[1])])
    for at, watermark in found:
        encode_watermark(at, watermark)
    if not found:
        raise BadHeaders("none of them makes sense")


DECODERS: dict[str, Callable[[], Decoder]] = {
    "recording": lambda: Decoder(lines(), _recording, (SourceError,)),
    "recorded watermarks": lambda: Decoder([b"x"], _control, (BadHeaders,)),
    "configuration": lambda: Decoder(
        [tomli_w.dumps(CONFIG).encode()], _config, (ConfigError, BadWire)
    ),
    "dwn tenants": lambda: Decoder([tomli_w.dumps(TENANTS).encode()], _tenants, (SourceError,)),
    "sink ndjson": lambda: Decoder([sunk("ndjson")[1]], _sink("ndjson"), (SinkError,)),
    "sink parquet": lambda: Decoder([sunk("parquet")[1]], _sink("parquet"), (SinkError,)),
    "webhook answer": lambda: Decoder([b"try later", b"\xff"], _answer, (SinkError,)),
}
