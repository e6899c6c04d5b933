"""A Bitcoin node as the source needs it: headers, blocks and transactions with their prevouts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from schemas.events import Prevout
from streams.chain.address import address_of
from streams.chain.build import COINBASE, Spent, block_ts, prevout
from streams.chain.check import check_block
from streams.chain.parse import (
    ParseError,
    RawBlock,
    RawOutput,
    RawTx,
    parse_block,
    parse_tx,
)
from streams.chain.tip import HORIZON, Link
from streams.sources import bitcoin_forms as forms
from streams.sources.bitcoin_away import NodeAway
from streams.sources.bitcoin_reconcile import ChainView, Place
from streams.sources.bitcoin_rpc import Rpc, RpcError
from streams.sources.errors import SourceError

_TS_HEADERS = 2016
"""Headers looked back at for the running maximum of header times: two weeks on the main network,
while consensus lets a header be at most two hours ahead of the nodes that accept it."""
NO_UNDO_DATA = "node has no undo data for the block"
NOT_AT_NODE = "node does not know the output: spent, and no transaction index"
TRIES = 10
"""How often a node may show another chain than a moment ago, until it is let settle."""
_T = TypeVar("_T")


class FullBlock(NamedTuple):
    """A block with what each input of each transaction spends."""

    raw: RawBlock
    height: int
    spent: list[list[Spent]]


class Snapshot(NamedTuple):
    """The node's mempool at one instant."""

    best_hash: str
    txids: list[str]
    sequence: int
    """The mempool sequence that the next A or R will have."""


class Arrival(NamedTuple):
    """A transaction that the node has in its mempool; ``ts`` is when it came there, in ms."""

    tx: RawTx
    ts: int


