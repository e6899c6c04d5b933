"""How deep the blocks of one network lie, as ``bitcoin.tip`` tells it."""

from __future__ import annotations

UNDO_BLOCKS = 2016
"""Blocks below the top whose hashes are remembered; deeper ones are known by what was undone."""


class Burial:
    """A fold of the connected and disconnected blocks of a network, in their topic's order.

    A block is buried by ``depth`` blocks when so many were connected since it was, itself included,
    by their heights: 1 is the tip. It stays so until it is disconnected. Hashes are kept of
    ``kept`` blocks; of a block below these, or below the first one that was read, it is only known
    whether it was disconnected.
    """

    def __init__(self, depth: int, kept: int = UNDO_BLOCKS) -> None:
        self.depth, self.kept = depth, max(depth, kept)
        self.top: int | None = None
        """The greatest height that was ever connected."""
        self._first = 0
        self._shallow: dict[str, int] = {}
        self._deep: dict[str, int] = {}
        self._undone: set[str] = set()

    @property
    def assumed(self) -> int:
        """Blocks below this height are buried unless they were disconnected."""
        if self.top is None:
            return 0
        return max(self.top - self.kept, min(self._first, self.top - self.depth + 2))

    def buried(self, height: int, block_hash: str) -> bool:
        """Whether a block is on the chain and deep enough."""
        if block_hash in self._deep:
            return True
        known = block_hash in self._shallow or block_hash in self._undone
        return not known and height < self.assumed

    def connect(self, height: int, block_hash: str) -> list[tuple[int, str]]:
        """Take a block over; returns the blocks that are buried now and were not."""
        if self._is_known(height, block_hash):
            return []
        if self.top is None:
            self._first = height
        self.top = height if self.top is None else max(height, self.top)
        self._undone.discard(block_hash)
        self._shallow[block_hash] = height
        found = [(h, b) for b, h in self._shallow.items() if height - h + 1 >= self.depth]
        for low, buried in found:
            del self._shallow[buried]
            self._deep[buried] = low
        self._forget()
        return found

    def disconnect(self, height: int, block_hash: str) -> bool:
        """Take a block away; returns whether it was buried."""
        was = self.buried(height, block_hash)
        self._shallow.pop(block_hash, None)
        self._deep.pop(block_hash, None)
        self._undone.add(block_hash)
        return was

    def _is_known(self, height: int, block_hash: str) -> bool:
        return block_hash in self._shallow or self.buried(height, block_hash)

    def _forget(self) -> None:
        floor = self.top - self.kept if self.top is not None else 0
        while self._deep:
            block_hash, height = next(iter(self._deep.items()))
            if height >= floor:
                return
            del self._deep[block_hash]
