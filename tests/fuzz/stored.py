"""Decoders of what topics keep for us: letters, their ledger, runs, positions of sources."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from joins.outcome import Late
from schemas.envelope import Event
from streams import topics
from streams.config import Config, ConfigError
from streams.engine.guard import dead_letter, late_letter
from streams.engine.settings import settings_of
from streams.ops.admin import OpsError
from streams.ops.dwn import DeclaredTime
from streams.ops.ledger import Entry, Ledger, encoded, entry_of
from streams.ops.letter_counts import Group, group_rows, listed
from streams.ops.letter_show import full_row
from streams.ops.letters import DEAD, LATE, letter_of
from streams.ops.redrive import plan_row
from streams.ops.redriving import Limits, Options, Planner
from streams.ops.runs import Run, followed, known_of
from streams.sources.archive import Archive, Wanted
from streams.sources.bitcoin_position import FORM, Position
from streams.sources.errors import SourceError
from streams.sources.writer import stored_of, take_piece
from streams.testing import Record
from streams.topics import LETTER_BYTES
from tests.archive.building import write_raw
from tests.bitcoin.answers import Answering, chain
from tests.fuzz import archives, nodes, servers
from tests.fuzz.material import CODEC, Decoder, records, writable
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


def _positions() -> list[bytes]:
    """Positions of a log: at its beginning, and within a page."""
    (first, *_), after = servers.stored()[0], json.dumps({"messageCid": "bafy", "value": "1"})
    found = ({"after": None, "done": []}, {"after": after, "done": [first]})
    return [json.dumps(position).encode() for position in found]


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


class Refused(Exception):
    """Nothing is done with it: neither written back, nor known, nor followed."""


REDRIVEN = Entry("dead_letters", "id", 0, "", [(1, 3)])
RUN = Run("v2", None, 6, 4, {"bitcoin.blocks": [0, 7]}, True, 1_700_000_000_000)


_NO_EVENT = Event("id", "key", 0, "assert", None)


class Broker:
    """Topics as a broker has them, for whoever writes letters back."""

    def counts(self) -> dict[str, int]:
        found = {topic.name: 4 for topic in topics.SOURCES}
        return {**found, "streams-by_txid-changelog": 4}

    def one(self, topic: str, partition: int, offset: int) -> Record:
        return Record((topic, partition, offset), b"key", b"value", [], 1)


@cache
def letters() -> list[Record]:
    """Dead letters of the demo, one without its bytes, and records that came too late."""
    found = list(records()[topics.dead_letters.name])
    origin, event = found[0], records()[topics.transactions.name][0]
    large = Record(origin.place, b"key", bytes(LETTER_BYTES), [], 9)
    made = [dead_letter(large, "step", "too_large", "detail", [("dl.reader", b"streams-by_txid")])]
    made += [late_letter(event, "step", Late("a", _NO_EVENT, 7, 3, True), [("late.version", b"2")])]
    return found + [Record(("x", 0, 7), m.key, m.value, m.headers, 1_700_000_000_000) for m in made]


def _letter(mutator: Mutator) -> None:
    """All that is shown of a letter, and what becomes of it when it is written back."""
    dice = mutator.dice
    real, kind = dice.choice(letters()), dice.choice((DEAD, DEAD, LATE))
    own = mutator.headers(real.raw_headers)
    value = mutator.bytes(real.raw_value) if real.raw_value and dice.random() < 0.4 else None
    at = dice.choice((0, 1_700_000_000_000, -1, 10**17))
    letter = letter_of(Record((kind.topic.name, 0, 2), real.raw_key, value, own, at), kind)
    ledger = Ledger([REDRIVEN] if dice.random() < 0.2 else [])
    group = Group()
    group.add(letter.append_ts, letter.why)
    why = [letter.why.get(name, b"") for name in ("topic", "step", "cause", "version")]
    shown = [*group_rows({(why[0], why[1], why[2], why[3]): group}), listed(letter, ledger, 3)]
    shown.append(full_row(letter, [REDRIVEN], CODEC, 3))
    options = dice.choice((Options(), Options(everyone=True), Options(to=topics.blocks.name)))
    planner = Planner(Broker(), kind, options, ledger)  # type: ignore[arg-type]
    planner._limits = dict.fromkeys(planner._counts, Limits(1 << 20, 0))
    plan = planner.plan(letter)
    json.dumps([*shown, plan_row(letter, plan)], ensure_ascii=False).encode()
    if plan.why != "redrive":
        raise Refused(plan.why)


def _entry(mutator: Mutator) -> None:
    """What the ledger says of letters."""
    found = entry_of(Record(("x", 0, 0), b"key", mutator.json(), [], 9))
    if found is None:
        raise Refused("none of ours")
    Ledger([REDRIVEN, found]).has(0, 2, found.to)


def _run(mutator: Mutator) -> None:
    """Which run readers are to take."""
    dice, made = mutator.dice, [(b"run/v2", msgspec.json.encode(RUN)), (b"current/", b"v2")]
    at = dice.randrange(len(made))
    key, value = made[at]
    if dice.random() < 0.2:
        made[at] = mutator.bytes(key), value
    else:
        made[at] = key, mutator.json() if at == 0 else mutator.bytes(value)
    known, left_out = known_of([*made, (b"run/old", None)])
    settings = settings_of(followed(Config(), known, None), "")
    settings.start_of("bitcoin.blocks", 1)
    if left_out:
        raise Refused(left_out[0])


DECODERS: dict[str, Callable[[], Decoder]] = {
    "node position": lambda: Decoder([published()[0]], _resumed, (SourceError,)),
    "archive position": lambda: Decoder([_read()], _archive, (SourceError,)),
    "letter": lambda: Decoder([r.raw_value or b"" for r in letters()], _letter, (Refused,)),
    "ledger": lambda: Decoder([encoded(REDRIVEN)[1]], _entry, (Refused,)),
    "runs": lambda: Decoder([msgspec.json.encode(RUN)], _run, (Refused, OpsError, ConfigError)),
    "dwn position": lambda: Decoder(_positions(), _dwn, (SourceError,)),
}
