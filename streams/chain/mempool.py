"""One node's mempool, followed by its ``sequence`` and ``rawtx`` notifications: a pure tracker.

The node says only that a transaction was added (A) or removed (R), and which blocks were connected
(C) or disconnected (D). Inclusion in a block sends no R. Why something was removed follows from
the outpoint table: a removed transaction was replaced when a newcomer spends one of its outpoints,
and conflicted when a block does; its descendants share its fate. The rest expired or were evicted.
So a removal is held back until what follows decides it: one addition, or two when the second spends
the first (a replacement may be a package of parent and child), any other frame, or ``flush``. What
comes back, or is in the next block itself, was not replaced by itself: it was evicted.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from streams.chain.parse import RawTx

EXPIRY_MS = 336 * 3_600_000
"""How long Bitcoin Core keeps a transaction by default (``-mempoolexpiry``, 336 hours)."""

_PACKAGE = 2
_BODIES = 20_000

Kind = Literal["added", "replaced", "evicted", "expired", "conflicted", "confirmed"]
Key = tuple[str, int]


class Change(NamedTuple):
    """What happened to one transaction at the node."""

    kind: Kind
    txid: str
    ts: int
    """The node's time in ms."""
    sequence: int | None = None
    """The node's mempool sequence of an A or R."""
    by: str | None = None
    """Replaced, conflicted: the transaction that took its outpoint."""
    block_hash: str | None = None
    """Confirmed, conflicted: the block."""
    tx: RawTx | None = None
    """The body; None when the node no longer had it, and for ``confirmed`` (the block has it)."""


class _Entry(NamedTuple):
    tx: RawTx | None
    ts: int


class _Removal(NamedTuple):
    txid: str
    entry: _Entry
    sequence: int | None
    ts: int


