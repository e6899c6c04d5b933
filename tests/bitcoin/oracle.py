"""An independent judge of what a source published: a plain consumer, folded by id, and the node.

It knows nothing of the source's own state: only committed records, in the order of their partition.
"""

from __future__ import annotations

import io
import json
import time
from collections import Counter
from typing import Any, NamedTuple

import fastavro
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas.catalog import BY_NAME
from tests.bitcoin.node import Node

TOPICS = {
    "bitcoin.blocks": "bitcoin.block.v1",
    "bitcoin.transactions": "bitcoin.transaction.v1",
    "bitcoin.mempool": "bitcoin.mempool.v1",
}
_SCHEMAS: dict[str, Any] = {
    topic: fastavro.parse_schema(json.loads(BY_NAME[name].path.read_text()))
    for topic, name in TOPICS.items()
}
PARTITIONS = 4
_FRAME = 5
_PATIENCE_S = 15
_OPTIONS: dict[str, Any] = {
    "group.id": "oracle",
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "receive.message.max.bytes": 80 << 20,
}


class Fact(NamedTuple):
    """One committed record."""

    topic: str
    id: str
    op: str
    key: str
    time: str
    value: dict[str, Any]


class Log:
    """The source topics from a point in time on."""

    def __init__(self, bootstrap: str) -> None:
        self._options = {**_OPTIONS, "bootstrap.servers": bootstrap}
        self._begin = self._ends("read_uncommitted")
        self.watermarks: dict[tuple[str, int], list[str]] = {}

    def facts(self) -> list[Fact]:
        """What was committed since; control records go to ``watermarks``."""
        consumer = Consumer({**self._options, "isolation.level": "read_committed"})
        consumer.assign([TopicPartition(*place, o) for place, o in self._begin.items()])
        left, found = set(self._begin), []
        self.watermarks = {place: [] for place in self._begin}
        try:
            while left:
                for message in consumer.consume(1000, 0.2):
                    error = message.error()
                    if error is None:
                        found += self._fact(message)
                    elif error.code() == KafkaError._PARTITION_EOF:
                        left.discard((message.topic(), message.partition()))
                    else:
                        raise KafkaException(error)
        finally:
            consumer.close()
        return found

    def registered(self) -> bool:
        """Whether a source has written anything."""
        return bool(self.facts()) or any(self.watermarks.values())

    def _fact(self, message: Any) -> list[Fact]:
        headers = {name: (raw or b"").decode() for name, raw in message.headers() or ()}
        if message.key() is None and message.value() is None:
            mark = headers["streams-watermark"]
            self.watermarks[message.topic(), message.partition()].append(mark)
            return []
        body = io.BytesIO(message.value()[_FRAME:])
        value: Any = fastavro.schemaless_reader(body, _SCHEMAS[message.topic()], None)
        id_ = headers["ce_id"].rsplit(":", 2)[0]
        key = message.key().decode()
        return [Fact(message.topic(), id_, headers["ce_op"], key, headers["ce_time"], value)]

    def _ends(self, level: str) -> dict[tuple[str, int], int]:
        consumer = Consumer({**self._options, "isolation.level": level})
        places = [(topic, p) for topic in TOPICS for p in range(PARTITIONS)]
        ends = {place: _end(consumer, TopicPartition(*place)) for place in places}
        consumer.close()
        return ends


def _end(consumer: Consumer, place: TopicPartition) -> int:
    """End of a partition; one that was created a moment ago may have no leader yet."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return int(consumer.get_watermark_offsets(place, timeout=_PATIENCE_S)[1])
        except KafkaException as error:
            unready = error.args[0].code() == KafkaError.NOT_LEADER_FOR_PARTITION
            if not unready or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


class Verdict(NamedTuple):
    """What the log says that there is now, and everything that is wrong with how it came."""

    chain: dict[int, str]
    mempool: set[str]
    wrong: list[str]


def judge(facts: list[Fact]) -> Verdict:
    """Fold the facts. Wrong is: an id doubled, a retract without its assert, a fate without one."""
    wrong = _alternation([f for f in facts if f.topic != "bitcoin.mempool"])
    live = _live(facts, "bitcoin.blocks")
    chain = {fact.value["height"]: fact.value["hash"] for fact in live}
    if len(chain) != len(live):
        wrong.append("two live blocks of one height")
    wrong += _blocks_are_whole(live, _live(facts, "bitcoin.transactions"))
    pool, more = _mempool([f for f in facts if f.topic == "bitcoin.mempool"])
    return Verdict(chain, pool, wrong + more)


def differs(verdict: Verdict, node: Node, above: int) -> list[str]:
    """How the folded log differs from the node: its chain above a height, and its mempool."""
    heights = range(above + 1, node.call("getblockcount") + 1)
    chain = {height: node.call("getblockhash", height) for height in heights}
    mempool = set(node.call("getrawmempool"))
    words = [f"published only: {one}" for one in verdict.mempool - mempool]
    words += [f"at the node only: {one}" for one in mempool - verdict.mempool]
    both = chain.keys() | verdict.chain.keys()
    return words + [
        f"block {h}: {verdict.chain.get(h)} published, {chain.get(h)} at the node"
        for h in sorted(both)
        if chain.get(h) != verdict.chain.get(h)
    ]


def _alternation(facts: list[Fact]) -> list[str]:
    """Per id assert and retract alternate, and both have one key, time and value."""
    last: dict[str, Fact] = {}
    wrong = []
    for fact in facts:
        before = last.get(fact.id)
        if (before.op if before else "retract") == fact.op:
            wrong.append(f"{fact.op} of {fact.topic} {fact.key} twice in a row")
        if before and (before.key, before.time, before.value) != (fact.key, fact.time, fact.value):
            wrong.append(f"{fact.topic} {fact.key} has another key, time or value than before")
        last[fact.id] = fact
    return wrong


def _live(facts: list[Fact], topic: str) -> list[Fact]:
    last = {fact.id: fact for fact in facts if fact.topic == topic}
    return [fact for fact in last.values() if fact.op == "assert"]


def _blocks_are_whole(blocks: list[Fact], transactions: list[Fact]) -> list[str]:
    """Each live block has each of its transactions exactly once, and none lives without one."""
    found = Counter((f.value["block_hash"], f.value["block_position"]) for f in transactions)
    expected = Counter(
        (fact.value["hash"], n) for fact in blocks for n in range(fact.value["tx_count"])
    )
    return [f"transaction {place} of block {block}" for block, place in found - expected] + [
        f"no transaction {place} of block {block}" for block, place in expected - found
    ]


def _mempool(facts: list[Fact]) -> tuple[set[str], list[str]]:
    """Who is in: per txid it is added, ends, is added; no id comes twice."""
    inside: set[str] = set()
    seen: set[str] = set()
    wrong = []
    for fact in facts:
        txid, kind = fact.value["txid"], fact.value["kind"]
        if fact.id in seen:
            wrong.append(f"{kind} of {txid} has an id that was there before")
        seen.add(fact.id)
        if (kind == "added") == (txid in inside):
            wrong.append(f"{kind} of {txid}, which is {'in' if txid in inside else 'not in'}")
        (inside.add if kind == "added" else inside.discard)(txid)
    return inside, wrong
