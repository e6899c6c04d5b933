"""A node that lies, in a form that could be true: the source ends with a cause, or waits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.sources.bitcoin import BitcoinSource
from streams.sources.bitcoin_away import Backoff
from streams.sources.bitcoin_node import BitcoinNode
from streams.sources.bitcoin_zmq import Feed, Frame, decode
from streams.sources.errors import SourceError
from tests.archive.building import txid
from tests.bitcoin.answers import Answering, chain, said, waiting

FIRST, SECOND = (txid(raw) for raw in waiting())
TIP = chain()[2].hash


class Silent(Feed):
    """Notifies what it is given, then nothing."""

    def __init__(self, *frames: Frame) -> None:
        super().__init__([])
        self._frames = iter(frames)

    def open(self) -> None:
        pass

    def receive(self, timeout_ms: int) -> Frame | None:
        return next(self._frames, None)


def followed(instead: dict[tuple[Any, ...], Any], *frames: Frame) -> tuple[list[str], list[str]]:
    """Types of the events of a node with these answers instead, and what was said meanwhile."""
    words: list[str] = []
    texts = {asked: json.dumps(answer) for asked, answer in instead.items()}
    source = BitcoinSource(
        BitcoinNode(Answering(texts), "regtest"), Silent(*frames), from_height=0,
        checkpoints={0: chain()[0].hash}, say=words.append, backoff=Backoff(0, 0),
    )  # fmt: skip
    asked = iter(range(8))
    batches = list(source.batches(lambda: next(asked, None) is None))
    return [event.type for batch in batches for event in batch.events], words


def test_the_node_of_these_tests_is_followed() -> None:
    """Three blocks and two transactions in the mempool, when it tells the truth."""
    types, _ = followed({})
    assert (3, 2) == (types.count("bitcoin.block.v1"), types.count("bitcoin.mempool.v1"))


def told(*asked: Any) -> Any:
    """What the node says when it tells the truth."""
    return json.loads(said()[asked])


LIES: dict[str, tuple[dict[tuple[Any, ...], Any], str]] = {
    "another block": ({("getblock", TIP, 0): chain()[1].raw.hex()}, f"getblock .* for {TIP}"),
    "a height too high": (
        {("getblock", TIP, 3): {**told("getblock", TIP, 3), "height": 7}},
        "said to be at 7, the tip is 1",
    ),
    "fewer inputs": (
        {("getblock", TIP, 3): {**told("getblock", TIP, 3), "tx": []}}, "other inputs than those",
    ),
    "another body": (
        {("getrawtransaction", FIRST): waiting()[1].hex()}, f"getrawtransaction .* for {FIRST}",
    ),
    "no body": ({("getrawtransaction", FIRST): "00"}, "getrawtransaction as a Bitcoin node"),
    "too little to spend": (
        {("gettxout", *key[1:]): {**told(*key), "value": 0.00000001}
         for key in said() if key[0] == "gettxout"},
        "sat more than its prevouts hold",
    ),
    "older than the chain": (
        {key: {**told(*key), "confirmations": 9} for key in said() if key[0] == "gettxout"},
        "gettxout .* 9 confirmations",
    ),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_named(lie: str) -> None:
    """What does not fit what the node said before ends the source with a cause."""
    instead, cause = LIES[lie]
    with pytest.raises(SourceError, match=cause):
        followed(instead)


@pytest.mark.parametrize(
    "instead",
    [
        {("getbestblockhash",): chain()[1].hash},
        {("getblockheader", TIP): {**told("getblockheader", TIP), "previousblockhash": TIP}},
    ],
)
def test_a_node_that_never_agrees_with_itself_is_waited_for(
    instead: dict[tuple[Any, ...], Any],
) -> None:
    """It is not asked for ever without a pause, and who looks on is told."""
    _, words = followed(instead)
    assert any("its chain changed each time that it was read" in line for line in words)


@pytest.mark.parametrize(
    ("frame", "cause"),
    [
        (Frame(1, b"\x01\x00"), "a notified transaction: cut short"),
        (Frame(1, label="C", hash="11" * 32), "node has no block"),
    ],
)
def test_a_notification_that_cannot_be_is_named(frame: Frame, cause: str) -> None:
    """Bytes that are no transaction, and a block that nobody has."""
    header = {"hash": "11" * 32, "height": 3, "time": 1, "previousblockhash": TIP}
    with pytest.raises(SourceError, match=cause):
        followed({("getblockheader", "11" * 32): header}, None, None, frame)  # type: ignore[arg-type]


def test_a_sequence_that_no_node_reaches_is_refused() -> None:
    """It could not be written, nor could what is numbered after it."""
    with pytest.raises(ValueError, match="which no node reaches"):
        decode([b"sequence", bytes(32) + b"A" + b"\xff" * 8, bytes(4)])
