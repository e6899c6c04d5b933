"""Make the demo's recording from fresh servers: ``make record-demo``.

A real bitcoind on regtest, a real DWN server and a real Kafka play a story of some ninety minutes
of event time; what the live sources write is captured to ``streams/data/demo.ndjson``.

::

    min  0  a DID claims the merchant's address, which is read at once
         1  P1 pays the merchant 0.5 BTC         2  the DID claims the payer's address
         3  P1 is replaced by P1b, same payment, more fee
         5  P2 pays the shop 0.2 BTC             6  P2 is replaced by P2x, which pays the payer
        10  block a confirms P1b, P2x           20  block b
        21  reorg: a and b are disconnected     25  blocks c, d, e; P1b confirmed again
        30  24 small payments to the merchant   40  block confirms them
        44  the DID's claim of minute 2 is read: what the payer did since then was the DID's
        45  labels for some of it               60  two blocks: the model's first window closes
        65  three more payments, now scored     66  the DID withdraws its claim of minute 2
        70  a payment of 120 BTC, then six blocks
        71  the withdrawal is read: what the payer did since minute 66 was not the DID's

The node's clock is the story's, and so is the one that the DID signs by; minute 0 is a full hour.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from schemas.catalog import BY_NAME
from schemas.dwn.message import Message
from schemas.envelope import Event
from schemas.events import Label
from schemas.wire import Codec
from sinks.dwn import DwnClient, DwnTransport
from sinks.dwn.clock import Clock
from streams import topics
from streams.agents.pipeline import topology
from streams.broker import EmbeddedBroker
from streams.client import Read, read_all
from streams.config import Config
from streams.engine.settings import EngineSettings, settings_of
from streams.ops.admin import Admin
from streams.ops.dwn import run_dwn
from streams.ops.live import run_bitcoin
from streams.ops.record import record
from streams.sources import names
from streams.sources.bitcoin import BitcoinSource
from streams.sources.bitcoin_node import BitcoinNode
from streams.sources.bitcoin_rpc import Rpc
from streams.sources.bitcoin_zmq import Feed
from streams.sources.dwn import DwnSource, Tenant
from streams.sources.writer import SourceWriter
from tests.bitcoin.node import Node, bitcoind
from tests.dwn.actors import LINK, LINKS, link, someone
from tests.dwn.server import dwn_server

TARGET = Path(__file__).parents[2] / "streams" / "data" / "demo.ndjson"
MINUTES = 100
COIN = 100_000_000


class Story:
    """The node's side of the story, minute by minute."""

    def __init__(self, node: Node, settings: EngineSettings) -> None:
        self.node, self.settings, self.codec = node, settings, Codec()
        begin = int(time.time()) - MINUTES * 60
        self.start_s = begin - begin % 3600
        node.time_s = self.start_s
        node.later(0)
        node.call("createwallet", "demo")
        self.miner = node.call("getnewaddress")
        node.call("generatetoaddress", 112, self.miner)
        self.merchant = node.call("getnewaddress", "merchant", "bech32")
        self.shop = node.call("getnewaddress", "shop", "bech32m")
        self.payer = node.call("getnewaddress", "payer", "bech32")

    def at(self, minute: int) -> None:
        """Set the node's clock; whoever plays has waited for what came before."""
        self.node.time_s = max(self.node.time_s, self.start_s + minute * 60)
        self.node.later(0)

    def coin(self) -> tuple[str, int, int]:
        """A mature coin: txid, vout, satoshi; the oldest first."""
        unspent = [u for u in self.node.call("listunspent") if u["amount"] >= 50]
        best = max(unspent, key=lambda u: u["confirmations"])
        return best["txid"], best["vout"], int(best["amount"] * COIN)

    def pay(
        self, coins: list[tuple[str, int, int]], outputs: dict[str, int], fee: int, final: bool
    ) -> str:
        """Send a transaction of exactly these coins; what is left goes back to the payer."""
        change = sum(c[2] for c in coins) - sum(outputs.values()) - fee
        amounts = {a: _btc(v) for a, v in outputs.items()}
        if change:
            amounts[self.payer] = _btc(change + outputs.get(self.payer, 0))
        places = [(c[0], c[1]) for c in coins]
        raw = self.node.spend(places, amounts, 0xFFFFFFFF if final else 0xFFFFFFFD)
        sent: str = self.node.call("sendrawtransaction", raw)
        return sent

    def mine(self, count: int = 1) -> list[str]:
        """Mine blocks of the miner's."""
        hashes: list[str] = self.node.call("generatetoaddress", count, self.miner)
        return hashes

    def events(self, topic: topics.Topic) -> list[Read]:
        """What the sources have written to a topic so far."""
        return read_all(self.settings.bootstrap, topic.name, self.codec)


