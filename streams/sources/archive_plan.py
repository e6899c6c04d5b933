"""What is to be written of an archive, step by step, and where an earlier run stands in it."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from streams.chain.parse import MAX_HEIGHT
from streams.chain.tip import HORIZON
from streams.sources.archive_headers import Anchor, Chain, Forest
from streams.sources.errors import unreadable

CONNECT, DISCONNECT = "connect", "disconnect"
BEFORE_ALL = -1
_Ms = Annotated[int, msgspec.Meta(ge=0, lt=253_402_300_800_000)]
"""A time that a calendar has."""
_Height = Annotated[int, msgspec.Meta(ge=-1, le=MAX_HEIGHT)]


class Step(NamedTuple):
    """One block that is connected or disconnected."""

    block: int
    undo: bool = False
    stale: bool = False
    """Of a branch that is undone later, or is being undone."""
    corrects: bool = False
    """Takes the place of what was undone, or is earlier than what was declared."""


class Standing(NamedTuple):
    """What is left to do, and what was done before."""

    steps: Iterator[Step]
    upto: int
    """Place in the chain of the last block of it that stands; BEFORE_ALL: none."""
    connected: list[int]
    """Stale blocks that stand above it."""
    words: str
    """Where an earlier run stands, for a person; empty without one."""


class Plan:
    """The steps of an archive in their order: the best chain, and with forks what it replaced.

    A branch is connected after the block at which it forks off, and then undone from its end::

        forks      2'--3'            connect 1 2' 3'
              1 --+                  disconnect 3' 2'
                  2 -- 3 -- 4        connect 2 3 4 (2 and 3 are corrections)
    """

    def __init__(
        self, forest: Forest, chain: Chain, first: int, last: int, forks: bool = False
    ) -> None:
        self._forest, self._chain, self._forks = forest, chain, forks
        height = forest.height
        self._first = bisect_left(chain.blocks, first, key=height.__getitem__)
        self.end = bisect_left(chain.blocks, last + 1, key=height.__getitem__)
        self._stale = set(chain.stale)
        self.too_deep: list[int] = []
        """Branches with more blocks than can be undone; they are left out."""

    @property
    def blocks(self) -> array[int]:
        """The blocks of the chain that are wanted."""
        return self._chain.blocks[self._first : self.end]

    def start(self, cursor: dict[str, Any] | None) -> Standing:
        """What is left after ``cursor``; all of it when that is no place of this archive."""
        if cursor is None:
            return Standing(self._steps(self._first), self._first - 1, [], "")
        number = self._forest.find(cursor["hash"])
        words = f"block {cursor['hash']} at {cursor['height']}"
        found = None if number is None else self._after(number, cursor["op"] == DISCONNECT)
        if found is not None:
            return found._replace(words=f"goes on after {words}")
        other = "" if cursor["hash"] == self._parent() else f"{words} is not here: from the start"
        return Standing(self._steps(self._first), self._first - 1, [], other)

    def _parent(self) -> str | None:
        """The parent of the first block."""
        blocks = self._chain.blocks
        return self._forest.missing_parent(blocks[0]) if blocks and not self._first else None

    def _after(self, number: int, undone: bool) -> Standing | None:
        place = self.place_of(number)
        if place is not None and not undone:
            return self._after_chain_block(place)
        found = self._within(number, undone) if self._forks else None
        return found or self._back(number, undone)

    def _after_chain_block(self, place: int) -> Standing | None:
        if place < self._first:
            return None
        steps = self._steps(place)
        next(steps, None)
        return Standing(steps, place, [], "")

    def _within(self, number: int, undone: bool) -> Standing | None:
        """After a step of a branch that is connected and undone."""
        fork = self._fork(number)
        place = None if fork is None else self.place_of(fork)
        if place is None or not self._first <= place < self.end:
            return None
        steps, connected = self._steps(place), list[int]()
        next(steps, None)
        for step in steps:
            if not step.stale:
                return None
            if step.undo:
                connected.pop()
            else:
                connected.append(step.block)
            if (step.block, step.undo) == (number, undone):
                return Standing(steps, place, connected, "")
        return None

    def _back(self, number: int, undone: bool) -> Standing | None:
        """An earlier run stands on what has become stale: undo that, then go on at the fork."""
        fork = self._fork(number)
        place = None if fork is None else self.place_of(fork)
        if place is None:
            return None
        branch = [n for n in self._forest.branch(number) if self.place_of(n) is None]
        connected = branch[:-1] if undone else branch
        return Standing(self._return(connected, place), place, connected, "")

    def _return(self, connected: list[int], place: int) -> Iterator[Step]:
        for number in reversed(connected):
            yield Step(number, undo=True, stale=True, corrects=True)
        undone = max((self._forest.height[n] for n in connected), default=-1)
        steps = self._steps(place, undone)
        next(steps, None)
        yield from steps

    def _fork(self, number: int) -> int | None:
        """The last block of the chain below a stale one."""
        branch = self._forest.branch(number)
        on_chain = [n for n in branch if self.place_of(n) is not None]
        return on_chain[-1] if on_chain else None

    def place_of(self, number: int) -> int | None:
        """The place of a block in the chain; None for a stale one."""
        height, blocks = self._forest.height, self._chain.blocks
        place = bisect_left(blocks, height[number], key=height.__getitem__)
        return place if place < len(blocks) and blocks[place] == number else None

    def _steps(self, place: int, undone: int = -1) -> Iterator[Step]:
        """All steps from a place of the chain on, with what they correct."""
        declared = -(2**62)
        for step in self._bare(place):
            height, ts = self._forest.height[step.block], self._forest.ts[step.block]
            if step.undo:
                undone = max(undone, height)
                yield step._replace(corrects=True)
                continue
            yield step._replace(corrects=height <= undone or ts < declared)
            declared = max(declared, ts)

    def _bare(self, start: int) -> Iterator[Step]:
        for place in range(start, self.end):
            number = self._chain.blocks[place]
            yield Step(number)
            if self._forks and place < self.end - 1:
                yield from self._branches(number)

    def _branches(self, fork: int) -> Iterator[Step]:
        """What forks off a block, each branch connected and undone, by its hash."""
        forest = self._forest
        for child in self._stale_children(fork):
            deepest = max(forest.height[n] for n in (child, *forest.below(child)))
            if deepest - forest.height[fork] <= HORIZON:
                yield from self._excursion(child)
            elif child not in self.too_deep:
                self.too_deep.append(child)

    def _excursion(self, first: int) -> Iterator[Step]:
        todo = [(first, False)]
        while todo:
            number, undo = todo.pop()
            yield Step(number, undo, stale=True)
            if not undo:
                todo.append((number, True))
                todo += [(child, False) for child in reversed(self._stale_children(number))]

    def _stale_children(self, number: int) -> list[int]:
        found = [n for n in self._forest.children(number) if n in self._stale]
        return sorted(found, key=self._forest.hash)


def cursor_of(forest: Forest, step: Step, network: str, base: Anchor | None) -> dict[str, Any]:
    """Where a run stands after a step: plain data, stored with what it wrote.

    ``base`` is the parent of the archive's first block, so that a later run gives every block the
    same height and time.
    """
    number = step.block
    return {
        "network": network,
        "op": DISCONNECT if step.undo else CONNECT,
        "hash": forest.hash(number),
        "height": forest.height[number],
        "ts": forest.ts[number],
        "base": list(base) if base is not None else None,
    }


class Cursor(msgspec.Struct, frozen=True):
    """The same as it is read."""

    op: Literal["connect", "disconnect"]
    hash: str
    height: _Height
    ts: _Ms
    base: tuple[str, _Height, _Ms | None] | None = None


def anchors_of(cursor: dict[str, Any] | None) -> list[Anchor]:
    """The blocks that an earlier run knew: the one it stands on, and the parent of its first.

    Raises SourceError.
    """
    if cursor is None:
        return []
    try:
        said = msgspec.convert(cursor, Cursor)
    except ValueError as error:
        raise unreadable(error) from error
    found = [Anchor(said.hash, said.height, said.ts)]
    return [*found, Anchor(*said.base)] if said.base is not None else found
