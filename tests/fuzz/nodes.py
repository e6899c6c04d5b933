"""Decoders of what a Bitcoin node says: HTTP and JSON-RPC, its results, its notifications."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

from streams.sources.bitcoin import BitcoinSource
from streams.sources.bitcoin_away import Backoff
from streams.sources.bitcoin_node import BitcoinNode
from streams.sources.bitcoin_zmq import Feed, Frame
from streams.sources.errors import SourceError
from tests.archive.building import txid
from tests.bitcoin.answers import Answered, Answering, chain, http, said, waiting
from tests.fuzz.material import Decoder, writable
from tests.fuzz.mutate import Mutator

MOST_CALLS = 10_000
"""Who asks more often for three blocks would ask for ever."""


_DEEPER = "[" * 100
"""How much further down an answer is read than it is made."""


class Lying(Answering):
    """Answers as a node does, but for one thing, always the same."""

    def __init__(self, mutator: Mutator) -> None:
        asked = mutator.dice.choice(list(said()))
        super().__init__({asked: _lie(mutator, said()[asked])})
        self.calls = 0

    def call(self, method: str, *args: Any) -> Any:
        self.calls += 1
        assert self.calls < MOST_CALLS, "it would ask for ever"
        return super().call(method, *args)


def _lie(mutator: Mutator, truth: str) -> str:
    """A mutation that Python can read as JSON still."""
    while True:
        text = mutator.reshaped(json.loads(truth)).decode()
        with suppress(ValueError, RecursionError):
            json.loads(f"{_DEEPER}{text}{']' * len(_DEEPER)}", parse_float=Decimal)
            return text


ANSWERS = (
    b'{"result":{"chain":"regtest","blocks":2,"size":0.5},"error":null,"id":1}',
    b'{"result":null,"error":{"code":-8,"message":"Block height out of range"},"id":1}',
    b'{"result":null,"error":{"code":-28,"message":"Loading block index"},"id":1}',
    b'[{"result":7,"error":null,"id":0},{"result":[1.5],"error":null,"id":1}]',
    b'[{"result":null,"error":{"code":-5,"message":"Block not found"},"id":0},{"result":1,"id":1}]',
)


def _rpc(mutator: Mutator) -> None:
    dice = mutator.dice
    status, body = dice.choice(("200 OK", "200 OK", "500 x", "401 Unauthorized")), mutator.json()
    size = f"{len(body):x}\r\n".encode()
    chunks = size + body + b"\r\n0\r\n\r\n"
    raw = dice.choice((http(status, body), http(status, chunks, "Transfer-Encoding: chunked")))
    rpc = Answered(mutator.bytes(raw) if dice.random() < 0.3 else raw)
    if dice.random() < 0.5:
        rpc.call("getblockchaininfo")
    else:
        list(rpc.batch([("getblockcount",), ("getblockhash", 0)]))


class Notified(Feed):
    """Gives some frames, and then nothing."""

    def __init__(self, frames: Iterable[list[bytes]]) -> None:
        super().__init__([])
        self._frames = iter(frames)

    def open(self) -> None:
        pass

    def close(self) -> None:
        self._context.destroy(linger=0)

    def receive(self, timeout_ms: int) -> Frame | None:
        found = next(self._frames, None)
        return None if found is None else self._read(_Socket(found))  # type: ignore[arg-type]


class _Socket:
    def __init__(self, parts: list[bytes]) -> None:
        self.recv_multipart = lambda: parts


def _frames(mutator: Mutator) -> Iterator[list[bytes]]:
    """What a node sends, one of them mutated."""
    first, second = waiting()
    tip = bytes.fromhex(chain()[2].hash)
    sent = [
        (b"rawtx", first), (b"sequence", bytes.fromhex(txid(first)) + b"R" + bytes([7, *bytes(7)])),
        (b"sequence", bytes.fromhex(txid(second)) + b"A" + bytes([8, *bytes(7)])),
        (b"sequence", tip + b"D"), (b"sequence", tip + b"C"),
    ]  # fmt: skip
    wrong, counts = mutator.dice.randrange(len(sent) + 5), {b"rawtx": 0, b"sequence": 0}
    for number, (topic, body) in enumerate(sent):
        body = mutator.bytes(body) if number == wrong else body
        counts[topic] += 1
        yield [topic, body, counts[topic].to_bytes(4, "little")]


def source(rpc: Answering, frames: Iterable[list[bytes]]) -> BitcoinSource:
    """A source that follows such a node."""
    return BitcoinSource(
        BitcoinNode(rpc, "regtest"),
        Notified(frames),
        from_height=0,
        checkpoints={0: chain()[0].hash},
        clock=lambda: 1_700_000_000_000,
        backoff=Backoff(0, 0),
    )


def soon() -> Callable[[], bool]:
    """Says after a while that it is time to stop."""
    asked = iter(range(8))
    return lambda: next(asked, None) is None


def _source(mutator: Mutator) -> None:
    """Follow such a node to its tip, take its mempool, then what it notifies."""
    found = source(Lying(mutator), _frames(mutator))
    for batch in found.batches(soon()):
        writable(batch.events)


DECODERS: dict[str, Callable[[], Decoder]] = {
    "rpc": lambda: Decoder(ANSWERS, _rpc, (SourceError,)),
    "node": lambda: Decoder([text.encode() for text in said().values()], _source, (SourceError,)),
}
