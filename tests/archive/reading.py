"""Reading an archive in tests: its steps in short, and what a topic makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from schemas.envelope import Event
from streams.chain.tip import Chain, apply
from streams.sources.archive import Archive, Portion, Wanted

REGTEST = Wanted(network="regtest")


def portions(
    paths: Sequence[Path],
    wanted: Wanted = REGTEST,
    cursor: dict[str, Any] | None = None,
    table: Path | None = None,
    prevouts: Sequence[Path] = (),
) -> list[Portion]:
    """All that an archive gives."""
    with closing(Archive(paths, prevouts, wanted, cursor, table)) as archive:
        return list(archive.portions())


def steps(found: Iterable[Portion]) -> list[str]:
    """``+height`` for a connected block, ``-height`` for one that is undone."""
    return [f"{'-' if p.step.undo else '+'}{p.cursor['height']}" for p in found]


def heights(found: Iterable[Portion]) -> list[int]:
    """The heights of the blocks, whatever happens to them."""
    return [portion.cursor["height"] for portion in found]


def events(found: Iterable[Portion]) -> list[Event]:
    """All events in the order in which they are written."""
    return [event for portion in found for event in portion.events]


def net(found: Iterable[Event]) -> dict[str, Event]:
    """The live events by id; asserts and retracts of one id must alternate."""
    live: dict[str, Event] = {}
    for event in found:
        assert (event.id in live) == (event.op == "retract")
        if event.op == "assert":
            live[event.id] = event
        else:
            assert live.pop(event.id).ts == event.ts
    return live


def followed(found: Iterable[Portion]) -> Chain:
    """The chain that a reader of the block events arrives at; a misfit raises ChainError."""
    chain = Chain("regtest")
    for event in events(found):
        if event.type == "bitcoin.block.v1":
            chain = apply(chain, event).chain
    return chain


def missing(found: Iterable[Portion]) -> list[str]:
    """Why prevouts are not there, coinbases apart."""
    inputs = (
        one
        for event in events(found)
        if event.type == "bitcoin.transaction.v1"
        for one in event.value.inputs
    )
    return [i.prevout_missing for i in inputs if i.prevout_missing not in (None, "coinbase")]
