"""A Bitcoin node that is not there: what it would answer, as JSON and as bytes on the line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import cache
from http.client import HTTPConnection
from io import BytesIO
from typing import Any

from streams.chain.parse import parse_block
from streams.sources.bitcoin_rpc import Rpc, RpcError
from tests.archive.building import COIN, Builder, Made, key_script, transaction, txid

URL = "http://user:password@127.0.0.1:1"
Said = dict[tuple[Any, ...], Any]
"""Answers by method and arguments."""


@cache
def chain() -> list[Made]:
    """Three blocks of regtest that pay out of each other."""
    return Builder(seed=5, per_block=1).grow(3)


@cache
def waiting() -> list[bytes]:
    """A transaction that spends a coin of the chain, and one that spends it."""
    coinbase = parse_block(chain()[2].raw).transactions[0]
    first = transaction([(coinbase.txid, 0, b"")], [(49 * COIN, key_script(7))])
    return [first, transaction([(txid(first), 0, b"")], [(48 * COIN, key_script(8))])]


def _output(value_sat: int, script: bytes) -> dict[str, Any]:
    return {"value": value_sat / COIN, "scriptPubKey": {"hex": script.hex(), "type": "x"}}


def _input(previous: str, index: int) -> dict[str, Any]:
    for made in chain():
        for tx in parse_block(made.raw).transactions:
            if tx.txid == previous:
                known = {"generated": tx.is_coinbase, "height": made.height}
                return {"txid": previous, "prevout": {**known, **_output(*tx.outputs[index])}}
    return {"coinbase": "00"}


def _block(made: Made) -> Iterator[tuple[tuple[Any, ...], Any]]:
    raw, name = parse_block(made.raw), made.hash
    header = {"hash": name, "height": made.height, "time": raw.header.time, "confirmations": 1}
    if made.height:
        header["previousblockhash"] = made.previous
    yield ("getblockhash", made.height), name
    yield ("getblockheader", name), header
    yield ("getblock", name, 0), made.raw.hex()
    tx = [{"txid": t.txid, "vin": [_input(i[0], i[1]) for i in t.inputs]} for t in raw.transactions]
    yield ("getblock", name, 3), {**header, "tx": tx}


@cache
def said() -> dict[tuple[Any, ...], str]:
    """Everything that the source asks of such a node, as JSON text."""
    tip, pool = chain()[-1], waiting()
    coinbase = parse_block(tip.raw).transactions[0]
    answers: Said = {
        ("getblockcount",): 2,
        ("getbestblockhash",): tip.hash,
        ("getmempoolinfo",): {"loaded": True, "size": 2},
        ("getrawmempool", False, True): {"txids": [*map(txid, pool)], "mempool_sequence": 7},
        ("getchaintips",): [{"height": 2, "hash": tip.hash, "branchlen": 0, "status": "active"}],
        ("getblockchaininfo",): {"chain": "regtest", "blocks": 2},
        ("getzmqnotifications",): [{"type": "pubsequence"}, {"type": "pubrawtx", "hwm": 1000}],
        ("gettxout", coinbase.txid, 0, False): {
            "bestblock": tip.hash, "confirmations": 1, "coinbase": True,
            **_output(*coinbase.outputs[0]),
        },
    }  # fmt: skip
    for number, raw in enumerate(pool):
        answers["getmempoolentry", txid(raw)] = {"time": 1_600_000_000, "ancestorcount": number + 1}
        answers["getrawtransaction", txid(raw)] = raw.hex()
    for made in chain():
        answers |= dict(_block(made))
    return {asked: json.dumps(answer) for asked, answer in answers.items()}


_JSON = json.JSONDecoder(parse_float=Decimal)


class Answering(Rpc):
    """Answers as such a node does; ``instead`` has other answers to some questions."""

    def __init__(self, instead: dict[tuple[Any, ...], str] | None = None) -> None:
        super().__init__(URL)
        self.instead = instead or {}

    def call(self, method: str, *args: Any) -> Any:
        asked = (method, *args)
        text = self.instead.get(asked, said().get(asked))
        if text is None:
            raise RpcError(method, -8, "not here")
        return _JSON.decode(text)

    def batch(self, calls: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
        for call in calls:
            try:
                yield self.call(*call)
            except RpcError:
                yield None


class Pipe:
    """A socket at whose other end these bytes wait."""

    def __init__(self, raw: bytes) -> None:
        self._raw, self._rest = raw, BytesIO(raw)

    def makefile(self, mode: str) -> BytesIO:
        return BytesIO(self._raw)

    def recv(self, size: int) -> bytes:
        return self._rest.read(size)

    def setsockopt(self, *option: int) -> None:
        pass

    def sendall(self, data: bytes) -> None:
        pass

    def settimeout(self, seconds: float) -> None:
        pass

    def close(self) -> None:
        pass


class Answered(Rpc):
    """Reads these bytes, whatever it asks."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(URL)
        self.raw = raw

    def _open(self) -> HTTPConnection:
        line = super()._open()
        line.connect = lambda: setattr(line, "sock", Pipe(self.raw))  # type: ignore[method-assign]
        return line


def http(status: str, body: bytes, *more: str) -> bytes:
    """An answer as it stands on the line."""
    names = (f"HTTP/1.1 {status}", "Content-Type: application/json", *more)
    sized = names if more else (*names, f"Content-Length: {len(body)}")
    return "\r\n".join([*sized, "", ""]).encode() + body
