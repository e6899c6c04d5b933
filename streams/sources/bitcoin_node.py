"""A Bitcoin node as the source needs it: headers, blocks and transactions with their prevouts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from schemas.events import Prevout
from streams.chain.address import address_of
from streams.chain.build import COINBASE, Spent, block_ts, prevout
from streams.chain.check import check_block
from streams.chain.parse import ParseError, RawBlock, RawTx, parse_block, parse_tx
from streams.chain.tip import HORIZON, Link
from streams.sources.bitcoin_away import NodeAway
from streams.sources.bitcoin_reconcile import ChainView, Place
from streams.sources.bitcoin_rpc import Rpc, RpcError, satoshi
from streams.sources.errors import SourceError

_TS_HEADERS = 2016
"""Headers looked back at for the running maximum of header times: two weeks on the main network,
while consensus lets a header be at most two hours ahead of the nodes that accept it."""
NO_UNDO_DATA = "node has no undo data for the block"
NOT_AT_NODE = "node does not know the output: spent, and no transaction index"


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
        try:
            found: str = self.rpc.call("getblockhash", height)
        except RpcError:
            return None
        return found

    def height(self) -> int:
        """Height of the active chain's tip."""
        count: int = self.rpc.call("getblockcount")
        return count

    def header(self, block_hash: str) -> dict[str, Any] | None:
        """A block's header, also a stale one's; None when the node does not know the block."""
        try:
            found: dict[str, Any] = self.rpc.call("getblockheader", block_hash)
        except RpcError:
            return None
        return found

    def follows(self, block_hash: str, tip: Link | None) -> bool:
        """Whether the node knows the block and its parent is ``tip`` (None: it is the first)."""
        header = self.header(block_hash)
        parent = tip.hash if tip else None
        return header is not None and header.get("previousblockhash") == parent

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
        branches = self.rpc.call("getchaintips")
        return any(b["status"] == "invalid" and b["height"] >= tip.height for b in branches)

    def links(self, height: int) -> tuple[Link, ...]:
        """The active chain's last ``HORIZON`` blocks up to a height, with their event times."""
        first = max(0, height - _TS_HEADERS - HORIZON)
        heights = range(first, height + 1)
        hashes = list(self.rpc.batch([("getblockhash", h) for h in heights]))
        headers = self.rpc.batch([("getblockheader", one) for one in hashes])
        links: list[Link] = []
        for header in headers:
            if header is None:
                raise NodeAway("its chain changed while it was read", "let it settle")
            ts = block_ts(header["time"], links[-1].ts if links else None)
            links.append(Link(header["hash"], header["height"], ts))
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
        try:
            raw = parse_block(bytes.fromhex(data))
            check_block(raw)
        except ParseError as problem:
            raise SourceError(f"block {block_hash}: {problem}", "check the node") from problem
        spent = [_block_spent(tx, self.network) for tx in verbose["tx"]]
        return FullBlock(raw, verbose["height"], spent)

    def snapshot(self) -> Snapshot:
        """The mempool and the tip that it belongs to. NodeAway while the node still loads it."""
        if not self.rpc.call("getmempoolinfo").get("loaded", True):
            raise NodeAway("it is still loading its mempool", "wait until it has")
        while True:
            best: str = self.rpc.call("getbestblockhash")
            listed = self.rpc.call("getrawmempool", False, True)
            if best == self.rpc.call("getbestblockhash"):
                return Snapshot(best, listed["txids"], listed["mempool_sequence"])

    def arrivals(self, txids: Sequence[str]) -> list[Arrival]:
        """What of these is in the mempool, oldest first, parents before children."""
        found = self.rpc.batch([("getmempoolentry", txid) for txid in txids])
        pairs = zip(txids, found, strict=True)
        entries = {txid: entry for txid, entry in pairs if entry is not None}
        bodies = {tx.txid: tx for tx in self.bodies(list(entries))}
        order = sorted(
            (entries[txid]["time"], entries[txid]["ancestorcount"], txid) for txid in bodies
        )
        return [Arrival(bodies[txid], time_s * 1000) for time_s, _, txid in order]

    def bodies(self, txids: Sequence[str]) -> list[RawTx]:
        """The bodies that the node still has."""
        found = self.rpc.batch([("getrawtransaction", txid) for txid in txids])
        return [parse_tx(bytes.fromhex(data)) for data in found if data is not None]

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
        value, script = parent.outputs[index]
        return Prevout(value, script, address_of(script, self.network), None, False)

    def _confirmed(self, calls: list[tuple[Any, ...]]) -> Iterable[Spent]:
        for call, found in zip(calls, self.rpc.batch(calls), strict=True):
            yield self._from_index(call[1], call[2]) if found is None else self._unspent(found)

    def _unspent(self, found: dict[str, Any]) -> Spent:
        height = self._height_of(found["bestblock"]) - found["confirmations"] + 1
        script = bytes.fromhex(found["scriptPubKey"]["hex"])
        value = satoshi(found["value"])
        return prevout(value, script, self.network, height, found["coinbase"])

    def _height_of(self, block_hash: str) -> int:
        """Height of a block; the last answer is kept, since it serves many outputs."""
        if block_hash not in self._heights:
            header = self.rpc.call("getblockheader", block_hash)
            self._heights = {block_hash: header["height"]}
        return self._heights[block_hash]

    def _from_index(self, txid: str, index: int) -> Spent:
        """An output that a block has spent meanwhile, by the node's transaction index."""
        try:
            verbose = self.rpc.call("getrawtransaction", txid, 1)
        except RpcError:
            return NOT_AT_NODE
        parent = parse_tx(bytes.fromhex(verbose["hex"]))
        if "blockhash" not in verbose:
            return self._unconfirmed(parent, index)
        height = self._height_of(verbose["blockhash"])
        value, script = parent.outputs[index]
        return prevout(value, script, self.network, height, parent.is_coinbase)


def _block_spent(tx: dict[str, Any], network: str) -> list[Spent]:
    return [_input_spent(one, network) for one in tx["vin"]]


def _input_spent(one: dict[str, Any], network: str) -> Spent:
    if "coinbase" in one:
        return COINBASE
    found = one.get("prevout")
    if found is None:
        return NO_UNDO_DATA
    script = bytes.fromhex(found["scriptPubKey"]["hex"])
    value = satoshi(found["value"])
    return prevout(value, script, network, found["height"], found["generated"])
