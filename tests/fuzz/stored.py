"""Decoders of what topics keep for us: letters, their ledger, runs, positions of sources."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

from streams.config import Config
from streams.engine.settings import settings_of
from streams.ops.dwn import DeclaredTime
from streams.sources.archive import Archive, Wanted
from streams.sources.bitcoin_position import FORM, Position
from streams.sources.errors import SourceError
from streams.sources.writer import stored_of, take_piece
from tests.archive.building import write_raw
from tests.bitcoin.answers import Answering, chain
from tests.fuzz import archives, nodes, servers
from tests.fuzz.material import Decoder, writable
from tests.fuzz.mutate import Mutator


def _record(cursor: Any) -> bytes:
    """A position record as a source writes it."""
    return json.dumps({"cursor": cursor, "sequence": 7, "by": ["x", 1]}).encode()


@cache
def published() -> tuple[bytes, dict[str, bytes]]:
    """Where the live source stands after the node of the tests, and what it keeps by key."""
    source, kept = nodes.source(Answering(), []), dict[str, bytes]()
    for batch in source.batches(nodes.soon()):
        cursor, changed = batch.cursor, batch.kept
        kept |= {key: raw for key, raw in changed.items() if raw is not None}
    return _record(cursor), kept


def _resumed(mutator: Mutator) -> None:
    """Go on from a position, and become equal to the node again."""
    raw, kept = published()
    wrong = mutator.dice.choice(["", "", *kept])
    pieces: dict[str, dict[int, bytes]] = {}
    for key, value in kept.items():
        piece = f"{key}#0".encode()
        piece = mutator.bytes(piece) if key == wrong and mutator.dice.random() < 0.2 else piece
        take_piece(pieces, piece, mutator.bytes(value) if key == wrong else value)
    stored = stored_of(raw if wrong else mutator.json())
    cursor = stored.cursor or {}
    source = nodes.source(Answering(), [])
    if cursor.get("form") != FORM:
        raise SourceError("of another form", "begin anew")
    source.resume(Position(cursor, {key: b"".join(own.values()) for key, own in pieces.items()}))
    for batch in source.batches(nodes.soon()):
        writable(batch.events)


@cache
def _raw() -> list[Any]:
    return write_raw(archives.folder() / "stored", chain())


@cache
def _read() -> bytes:
    """Where an archive stands after its second block."""
    portions = Archive(_raw(), (), Wanted(network="regtest", table=False)).portions()
    return _record([next(portions).cursor for _ in range(2)][1])


def _archive(mutator: Mutator) -> None:
    cursor = stored_of(mutator.json()).cursor
    archive = Archive(_raw(), (), Wanted(network="regtest", table=False), cursor)
    for portion in archive.portions():
        writable(portion.events)
    archive.close()


DWN = (
    {"after": None, "done": []},
    {"after": json.dumps({"messageCid": "bafy", "value": "1"}), "done": ["bafy"]},
)


def _dwn(mutator: Mutator) -> None:
    """Go on from the position of a log that has nothing more, and with the declared time."""
    nothing = servers.reply(entries=[]).encode(), None
    found = servers.reader(
        servers.Telling(("Query", nothing)), mutator.json().decode(errors="replace")
    )
    servers.run(servers.everything(found.catch_up()))
    told = stored_of(
        _record({"newest": 5, "declared": 4})
        if mutator.dice.random() < 0.5
        else mutator.reshaped({"cursor": {"newest": 5, "declared": 4}, "sequence": 1})
    )
    time_ = DeclaredTime(settings_of(Config(), ""), {}, told.cursor or {})
    assert json.dumps(time_.cursor())


DECODERS: dict[str, Callable[[], Decoder]] = {
    "node position": lambda: Decoder([published()[0]], _resumed, (SourceError,)),
    "archive position": lambda: Decoder([_read()], _archive, (SourceError,)),
    "dwn position": lambda: Decoder(
        [json.dumps(position).encode() for position in DWN], _dwn, (SourceError,)
    ),
}
