"""Decoders of a node's block folder: files of frames, undo records, raw blocks, prevouts files."""

from __future__ import annotations

import json
import lzma
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path

from streams.chain.parse import ParseError, double_sha256, parse_block
from streams.sources.archive import Archive, Wanted
from streams.sources.archive_files import unmask
from streams.sources.archive_undo import Coin, parse_undo
from streams.sources.errors import SourceError
from tests.archive.building import (
    COIN,
    Builder,
    Made,
    blk,
    coinbase,
    key_script,
    undo_frame,
    undo_record,
    varint,
)
from tests.archive.building import block as build
from tests.fuzz.material import Decoder, writable
from tests.fuzz.mutate import Mutator

KEY = bytes.fromhex("0123456789abcdef")
KEYS = (b"", b"", KEY, KEY, b"\x01", KEY + b"\x00")


@cache
def folder() -> Path:
    """Where the files stand while they are read; it ends with the process."""
    memory = Path("/dev/shm")  # a file a mutation: on a disk they would be the most of the time
    where = memory if memory.is_dir() else None
    holder = tempfile.TemporaryDirectory(prefix="streams-fuzz-", dir=where)
    _HOLDERS.append(holder)
    return Path(holder.name)


_HOLDERS: list[tempfile.TemporaryDirectory[str]] = []


@cache
def chain() -> list[Made]:
    """Three blocks of regtest that pay out of each other."""
    return Builder(seed=3, per_block=2).grow(3)


def _transactions(made: Made) -> list[bytes]:
    raw, found, start = made.raw, [], 81
    for tx in parse_block(raw).transactions:
        found.append(raw[start : start + tx.size])
        start += tx.size
    return found


@cache
def coins(number: int) -> list[list[tuple[Coin, bytes]]]:
    """What each transaction of a block of the chain spends, and its script in short form."""
    outputs = {
        (tx.txid, index): (value, script, made.height, tx.is_coinbase)
        for made in chain()
        for tx in parse_block(made.raw).transactions
        for index, (value, script) in enumerate(tx.outputs)
    }
    found = []
    for tx in parse_block(chain()[number].raw).transactions[1:]:
        known = [Coin(*outputs[previous, index]) for previous, index, *_ in tx.inputs]
        found.append([(coin, varint(6 + len(coin.script)) + coin.script) for coin in known])
    return found


def undo_bodies() -> list[bytes]:
    """The undo records of the chain, but for the first block, which has none."""
    return [undo_record(*coins(number)) for number in range(1, len(chain()))]


def rev(bodies: Sequence[bytes]) -> bytes:
    """A rev file of these records."""
    return b"".join(
        undo_frame(made.hash, body) for made, body in zip(chain(), bodies, strict=False)
    )


@cache
def node(key: bytes, undo: bool) -> tuple[Path, bytes]:
    """A node's folder, and the key by which its files are read."""
    place, used = folder() / f"{key.hex()}-{undo}", key if len(key) == 8 else bytes(8)
    place.mkdir()
    if key:
        (place / "xor.dat").write_bytes(key)
    if undo:
        (place / "blk00000.dat").write_bytes(unmask(blk(chain()), 0, used))
    return place, used


def _read(mutator: Mutator, paths: Sequence[Path], prevouts: Sequence[Path] = ()) -> None:
    """All that an archive gives, to the bytes that would be written."""
    dice = mutator.dice
    wanted = Wanted(
        network="regtest",
        skip_damaged=dice.random() < 0.7,
        forks=dice.random() < 0.5,
        table=dice.choice((None, False, False, False)),  # one costs more than all the rest
    )
    with closing(Archive(paths, prevouts, wanted)) as archive:
        for portion in archive.portions():
            writable(portion.events)


def _rebuilt(mutator: Mutator, number: int) -> Made:
    """A block with a transaction that was changed, and a header that commits to it all the same."""
    made = chain()[number]
    found, previous = _transactions(made), made.previous
    place = mutator.dice.randrange(len(found))
    found[place] = mutator.bytes(found[place])
    if mutator.dice.random() < 0.2:
        height = mutator.dice.choice((0, 2**31 - 1, 2**31, 2**38))
        found[0] = coinbase(height, key_script(1), mutator.dice.choice((0, COIN, 2**50)))
    if mutator.dice.random() < 0.1:
        previous = double_sha256(found[0]).hex()
    return build(previous, made.height, found, 1_600_000_000 + mutator.dice.randrange(10_000))


def _blk(mutator: Mutator) -> None:
    if mutator.dice.random() < 0.5:
        blocks = mutator.bytes()
    else:
        number = mutator.dice.randrange(len(chain()))
        blocks = blk([*chain()[:number], _rebuilt(mutator, number)])
    place, key = node(mutator.dice.choice(KEYS), False)
    (place / "blk00000.dat").write_bytes(unmask(blocks, 0, key))
    _read(mutator, [place])


def _rev(mutator: Mutator) -> None:
    bodies, whole = undo_bodies(), mutator.dice.random() < 0.3
    if not whole:
        number = mutator.dice.randrange(len(bodies))
        bodies[number] = mutator.bytes(bodies[number])
    place, key = node(mutator.dice.choice(KEYS), True)
    (place / "rev00000.dat").write_bytes(unmask(mutator.bytes() if whole else rev(bodies), 0, key))
    _read(mutator, [place])


def _raw(mutator: Mutator) -> None:
    """One file of one block, whatever it is packed in."""
    dice, made = mutator.dice, _rebuilt(mutator, 2)
    name, raw = dice.choice(("2.raw", "2.hex", "2.raw.xz", "2.hex.xz", "x.raw")), made.raw
    raw = raw.hex().encode() if ".hex" in name else raw
    raw = lzma.compress(raw, preset=0) if name.endswith(".xz") else raw
    path = folder() / name
    path.write_bytes(mutator.bytes(raw) if dice.random() < 0.5 else raw)
    _read(mutator, [path])


def listed() -> bytes:
    """The prevouts file of the last block."""
    known = (coin for spent in coins(2) for coin, _ in spent)
    rows = [[c.value_sat, c.script.hex(), c.height, c.is_coinbase, None] for c in known]
    return json.dumps(rows).encode()


def _prevouts(mutator: Mutator) -> None:
    block, path = folder() / "listed" / "2.raw", folder() / f"{chain()[2].hash}.json"
    if not block.exists():
        block.parent.mkdir()
        block.write_bytes(chain()[2].raw)
    path.write_bytes(mutator.json())
    _read(mutator, [block], [path])


def _undo(mutator: Mutator) -> None:
    for _ in parse_undo(mutator.bytes()):
        pass


DECODERS: dict[str, Callable[[], Decoder]] = {
    "block file": lambda: Decoder([blk(chain())], _blk, (SourceError,)),
    "undo file": lambda: Decoder([rev(undo_bodies())], _rev, (SourceError,)),
    "undo record": lambda: Decoder(undo_bodies(), _undo, (ParseError,)),
    "raw block": lambda: Decoder([b"x"], _raw, (SourceError,)),
    "prevouts file": lambda: Decoder([listed()], _prevouts, (SourceError,)),
}