def _btc(sat: int) -> str:
    return f"{sat // COIN}.{sat % COIN:08d}"


def until(what: str, ready: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for a condition; raises when it does not come."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {seconds} s in vain: {what}")
        time.sleep(0.1)


class Speaker:
    """A DID that says which addresses are its own, in its DWN; what it said is read when asked."""

    def __init__(self, url: str, story: Story) -> None:
        self.did, self._url, self._story = someone(), url, story
        self._clock = Clock(lambda: story.node.clock() * 1000)
        self._said: dict[str, str] = {}
        """Record id of the claim, by address."""

    def claim(self, address: str) -> None:
        """Say that an address is its own."""
        asyncio.run(self._claim(address))

    def withdraw(self, address: str) -> None:
        """Delete what it said about an address."""
        record_id = self._said.pop(address)
        asyncio.run(self._in_dwn(lambda dwn: dwn.delete(record_id)))

    def read(self) -> None:
        """The DWN source reads what is new, to its end."""
        asyncio.run(run_dwn(self._story.settings, names.of_dwn("demo"), self._source))

    async def _claim(self, address: str) -> None:
        if not self._said:
            await self._in_dwn(lambda dwn: dwn.configure(LINKS))
        data, record_ = link(address, "regtest")
        written = await self._in_dwn(lambda dwn: dwn.write(data, record_))
        self._said[address] = written["recordId"]

    async def _in_dwn(self, act: Callable[[DwnClient], Awaitable[Message]]) -> Message:
        async with DwnTransport(self._url) as transport:
            return await act(DwnClient(transport, self.did, clock=self._clock))

    def _source(self, cursors: dict[str, str]) -> DwnSource:
        return DwnSource([Tenant(self.did.did, self._url, self.did, (LINK,))], cursors)


def tell(story: Story, speaker: Speaker) -> None:
    """Play it."""

    def mempool(count: int) -> None:
        until(f"{count} mempool events", lambda: len(story.events(topics.mempool)) >= count)

    def blocks(count: int) -> None:
        until(f"{count} block events", lambda: len(story.events(topics.blocks)) >= count)

    story.at(0)
    speaker.claim(story.merchant)
    speaker.read()
    story.at(1)
    first = story.coin()
    story.pay([first], {story.merchant: 50_000_000}, 2_000, final=False)
    mempool(1)
    story.at(2)
    speaker.claim(story.payer)
    story.at(3)
    story.pay([first], {story.merchant: 50_000_000}, 9_000, final=False)
    mempool(3)
    story.at(5)
    second = next(c for c in [story.coin()] if c[0] != first[0])
    stolen = story.pay([second], {story.shop: 20_000_000}, 2_000, final=False)
    mempool(4)
    story.at(6)
    taken = story.pay([second], {story.payer: second[2] - 12_000}, 12_000, final=False)
    mempool(6)
    story.at(10)
    (block_a,) = story.mine()
    blocks(1)
    story.at(20)
    story.mine()
    blocks(2)
    story.at(21)
    story.node.call("invalidateblock", block_a)
    blocks(4)
    mempool(10)
    story.at(25)
    story.mine(3)
    blocks(7)
    story.at(28)
    fan = story.coin()
    outputs = {story.node.call("getnewaddress"): 1_000_000 for _ in range(24)}
    split = story.pay([fan], outputs, 10_000, final=True)
    mempool(13)
    story.mine()
    blocks(8)
    story.at(30)
    small = [u for u in story.node.call("listunspent") if u["txid"] == split]
    small = [u for u in small if u["address"] in outputs]
    burst = []
    for number, coin in enumerate(small):
        amount = 990_000 - number * 1_000
        place = (coin["txid"], coin["vout"], 1_000_000)
        burst.append(story.pay([place], {story.merchant: amount}, 1_000_000 - amount, final=True))
    mempool(38)
    story.at(40)
    story.mine()
    blocks(9)
    story.at(44)
    speaker.read()
    story.at(45)
    _labels(story, {stolen: True, taken: True, split: False, **dict.fromkeys(burst[:12], False)})
    story.at(60)
    story.mine(2)
    blocks(11)
    story.at(65)
    for amount in (3_000_000, 150_000_000, 700_000):
        story.pay([story.coin()], {story.merchant: amount}, 3_000, final=True)
    mempool(65)
    story.at(66)
    speaker.withdraw(story.payer)
    story.at(70)
    large = [(u["txid"], u["vout"], int(u["amount"] * COIN)) for u in _mature(story)[:3]]
    story.pay(large, {story.merchant: 120 * COIN}, 20_000, final=True)
    mempool(66)
    story.mine(6)
    blocks(17)
    story.at(71)
    speaker.read()


