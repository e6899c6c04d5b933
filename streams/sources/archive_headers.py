"""The headers of an archive as a forest: heights, event times, the best chain, the stale rest.

Held for a block are its hash and a few numbers, about 200 bytes, however large the blocks are.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from streams.chain.build import block_ts
from streams.chain.check import check_work, target_of
from streams.chain.parse import NULL_HASH, RawHeader
from streams.sources.errors import SourceError

NO_PARENT = -1


class Anchor(NamedTuple):
    """A block that is not in the archive, but known: the parent of the archive's first."""

    hash: str
    height: int
    ts: int | None
    """Event time in ms; None: nobody knew it."""


class Missing(NamedTuple):
    """A parent that is not there: the first block above the gap, and the parent's hash."""

    height: int
    parent: str


class Forest:
    """All headers that were found. First ``add`` them, then ``settle`` once."""

    def __init__(self) -> None:
        self.number: dict[bytes, int] = {}
        """Each block's number by its hash (display order)."""
        self._hashes: list[bytes] = []
        self._previous = bytearray()
        self.parent, self.height, self.ts = array("i"), array("i"), array("q")
        self._time, self._bits, self._version = array("L"), array("L"), array("i")
        self._work: list[int] = []
        self._child, self._sibling = array("i"), array("i")

    def __len__(self) -> int:
        return len(self._hashes)

    def add(self, header: RawHeader) -> int | None:
        """Take a header in and give its number; None when it is known. Raises ParseError."""
        check_work(header)
        name = bytes.fromhex(header.hash)
        if name in self.number:
            return None
        self.number[name] = number = len(self._hashes)
        self._hashes.append(name)
        self._previous += bytes.fromhex(header.previous)
        self._time.append(header.time)
        self._bits.append(header.bits)
        self._version.append(header.version)
        return number

    def hash(self, number: int) -> str:
        return self._hashes[number].hex()

    def name(self, number: int) -> bytes:
        """The hash as bytes in display order."""
        return self._hashes[number]

    def find(self, block_hash: str) -> int | None:
        """The number of a block by its hash; None for one that is not here, and for no hash."""
        try:
            return self.number.get(bytes.fromhex(block_hash))
        except ValueError:
            return None

    def version(self, number: int) -> int:
        return self._version[number]

    def roots(self) -> list[int]:
        """Blocks whose parent is not there, the genesis block among them."""
        return [n for n in range(len(self)) if self.parent[n] == NO_PARENT]

    def missing_parent(self, root: int) -> str:
        """Hash of the parent that a root names; of the genesis block 64 zeros."""
        return self._previous[32 * root : 32 * root + 32].hex()

    def children(self, number: int) -> Iterator[int]:
        """The blocks that follow this one; more than one where the chain forks."""
        child = self._child[number]
        while child != NO_PARENT:
            yield child
            child = self._sibling[child]

    def join(self) -> None:
        """Find every block's parent; afterwards ``roots`` are known and ``settle`` may follow."""
        count = len(self)
        self._child, self._sibling = (
            array("i", [NO_PARENT]) * count,
            array("i", [NO_PARENT]) * count,
        )
        previous = memoryview(self._previous)
        for number in range(count):
            name = bytes(previous[32 * number : 32 * number + 32])
            parent = self.number.get(name, NO_PARENT)
            self.parent.append(parent)
            if parent != NO_PARENT:
                self._sibling[number], self._child[parent] = self._child[parent], number

    def settle(self, heights: Mapping[int, int], start_ts: Mapping[int, int]) -> None:
        """Give every block its height, event time and total work, from those of the roots."""
        count = len(self)
        self.height, self.ts = array("i", bytes(4 * count)), array("q", bytes(8 * count))
        self._work = [0] * count
        for root in self.roots():
            self.height[root] = heights[root]
            self.ts[root] = block_ts(self._time[root], start_ts.get(root))
            self._work[root] = work_of(self._bits[root])
            for number in self.below(root):
                parent = self.parent[number]
                self.height[number] = self.height[parent] + 1
                self.ts[number] = block_ts(self._time[number], self.ts[parent])
                self._work[number] = self._work[parent] + work_of(self._bits[number])

    def below(self, root: int) -> Iterator[int]:
        """All descendants, parents first."""
        todo = list(self.children(root))
        while todo:
            number = todo.pop()
            yield number
            todo += self.children(number)

    def best(self, roots: list[int]) -> int:
        """The block with the most work above these roots; of equals the least hash."""
        found = (number for root in roots for number in (root, *self.below(root)))
        return max(found, key=lambda n: (self._work[n], -int.from_bytes(self._hashes[n], "big")))

    def branch(self, tip: int) -> array[int]:
        """From its root to ``tip``."""
        path = array("i", [tip])
        while self.parent[path[-1]] != NO_PARENT:
            path.append(self.parent[path[-1]])
        return path[::-1]

    def later(self, branch: array[int], ts: int) -> None:
        """Let no block of a branch, nor what forks off it, be earlier than ``ts``."""
        for number in (branch[0], *self.below(branch[0])):
            self.ts[number] = max(self.ts[number], ts)