class BitcoinNode:
    """Reads one node over RPC. Every method raises NodeAway when the node does not answer."""

    def __init__(self, rpc: Rpc, network: str) -> None:
        self.rpc, self.network = rpc, network
        self._heights: dict[str, int] = {}

    def hash_at(self, height: int) -> str | None:
        """Hash of the active chain's block at a height, None above its tip."""
        return self._asked_or_none(forms.Hash, "getblockhash", height)

    def height(self) -> int:
        """Height of the active chain's tip."""
        return self._asked(forms.Height, "getblockcount")

    def header(self, block_hash: str) -> forms.Header | None:
        """A block's header, also a stale one's; None when the node does not know the block."""
        return self._asked_or_none(forms.Header, "getblockheader", block_hash)

    def follows(self, block_hash: str, tip: Link | None) -> bool:
        """Whether the node knows the block and its parent is ``tip`` (None: it is the first)."""
        header = self.header(block_hash)
        parent = tip.hash if tip else None
        return header is not None and header.previousblockhash == parent

    def view(self, tip: Link | None) -> ChainView:
        """The node's active chain as far as it matters to who stands at ``tip``."""
        height = self.height()
        at, after = (tip.height, tip.height + 1) if tip else (None, 0)
        return ChainView(
            top=Place(height, self.hash_at(height)),
            here=None if at is None else self.hash_at(at),
            after=self.hash_at(after),
            dropped=tip is not None and height < tip.height and self._dropped(tip),
        )

    def _dropped(self, tip: Link) -> bool:
        """Whether the node has ruled a block out for good, not merely not reached it yet."""
        if self.header(tip.hash) is None:
            return False
        branches = self._asked(list[forms.Branch], "getchaintips")
        return any(b.status == "invalid" and b.height >= tip.height for b in branches)

    def links(self, height: int) -> tuple[Link, ...]:
        """The active chain's last ``HORIZON`` blocks up to a height, with their event times."""
        first = max(0, height - _TS_HEADERS - HORIZON)
        heights = range(first, height + 1)
        hashes = self._batch(forms.Hash, [("getblockhash", h) for h in heights])
        headers = self._batch(forms.Header, [("getblockheader", one) for one in hashes])
        links: list[Link] = []
        for at, name, header in zip(heights, hashes, headers, strict=True):
            if header is None:
                raise NodeAway("its chain changed while it was read", "let it settle")
            if (header.hash, header.height) != (name, at):
                raise self._misfit("getblockheader", f"{header.hash} at {header.height}")
            ts = block_ts(header.time, links[-1].ts if links else None)
            links.append(Link(header.hash, header.height, ts))
        return tuple(links[-HORIZON:])

    def block(self, block_hash: str) -> FullBlock | None:
        """A block, checked against its commitments, with every prevout; also a stale one.

        None when the node does not have it (any more).
        """
        # One batch, since the proxy's own calls encode a large answer again for its log.
        calls = [("getblock", block_hash, 0), ("getblock", block_hash, 3)]
        data, verbose = self.rpc.batch(calls)
        if data is None or verbose is None:
            return None
        plain = self._formed(forms.Hex, data, calls[0])
        known = self._formed(forms.VerboseBlock, verbose, calls[1])
        try:
            raw = parse_block(plain)
            check_block(raw)
        except ParseError as problem:
            raise SourceError(f"block {block_hash}: {problem}", "check the node") from problem
        if raw.header.hash != block_hash:
            raise self._misfit("getblock", f"{raw.header.hash} for {block_hash}")
        if [len(tx.vin) for tx in known.tx] != [len(tx.inputs) for tx in raw.transactions]:
            raise self._misfit("getblock", f"other inputs than those of {block_hash}")
        spent = [[_input_spent(one, self.network) for one in tx.vin] for tx in known.tx]
        return FullBlock(raw, known.height, spent)

    def snapshot(self) -> Snapshot:
        """The mempool and the tip that it belongs to. NodeAway while the node still loads it."""
        if not self._asked(forms.MempoolInfo, "getmempoolinfo").loaded:
            raise NodeAway("it is still loading its mempool", "wait until it has")
        for _ in range(TRIES):
            best = self._asked(forms.Hash, "getbestblockhash")
            listed = self._asked(forms.Listed, "getrawmempool", False, True)
            if best == self._asked(forms.Hash, "getbestblockhash"):
                return Snapshot(best, listed.txids, listed.mempool_sequence)
        raise NodeAway("its tip changed each time that it was asked", "let it settle")

    def arrivals(self, txids: Sequence[str]) -> list[Arrival]:
        """What of these is in the mempool, oldest first, parents before children."""
        found = self._batch(forms.Entry, [("getmempoolentry", txid) for txid in txids])
        pairs = zip(txids, found, strict=True)
        entries = {txid: entry for txid, entry in pairs if entry is not None}
        bodies = {tx.txid: tx for tx in self.bodies(list(entries))}
        order = sorted((entries[txid].time, entries[txid].ancestorcount, txid) for txid in bodies)
        return [Arrival(bodies[txid], time_s * 1000) for time_s, _, txid in order]

    def bodies(self, txids: Sequence[str]) -> list[RawTx]:
        """The bodies that the node still has."""
        found = self._batch(forms.Hex, [("getrawtransaction", txid) for txid in txids])
        pairs = zip(txids, found, strict=True)
        return [self._body(txid, data) for txid, data in pairs if data is not None]

    def spent(self, txs: Sequence[RawTx], pool: Callable[[str], RawTx | None]) -> list[list[Spent]]:
        """What unconfirmed transactions spend: outputs of ``pool``, else confirmed ones."""
        parents = {previous: pool(previous) for tx in txs for previous, *_ in tx.inputs}
        calls = [
            ("gettxout", previous, index, False)
            for tx in txs
            for previous, index, *_ in tx.inputs
            if parents[previous] is None
        ]
        confirmed = iter(self._confirmed(calls))
        return [
            [
                self._unconfirmed(parent, index) if parent else next(confirmed)
                for parent, index in ((parents[one[0]], one[1]) for one in tx.inputs)
            ]
            for tx in txs
        ]

    def _unconfirmed(self, parent: RawTx, index: int) -> Spent:
        value, script = self._output(parent, index)
        return Prevout(value, script, address_of(script, self.network), None, False)

    def _confirmed(self, calls: list[tuple[Any, ...]]) -> Iterable[Spent]:
        for call, found in zip(calls, self._batch(forms.Unspent, calls), strict=True):
            yield self._from_index(call[1], call[2]) if found is None else self._unspent(found)

    def _unspent(self, found: forms.Unspent) -> Spent:
        height = self._height_of(found.bestblock) - found.confirmations + 1
        if height < 0:
            raise self._misfit("gettxout", f"{found.confirmations} confirmations")
        script = bytes(found.scriptPubKey.hex)
        return prevout(int(found.value), script, self.network, height, found.coinbase)

    def _height_of(self, block_hash: str) -> int:
        """Height of a block; the last answer is kept, since it serves many outputs."""
        if block_hash not in self._heights:
            header = self._asked(forms.Header, "getblockheader", block_hash)
            self._heights = {block_hash: header.height}
        return self._heights[block_hash]

    def _from_index(self, txid: str, index: int) -> Spent:
        """An output that a block has spent meanwhile, by the node's transaction index."""
        verbose = self._asked_or_none(forms.VerboseTx, "getrawtransaction", txid, 1)
        if verbose is None:
            return NOT_AT_NODE
        parent = self._body(txid, verbose.hex)
        if verbose.blockhash is None:
            return self._unconfirmed(parent, index)
        height = self._height_of(verbose.blockhash)
        value, script = self._output(parent, index)
        return prevout(value, script, self.network, height, parent.is_coinbase)

    def _body(self, txid: str, data: bytes) -> RawTx:
        try:
            tx = parse_tx(bytes(data))
        except ParseError as problem:
            raise self._misfit("getrawtransaction", str(problem)) from problem
        if tx.txid != txid:
            raise self._misfit("getrawtransaction", f"{tx.txid} for {txid}")
        return tx

    def _output(self, parent: RawTx, index: int) -> RawOutput:
        if index >= len(parent.outputs):
            words = f"a transaction that spends output {index} of {parent.txid}, which has none"
            raise self._misfit("getrawtransaction", words)
        return parent.outputs[index]

    def _asked(self, kind: type[_T], method: str, *args: Any) -> _T:
        return self._formed(kind, self.rpc.call(method, *args), (method,))

    def _asked_or_none(self, kind: type[_T], method: str, *args: Any) -> _T | None:
        """The same; None where the node says error."""
        try:
            return self._asked(kind, method, *args)
        except RpcError:
            return None

    def _batch(self, kind: type[_T], calls: Sequence[tuple[Any, ...]]) -> list[_T | None]:
        """An answer a call; None where the node says error."""
        found = zip(calls, self.rpc.batch(calls), strict=True)
        return [None if one is None else self._formed(kind, one, call) for call, one in found]

    def _formed(self, kind: type[_T], answer: Any, call: tuple[Any, ...]) -> _T:
        return forms.formed(kind, answer, call[0], self.rpc.where)

    def _misfit(self, method: str, words: str) -> SourceError:
        return forms.misfit(method, words, self.rpc.where)


def _input_spent(one: forms.Input, network: str) -> Spent:
    if one.coinbase is not None:
        return COINBASE
    found = one.prevout
    if found is None:
        return NO_UNDO_DATA
    script = bytes(found.scriptPubKey.hex)
    return prevout(int(found.value), script, network, found.height, found.generated)
