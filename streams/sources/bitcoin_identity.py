"""Is this node on the chain that the configuration means? Checked before anything is published.

On 2026-08-08 nodes that enforce BIP 110 left Bitcoin's main chain at height 961,632, and at
961,640 that branch changed its proof of work and header. Such a node says that its network is
``main`` all the same, so the name alone proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from streams.chain.address import AddressError, network_of
from streams.chain.parse import HEADER_BYTES, RawHeader
from streams.sources import bitcoin_forms as forms
from streams.sources.bitcoin_rpc import Rpc, RpcError
from streams.sources.errors import SourceError

GENESIS = {
    "main": "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
    "test": "000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943",
    "testnet4": "00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043",
    "signet": "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6",
    "regtest": "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206",
}
"""First block of each network (Bitcoin Core, ``chainparams.cpp``)."""

SPLIT_HEIGHT = 961_632
SPLIT_HASH = "0000000000000000000169eb6f811ddbd0daf343af7b62180cdb13e7c78dbc16"
"""First block of the branch that left the main chain."""

_LEFT_SINCE = 20260508
_FOREIGN_VERSION_BIT = 1 << 31
_REMEDY_SPLIT = "use a node that follows Bitcoin's main chain"
_T = TypeVar("_T")


def check_identity(rpc: Rpc, network: str, checkpoints: Mapping[int, str] | None = None) -> None:
    """Raise SourceError unless the node's chain is the network's.

    ``checkpoints`` are block hashes by height that the operator pins in addition.
    """
    _check_name(rpc, network)
    pinned = {0: GENESIS[network], **(checkpoints or {})}
    for height, expected in pinned.items():
        found = _hash_at(rpc, height)
        if found is not None and found != expected:
            raise SourceError(
                f"block {height} of the node is {found}, of {network} it is {expected}",
                "connect a node of the configured network",
            )
    if network == "main":
        _check_split(rpc)


def check_publishes(rpc: Rpc) -> None:
    """Raise SourceError unless the node publishes the notifications that the source follows."""
    published = {one.type for one in _asked(rpc, list[forms.Notification], "getzmqnotifications")}
    missing = sorted({"pubsequence", "pubrawtx"} - published)
    if missing:
        names = " and ".join(f"zmq{name}" for name in missing)
        raise SourceError(f"node at {rpc.where} has no {names}", "set it in bitcoin.conf")


def check_branch(network: str, header: RawHeader, height: int) -> None:
    """Raise SourceError for a block of the branch that left the main chain.

    A node that was behind the split when ``check_identity`` looked may follow it later.
    """
    foreign = height == SPLIT_HEIGHT and header.hash == SPLIT_HASH
    if network == "main" and (foreign or header.version & _FOREIGN_VERSION_BIT):
        cause = f"block {header.hash} at {height} is not of the main chain"
        raise SourceError(cause, _REMEDY_SPLIT)


def _check_name(rpc: Rpc, network: str) -> None:
    try:
        network_of(network)
    except AddressError as problem:
        raise SourceError(str(problem), "set network to one of them") from problem
    said = _asked(rpc, forms.ChainInfo, "getblockchaininfo").chain
    if said != network:
        raise SourceError(
            f"node at {rpc.where} is on {said}, configured is {network}",
            "set the network, or connect the right node",
        )


def _check_split(rpc: Rpc) -> None:
    """The main network's own traps: a foreign branch, its rules, its header."""
    if _hash_at(rpc, SPLIT_HEIGHT) == SPLIT_HASH:
        raise SourceError(f"node follows the branch that split at {SPLIT_HEIGHT}", _REMEDY_SPLIT)
    software = _asked(rpc, forms.NetworkInfo, "getnetworkinfo").subversion
    dated = re.search(r"Knots:(\d{8})", software)
    if dated and int(dated[1]) >= _LEFT_SINCE:
        raise SourceError(f"{software} enforces rules that left the main chain", _REMEDY_SPLIT)
    best = _asked(rpc, forms.Hash, "getbestblockhash")
    header = _asked(rpc, forms.Hex, "getblockheader", best, False)
    version = int.from_bytes(header[:4], "little")
    if len(header) != HEADER_BYTES or version & _FOREIGN_VERSION_BIT:
        raise SourceError("node's tip has no header of the main chain", _REMEDY_SPLIT)


def _hash_at(rpc: Rpc, height: int) -> str | None:
    try:
        return _asked(rpc, forms.Hash, "getblockhash", height)
    except RpcError:
        return None


def _asked(rpc: Rpc, kind: type[_T], method: str, *args: Any) -> _T:
    return forms.formed(kind, rpc.call(method, *args), method, rpc.where)