@lru_cache(maxsize=4096)
def work_of(bits: int) -> int:
    """How many hashes a block of this target stands for, on average.

    >>> work_of(0x1D00FFFF)
    4295032833
    """
    return (1 << 256) // (target_of(bits) + 1)


class Chain(NamedTuple):
    """What an archive comes to."""

    blocks: array[int]
    """The best chain, by height."""
    missing: list[Missing]
    """Gaps in it, and its beginning unless that is the genesis block."""
    stale: list[int]
    """Blocks that are there and not on it."""


def best_chain(forest: Forest, tip: str | None = None) -> Chain:
    """Choose the chain by work, or the one that ends with ``tip``. Raises SourceError.

    Parts that do not connect follow each other by height. A part that lies beside another one is
    stale; parts that overlap half cannot be ordered.
    """
    groups: dict[str, list[int]] = {}
    for root in forest.roots():
        groups.setdefault(forest.missing_parent(root), []).append(root)
    branches = [forest.branch(forest.best(roots)) for roots in groups.values()]
    if tip is not None:
        branches = _ending_with(forest, branches, tip)
    blocks = array("i")
    missing: list[Missing] = []
    for branch in _in_order(forest, branches):
        if blocks:
            forest.later(branch, forest.ts[blocks[-1]])
        parent = forest.missing_parent(branch[0])
        if parent != NULL_HASH:
            missing.append(Missing(forest.height[branch[0]], parent))
        blocks += branch
    return Chain(blocks, missing, _rest(forest, blocks, tip))


def _ending_with(forest: Forest, branches: list[array[int]], tip: str) -> list[array[int]]:
    number = forest.find(tip)
    if number is None:
        raise SourceError(f"the tip {tip[:64]} is not in the archive", "give a hash that is there")
    mine = forest.branch(number)
    first = forest.missing_parent(mine[0])
    low = forest.height[mine[0]]
    others = [b for b in branches if forest.missing_parent(b[0]) != first]
    return [mine, *(b for b in others if forest.height[b[-1]] < low)]


def _in_order(forest: Forest, branches: list[array[int]]) -> list[array[int]]:
    """By height, without the branches that lie within the heights of another."""
    height = forest.height
    ordered: list[array[int]] = []
    for branch in sorted(branches, key=lambda b: (height[b[0]], -len(b), forest.hash(b[-1]))):
        before = ordered[-1] if ordered else None
        if before is None or height[before[-1]] < height[branch[0]]:
            ordered.append(branch)
        elif height[branch[-1]] > height[before[-1]]:
            raise _overlap(forest, before, branch)
    return ordered


def _overlap(forest: Forest, before: array[int], branch: array[int]) -> SourceError:
    first, parent = branch[0], forest.missing_parent(branch[0])
    cause = (
        f"block {forest.hash(first)} at {forest.height[first]} does not follow the chain that "
        f"reaches to {forest.height[before[-1]]}, and its parent {parent} is missing"
    )
    return SourceError(cause, "give the missing blocks, or say with --tip where the chain ends")


def _rest(forest: Forest, blocks: array[int], tip: str | None) -> list[int]:
    taken = set(blocks)
    if tip is not None:  # what follows the tip is left out, not stale
        taken.update(forest.below(blocks[-1]))
    rest = [number for number in range(len(forest)) if number not in taken]
    return sorted(rest, key=lambda n: (forest.height[n], forest.hash(n)))
