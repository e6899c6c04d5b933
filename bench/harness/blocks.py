"""A real block as input: its transactions, and more of them under fresh txids."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from typing import TypeVar

import msgspec

from bench.harness.envs import ROOT
from bench.harness.errors import BenchError
from schemas.catalog import BY_NAME
from schemas.envelope import Event
from streams.agents.raise_alerts import ALERTING
from streams.ops.demo import BLOCK, as_path
from streams.patterns import detect_all
from streams.sources.archive import read_blocks

T = TypeVar("T")
HEIGHT = "866342"
DATA = ROOT.parent / "shared" / "data" / "bitcoin"


def transactions() -> list[Event]:
    """The transactions of block 866342, as our archive source gives them; raises BenchError."""
    files = DATA / "blocks" / f"{HEIGHT}.raw.xz", DATA / "prevouts" / f"{HEIGHT}.json.xz"
    for file in files:
        if not file.exists():
            raise BenchError(
                f"{file} is not here", f"put block {HEIGHT} there (raw, xz), and its prevouts"
            )
    block = next(iter(read_blocks([files[0]], [files[1]], "main")))
    return block.transactions


def alerting() -> list[Event]:
    """The transactions of the block that ships with the project that alert by themselves."""
    block = next(iter(read_blocks([as_path(BLOCK)], [], "main")))
    return [
        event
        for event in block.transactions
        if any(match.severity in ALERTING for match in detect_all(event.value))
    ]


def mixed(events: list[T], others: list[T], every: int) -> list[T]:
    """As many events, but each ``every``-th is one of ``others``; the first one is.

    >>> mixed([1, 2, 3, 4, 5], [10, 20], 3)
    [10, 2, 3, 20, 5]
    """
    found = list(events)
    found[::every] = others[: len(found[::every])]
    return found


def multiplied(events: list[Event], count: int) -> list[Event]:
    """So many transactions: the block's, then the same again under fresh txids.

    >>> multiplied([], 3)
    []
    """
    return list(islice(_endless(events), count)) if events else []


def _endless(events: list[Event]) -> Iterator[Event]:
    copy = 0
    while True:
        yield from (renamed(event, copy) for event in events)
        copy += 1


def renamed(event: Event, copy: int) -> Event:
    """The event under another txid, with the id that belongs to it; copy 0 is the event itself."""
    if copy == 0:
        return event
    txid = sha256(f"{event.value.txid} {copy}".encode()).hexdigest()
    value = msgspec.structs.replace(event.value, txid=txid)
    id = BY_NAME[event.type].event_id(value)
    return msgspec.structs.replace(
        event, id=id or event.id, key=txid, value=value, correlation_id=txid
    )
