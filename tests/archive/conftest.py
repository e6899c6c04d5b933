"""Fixtures of the archive tests: a broker with our topics, and a real node's block folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from streams.broker import BrokerError, EmbeddedBroker
from tests.bitcoin.node import bitcoind
from tests.cli.cli_support import apply_topics


class NodeFolder(NamedTuple):
    """A copy of a node's ``blocks`` folder, and what the node said of its chain."""

    path: Path
    blocks: list[dict[str, Any]]
    """By height, verbosity 3: with prevouts and fees."""
    stale: list[str]


@pytest.fixture(scope="package")
def applied() -> Iterator[str]:
    """The address of an embedded broker with all topics."""
    broker = EmbeddedBroker()
    try:
        bootstrap = broker.start()
    except BrokerError as error:
        pytest.skip(f"no embedded Kafka here: {error}")
    apply_topics(bootstrap)
    yield bootstrap
    broker.stop()


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> NodeFolder:
    """What a real bitcoind wrote: payments of every address kind, and a reorg of 2 onto 3."""
    path = tmp_path_factory.mktemp("node") / "blocks"
    with bitcoind() as node:
        kinds = ("legacy", "p2sh-segwit", "bech32", "bech32m")
        addresses = [node.call("getnewaddress", "", kind) for kind in kinds]
        for _ in range(3):
            for address in addresses:
                node.call("sendtoaddress", address, 0.5)
            node.mine()
        node.call("sendtoaddress", addresses[3], 0.25)
        stale = node.mine(2)
        node.call("invalidateblock", stale[0])
        node.later()
        node.mine(3)
        node.call("reconsiderblock", stale[0])
        top = node.call("getblockcount")
        blocks = [node.call("getblock", node.call("getblockhash", n), 3) for n in range(top + 1)]
        node.stop()
        shutil.copytree(node.data / "regtest" / "blocks", path)
    return NodeFolder(path, blocks, stale)