class Mempool:
    """The tracker. Feed it frames in order; each call returns the changes that became certain."""

    def __init__(self, expiry_ms: int = EXPIRY_MS) -> None:
        self._expiry_ms = expiry_ms
        self._entries: dict[str, _Entry] = {}
        self._spender: dict[Key, str] = {}
        self._bodies: OrderedDict[str, RawTx] = OrderedDict()
        self._removed: list[_Removal] = []
        self._newcomers: list[RawTx] = []

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, txid: str) -> bool:
        return txid in self._entries

    @property
    def txids(self) -> set[str]:
        """The transactions that the node has now."""
        return set(self._entries)

    @property
    def undecided(self) -> bool:
        """Whether a removal waits for what follows."""
        return bool(self._removed)

    def body(self, txid: str) -> RawTx | None:
        """The body of a transaction that is in the mempool."""
        entry = self._entries.get(txid)
        return entry.tx if entry else None

    def announced(self, txid: str) -> RawTx | None:
        """The body that a recent rawtx gave of a transaction that is not in the mempool yet."""
        return self._bodies.get(txid)

    def spender(self, txid: str, index: int) -> str | None:
        """The mempool transaction that spends an outpoint."""
        return self._spender.get((txid, index))

    def rawtx(self, tx: RawTx) -> None:
        """Remember a body: it precedes its own A, and is sent again with blocks."""
        self._bodies[tx.txid] = tx
        self._bodies.move_to_end(tx.txid)
        if len(self._bodies) > _BODIES:
            self._bodies.popitem(last=False)

    def added(self, txid: str, sequence: int, ts: int) -> list[Change]:
        """A: the node accepted a transaction. One that is already there changes nothing."""
        if txid in self._entries:
            return []
        tx = self._bodies.pop(txid, None)
        self._entries[txid] = _Entry(tx, ts)
        self._spender.update((key, txid) for key in _spends(tx))
        change = Change("added", txid, ts, sequence, tx=tx)
        return [*self._newcomer(tx), change]

    def removed(self, txid: str, sequence: int, ts: int) -> list[Change]:
        """R: the node dropped a transaction, and did not say why."""
        settled = self.flush() if self._newcomers else []
        entry = self._leave(txid)
        if entry is not None:
            self._removed.append(_Removal(txid, entry, sequence, ts))
        return settled

    def connected(self, block_hash: str, txs: Sequence[RawTx], ts: int) -> list[Change]:
        """C: settles removals by the block's own spends, then confirms what it includes."""
        spends = {key: tx.txid for tx in txs for key in _spends(tx)}
        self._removed += self._unannounced(spends, ts)
        changes = self._settle(spends, "conflicted", block_hash)
        for tx in txs:
            if self._leave(tx.txid) is not None:
                changes.append(Change("confirmed", tx.txid, ts, block_hash=block_hash))
            self._bodies.pop(tx.txid, None)
        return changes

    def disconnected(self) -> list[Change]:
        """D: settles removals. The node re-adds what the block held by fresh A frames."""
        return self.flush()

    def flush(self) -> list[Change]:
        """Settle what is held back: nothing that could explain it is coming."""
        spends = {key: tx.txid for tx in self._newcomers for key in _spends(tx)}
        return self._settle(spends, "replaced", None)

    def _newcomer(self, tx: RawTx | None) -> list[Change]:
        """An addition while removals are held back: it may be what replaced them."""
        if not self._removed:
            return []
        if tx is None or not self._may_replace(tx):
            return self.flush()
        self._newcomers.append(tx)
        spends = {key: new.txid for new in self._newcomers for key in _spends(new)}
        done = len(self._newcomers) >= _PACKAGE
        explained = all(found is not None for found in _causes(self._removed, spends).values())
        return self._settle(spends, "replaced", None) if done or explained else []

    def _may_replace(self, tx: RawTx) -> bool:
        """Whether an addition can belong to what removed: the first one, or its child."""
        if any(removal.txid == tx.txid for removal in self._removed):
            return False
        parents = {new.txid for new in self._newcomers}
        return not parents or any(previous in parents for previous, _ in _spends(tx))

    def _settle(
        self, spends: Mapping[Key, str], kind: Kind, block_hash: str | None
    ) -> list[Change]:
        """Decide each removal held back, in the order in which the node removed."""
        removed, self._removed, self._newcomers = self._removed, [], []
        causes = _causes(removed, spends)
        expired = _expired(removed, self._expiry_ms)
        changes = []
        for txid, entry, sequence, ts in removed:
            by = causes[txid]
            fate: Kind = kind if by else "expired" if txid in expired else "evicted"
            block = block_hash if by else None
            changes.append(Change(fate, txid, ts, sequence, by, block, entry.tx))
        return changes

    def _unannounced(self, spends: Mapping[Key, str], ts: int) -> list[_Removal]:
        """What a block conflicts with, descendants included, when the R of it was lost."""
        rivals = {self._spender[k] for k, by in spends.items() if self._spender.get(k, by) != by}
        removals: list[_Removal] = []
        waiting = sorted(rivals)
        while waiting:
            txid = waiting.pop()
            entry = self._entries.get(txid)
            if entry is not None and entry.tx is not None:
                outputs = range(len(entry.tx.outputs))
                waiting += [self._spender[txid, i] for i in outputs if (txid, i) in self._spender]
                removals.append(_Removal(txid, entry, None, ts))
                self._leave(txid)
        return removals

    def _leave(self, txid: str) -> _Entry | None:
        entry = self._entries.pop(txid, None)
        if entry is not None:
            for key in _spends(entry.tx):
                if self._spender.get(key) == txid:
                    del self._spender[key]
        return entry


def _spends(tx: RawTx | None) -> Iterable[Key]:
    return ((previous, index) for previous, index, *_ in tx.inputs) if tx else ()


def _causes(removed: Sequence[_Removal], spends: Mapping[Key, str]) -> dict[str, str | None]:
    """For each removal the transaction that took its outpoint or an ancestor's, None if none."""
    direct = {txid: _rival(txid, entry.tx, spends) for txid, entry, *_ in removed}
    return _inherited(removed, direct)


def _rival(txid: str, tx: RawTx | None, spends: Mapping[Key, str]) -> str | None:
    """Another transaction that spends what this one does."""
    found = (spends.get(key, txid) for key in _spends(tx))
    return next((by for by in found if by != txid), None)


def _expired(removed: Sequence[_Removal], expiry_ms: int) -> set[str]:
    """Removals that had been in the mempool too long, and their descendants."""
    direct = {r.txid: r.txid if r.ts - r.entry.ts >= expiry_ms else None for r in removed}
    return {txid for txid, cause in _inherited(removed, direct).items() if cause}


def _inherited(
    removed: Sequence[_Removal], direct: Mapping[str, str | None]
) -> dict[str, str | None]:
    """Pass each cause on to descendants within the batch, whatever their order."""
    causes = dict(direct)
    changed = True
    while changed:
        changed = False
        for removal in removed:
            if causes[removal.txid] is None:
                parents = (causes.get(previous) for previous, _ in _spends(removal.entry.tx))
                causes[removal.txid] = next((cause for cause in parents if cause), None)
                changed = changed or causes[removal.txid] is not None
    return causes
