"""What the client's tests need of a broker: fresh topics, records as anybody may write them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

from confluent_kafka import Producer as Librdkafka
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from schemas.envelope import Anchor, Event, Op
from schemas.events import Activity, Alert, Label, Tip, Value
from schemas.headers import to_headers
from schemas.wire import Codec
from streams import topics
from streams.engine.writers import Writer, control_headers
from streams.topics import Topic

USED = (
    topics.alerts,
    topics.results,
    topics.labels,
    topics.activity,
    topics.tip,
    topics.transactions,
)
PARTITIONS = 2
_numbers = count()
NETWORK = "regtest"
WRITER = Writer("step", 0, 0, 1)


def until(what: str, condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Wait for a condition and return what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"did not happen within {seconds} s: {what}"
        time.sleep(0.02)
    return found


def alert(entity: str, kind: str = "sanctioned") -> Alert:
    """An alert about an entity."""
    return Alert(entity, kind, "high", ["because"], [])


def label(number: int, illicit: bool = True) -> Label:
    """A label of a transaction."""
    return Label(f"{number:064x}", illicit, "test")


def activity(address: str, amount: int, height: int | None, txid: str = "ab" * 32) -> Activity:
    """A credit of an address in a block."""
    fields: dict[str, Any] = dict.fromkeys(Activity.__struct_fields__)
    fields |= {
        "network": NETWORK, "address": address, "txid": txid, "block_height": height,
    }  # fmt: skip
    return Activity(**_filled(fields, amount))


def _filled(fields: dict[str, Any], amount: int) -> dict[str, Any]:
    hints = Activity.__annotations__
    plain: dict[str, Any] = {"int": amount, "str": "credit", "bool": False, "float": 0.0}
    return {
        name: plain[hints[name]] if value is None and hints[name] in plain else value
        for name, value in fields.items()
    }


class Place:
    """A broker's topics, and a producer that checks nothing."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap, self.codec = bootstrap, Codec()
        self.group = f"app-{next(_numbers)}"
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        self.raw = Librdkafka({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random"})

    def fresh(self) -> None:
        """Empty topics, whatever an earlier test left."""
        self.create(USED, {})

    def create(self, wanted: tuple[Topic, ...], settings: dict[str, str]) -> None:
        """Make topics anew."""
        names = {topic.name for topic in wanted}
        self.remove(*wanted)
        new = [NewTopic(t.name, PARTITIONS, 1, config=t.settings() | settings) for t in wanted]
        for future in self.admin.create_topics(new).values():
            future.result(30)
        until("topics are there", lambda: names <= self._present())

    def remove(self, *unwanted: Topic) -> None:
        """Delete topics and wait until they are gone."""
        names = {topic.name for topic in unwanted}
        old = list(names & self._present())
        for future in self.admin.delete_topics(old).values() if old else ():
            future.result(30)
        until("topics are gone", lambda: not names & self._present())

    def _present(self) -> set[str]:
        return set(self.admin.list_topics(timeout=10).topics)

    def write(
        self,
        topic: Topic,
        id: str,
        value: Value,
        op: Op = "assert",
        ts: int = 1_000,
        anchor: Anchor | None = None,
        partition: int = -1,
        producer: Librdkafka | None = None,
    ) -> None:
        """One event of a writer of ours."""
        event = Event(
            id, topic.key_of(value), ts, op, value, type=topic.event_type or "", anchor=anchor
        )
        raw = self.codec.encode(event.type, value)
        places = range(PARTITIONS) if topic.broadcast else (partition,)
        for number in places:
            self.bytes(topic, event.key.encode(), raw, number, to_headers(event), producer)

    def bytes(
        self,
        topic: Topic,
        key: bytes | None,
        value: bytes | None,
        partition: int = -1,
        headers: Iterable[tuple[str, bytes]] = (),
        producer: Librdkafka | None = None,
    ) -> None:
        """One record as it is."""
        chosen = producer or self.raw
        chosen.produce(topic.name, value, key, partition, headers=list(headers))
        if producer is None:
            chosen.flush(10)

    def tip(self, height: int, name: str, op: Op = "assert") -> None:
        """A block connected to or disconnected from the chain."""
        self.write(topics.tip, name, Tip(NETWORK, height, name), op)

    def declare(self, topic: Topic, watermark: int) -> None:
        """A watermark, in every partition."""
        for partition in range(PARTITIONS):
            self.bytes(topic, None, None, partition, control_headers(WRITER, watermark))

    def transactional(self, name: str) -> Librdkafka:
        """A producer of transactions."""
        made = Librdkafka({"bootstrap.servers": self.bootstrap, "transactional.id": name})
        made.init_transactions(10)
        return made

    def close(self) -> None:
        """Forget what was not sent."""
        self.raw.purge()

    def shrink(self, topic: Topic, size: int) -> None:
        """Let a topic, made anew, take small records only."""
        self.create((topic,), {"max.message.bytes": str(size)})
