"""A node whose mempool is full: it takes the least that a node may, and is filled by wide payments.

A payment of 3,000 outputs is 93 kvB on the wire and about 145 kB in the node's memory, so 35 of
them fill the 5 MB that ``-maxmempool`` may not be below.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from tests.bitcoin.node import Node, bitcoind

COIN = 100_000_000
CONFIG = "maxmempool=5\nwalletbroadcast=0\n"
"""A wallet that broadcasts sends again, minutes later, what earlier tests had evicted."""
WIDE = 3_000
RICH = 1_000_000
"""Satoshi of fee of a wide payment: 10.6 sat/vB."""
_SCRIPT = bytes.fromhex("0014") + bytes(20)
Coin = tuple[str, int, int]


@contextmanager
def small_node() -> Iterator[Node]:
    """A node with the smallest mempool there is, and 80 coins to fill it with."""
    with bitcoind(config=CONFIG) as node:
        node.later()
        node.mine(80)
        yield node


def coin(node: Node) -> Coin:
    """A mature coin that nothing in the mempool spends: txid, index, satoshi."""
    unspent = next(one for one in node.call("listunspent") if one["amount"] > 10)
    return unspent["txid"], unspent["vout"], int(unspent["amount"] * COIN)


def pay(node: Node, fee: int, spends: Coin) -> str:
    """Spend a coin to one new address; returns the txid."""
    txid, index, value = spends
    outputs = {node.call("getnewaddress"): f"{(value - fee) / COIN:.8f}"}
    sent: str = node.call("sendrawtransaction", node.spend([(txid, index)], outputs))
    return sent


def pay_wide(node: Node, fee: int, spends: Coin | None = None) -> str:
    """Spend a coin to 3,000 outputs that are nobody's; returns the txid."""
    txid, index, value = spends or coin(node)
    each = struct.pack("<qB", (value - fee) // WIDE, len(_SCRIPT)) + _SCRIPT
    spent = bytes.fromhex(txid)[::-1] + struct.pack("<IBI", index, 0, 0xFFFFFFFD)
    count = struct.pack("<BH", 0xFD, WIDE)
    raw = struct.pack("<iB", 2, 1) + spent + count + each * WIDE + struct.pack("<I", 0)
    signed = node.call("signrawtransactionwithwallet", raw.hex())["hex"]
    sent: str = node.call("sendrawtransaction", signed, 0)
    return sent


def fill(node: Node) -> list[str]:
    """Pay until one more such payment makes the node throw something out; returns the txids."""
    sent: list[str] = []
    while True:
        info = node.call("getmempoolinfo")
        if sent and info["usage"] + info["usage"] // len(sent) > info["maxmempool"]:
            return sent
        sent.append(pay_wide(node, RICH))


def has_thrown_out(node: Node) -> bool:
    """Whether the node says that it was full: what it asks for is more than what it relays."""
    info = node.call("getmempoolinfo")
    return Decimal(info["mempoolminfee"]) > Decimal(info["minrelaytxfee"])
