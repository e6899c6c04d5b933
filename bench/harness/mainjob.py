"""The main job as a bench needs it: fresh topics, real transactions, what must come out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from confluent_kafka import TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

from bench.harness import load
from bench.harness.errors import BenchError
from bench.harness.ground import PARTITIONS, Ground
from schemas.envelope import Event
from schemas.headers import from_headers
from schemas.wire import Codec
from streams import topics
from streams.agents.pipeline import topology
from streams.config import Config
from streams.engine.selection import Selection, only, whole
from streams.engine.settings import settings_of
from streams.engine.writers import Writer
from streams.ops.admin import Admin
from streams.sources.writer import SourceWriter
from streams.testing import TopologyDriver
from streams.topics import Topic

WAIT_SECONDS = 60
BATCH = 5000
LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]
SOURCE = "archive-main"
Net = dict[str, bytes]
"""Event id to the encoded value of what is live."""


def selected(steps: Sequence[str], name: str) -> Selection:
    """The sub-topologies with these steps under an application id; all when none is named."""
    full = whole(topology(Config()), name)
    return only(full, steps) if steps else full


class Change(NamedTuple):
    """What one record of a derived topic says."""

    id: str
    asserts: bool
    value: bytes


def net(changes: Iterable[Change]) -> Net:
    """What is live after all changes.

    >>> net([Change("a", True, b"1"), Change("b", True, b"2"), Change("a", False, b"1")])
    {'b': b'2'}
    """
    live: Net = {}
    for change in changes:
        if change.asserts:
            live[change.id] = change.value
        else:
            live.pop(change.id, None)
    return live


class MainJob:
    """The main job's topics on the broker of a bench."""

    def __init__(self, ground: Ground) -> None:
        config = Config(application="bench", partitions=PARTITIONS)
        self.ground, self.topology = ground, topology(config)
        self.settings = settings_of(config, ground.bootstrap)
        self.admin = Admin(self.settings)

    def fresh_topics(self) -> None:
        """Forget everything that was written, and create the topics anew."""
        old = self._topics()
        if old:
            for future in self.admin.client.delete_topics(old).values():
                future.result(WAIT_SECONDS)
        self._until("old topics are gone", lambda: not set(old) & set(self._topics()))
        self.admin.apply(self.topology)
        self._until("new topics answer", self._answers)

    def _answers(self) -> bool:
        """Whether the leaders of new partitions are known to those who ask."""
        asked = {
            TopicPartition(topic.name, p): LATEST
            for topic in topics.STORED
            for p in range(PARTITIONS)
        }
        futures = self.admin.client.list_offsets(asked).values()
        return all(future.exception(WAIT_SECONDS) is None for future in futures)

    def _topics(self) -> list[str]:
        return [name for name in self.admin.partitions() if not name.startswith("__")]

    def _until(self, what: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise BenchError(f"{what}: not within {WAIT_SECONDS} s", "look at the broker's log")
            time.sleep(0.05)

    @property
    def writer_name(self) -> bytes:
        """How the source is named in the headers of its records."""
        return str(Writer(f"source:{SOURCE}", 0, 0, 1)).encode()

    def writer(self) -> SourceWriter:
        """The source that writes transactions, as `streams source archive` does; opened."""
        writer = SourceWriter(SOURCE, (topics.transactions,), self.settings, Codec())
        writer.open()
        return writer

    def write(self, events: Sequence[Event]) -> None:
        """Write transactions with a watermark behind them; the source is idle then."""
        writer = self.writer()
        try:
            for start in range(0, len(events), BATCH):
                for event in events[start : start + BATCH]:
                    writer.send(topics.transactions, event)
                writer.commit()
            writer.commit(watermark=max(event.ts for event in events))
            writer.idle()
        finally:
            writer.close()

    def written(self, topic: Topic) -> Net:
        """The net set of a topic on the broker."""
        found = load.messages(self.ground.bootstrap, topic.name, PARTITIONS)
        return net(_changes((m.headers(), m.value()) for m in found))


def expected(part: Selection, events: Sequence[Event]) -> dict[str, Net]:
    """The net set of each output topic of a part, worked out in memory without Kafka."""
    driver = TopologyDriver(part.part, partitions=1, checkpoint_every=0)
    for event in events:
        driver.send(topics.transactions, event, writer=f"source:{SOURCE}", run=False)
    driver.declare(topics.transactions, max(e.ts for e in events), f"source:{SOURCE}", run=False)
    driver.run()
    driver.checkpoint()
    return {
        topic.name: net(_changes((r.headers(), r.value()) for r in driver.records(topic)))
        for sub in part.run
        for topic in sub.outputs
    }


def _changes(records: Iterable[tuple[Any, bytes | None]]) -> Iterator[Change]:
    for headers, value in records:
        if value is not None:
            event = from_headers(dict(headers), "", "", 0, "")
            yield Change(event.id, event.op == "assert", value)