def _mature(story: Story) -> list[dict[str, Any]]:
    unspent = [u for u in story.node.call("listunspent") if u["amount"] >= 40]
    return sorted(unspent, key=lambda u: -u["confirmations"])


def _labels(story: Story, truths: dict[str, bool]) -> None:
    writer = SourceWriter("labels", (topics.labels,), story.settings, story.codec)
    writer.open()
    ts = story.node.clock()
    event_type = BY_NAME["ml.label.v1"]
    for subject, illicit in truths.items():
        label = Label(subject, illicit, "analyst", 0.9)
        id_ = event_type.event_id(label) or ""
        event = Event(id_, subject, ts, "assert", label, type=event_type.name, ingest_ts=ts)
        writer.send(topics.labels, event)
    writer.commit(None, None)
    writer.idle()
    writer.close()


def spoil(story: Story) -> None:
    """Records that must end in the dead letters: no frame, an absurd amount, a forged signature."""
    codec = story.codec
    writer = SourceWriter("spoiler", (), story.settings, codec)
    writer.open()
    writer.send_raw(topics.transactions.name, b"not a txid", b"this is no event", [])
    good = next(r for r in story.events(topics.transactions) if r.event is not None)
    assert good.event is not None
    tx = good.event.value
    worse = msgspec.structs.replace(tx.outputs[0], value_sat=-1)
    absurd = msgspec.structs.replace(tx, outputs=[worse, *tx.outputs[1:]])
    value = codec.encode(good.event.type, absurd)
    writer.send_raw(topics.transactions.name, good.key, value, good.headers)
    said = next(r for r in story.events(topics.records) if r.event and r.event.value.data)
    assert said.event is not None
    record_ = said.event.value
    forged = msgspec.structs.replace(record_, message=_forge(record_.message))
    writer.send_raw(
        topics.records.name, said.key, codec.encode(said.event.type, forged), said.headers
    )
    writer.commit()
    writer.close()


def main(target: Path = TARGET) -> None:
    """Run the servers, tell the story, write the recording."""
    config = Config()
    with bitcoind(wallet=False) as node, dwn_server() as dwn, EmbeddedBroker() as broker:
        settings = settings_of(config, broker.bootstrap)
        Admin(settings).apply(topology(config))
        story = Story(node, settings)
        done = threading.Event()

        def make(resume: int | None) -> BitcoinSource:
            regtest = BitcoinNode(Rpc(node.url, node.cookie), "regtest")
            return BitcoinSource(
                regtest, Feed([node.zmq]), name="demo", clock=node.clock, from_height=resume
            )

        follower = threading.Thread(
            target=run_bitcoin,
            args=(settings, names.of_bitcoin("regtest"), make, done.is_set),
            daemon=True,
        )
        follower.start()
        until("the source's registration", lambda: _registered(story))
        tell(story, Speaker(dwn.url, story))
        spoil(story)
        done.set()
        follower.join(10)
        watch = [story.merchant, story.shop]
        about = "regtest: payment, replacement, double spend, reorg, burst, labels, invalid records"
        count = record(settings, target, about, {"payments": {"watch": watch}})
    print(f"{count} records in {target}", file=sys.stderr)


def _forge(message: str) -> str:
    """The message with a signature that nobody made."""
    parts = json.loads(message)
    signature = parts["authorization"]["signature"]["signatures"][0]
    start = signature["signature"]
    signature["signature"] = ("A" if start[0] != "A" else "B") + start[1:]
    return json.dumps(parts, separators=(",", ":"))


def _registered(story: Story) -> bool:
    found = read_all(story.settings.bootstrap, topics.cursors.name, story.codec)
    return any(b"bitcoin-regtest" in (r.key or b"") for r in found)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
    os._exit(0)
