"""From a transaction to its score: how old a result is when a consumer can read it.

Input: transactions of mainnet block 866342, under fresh txids where more are needed, at a fixed
rate a second, which is the case's name. A time is from when a record was due to be produced to when
a read_committed consumer of ml.results has it. Ten seconds at 1,000 a second come before and do not
count: a broker that has just started compiles its code on the core that it shares with the load.
Features and score run fused, so it is one hop. Each score must be there once and be the right one.
Beside it, at the lowest rate, stands the time to the alert with the whole main job.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence

from confluent_kafka import Message

from bench.harness import blocks, load, oracle
from bench.harness.ground import PARTITIONS, Ground
from bench.harness.mainjob import MainJob
from bench.harness.pace import Feeder, Item, Listener, await_all, probe
from bench.harness.process import Contender
from bench.harness.rounds import Figures
from bench.harness.stats import percentile
from schemas.envelope import Event
from schemas.headers import texts, to_headers
from schemas.wire import Codec
from streams import topics
from streams.agents.score_transactions import MODEL_ID
from streams.features import extract
from streams.models.scorer import score

ALERTS = ("1000",)
"""Cases in which the whole main job is measured too."""
WARM_SECONDS, SECONDS = 10, 10
WARM_RATE = 1000
QUICK_SECONDS = 1
PROBES = 150
EVERY = 20
"""Where alerts are waited for, each so many-th transaction is one that alerts."""


class Latency:
    """The bench; see the module."""

    name = "latency"
    about = "bitcoin.transactions to ml.results, read committed"
    cases: Sequence[str] = ("1000", "5000", "10000")
    contenders: Sequence[str] = ("ours",)
    baselines: Mapping[str, float] = {}

    def __init__(self, ground: Ground, quick: bool = False) -> None:
        self.job, self.codec = MainJob(ground), Codec()
        self.warm, self.seconds = (QUICK_SECONDS,) * 2 if quick else (WARM_SECONDS, SECONDS)
        self.events: list[Event] = []
        self.alerting: list[Event] = []

    def prepare(self, case: str, contenders: Sequence[str]) -> None:
        """Make as many transactions as will be sent."""
        count = PROBES + WARM_RATE * self.warm + int(case) * self.seconds
        self.events = blocks.multiplied(blocks.transactions(), count)
        self.alerting = blocks.multiplied(blocks.alerting(), count // EVERY + 1)

    def _items(self, whole: bool) -> list[Item]:
        """The records that will be sent; for alerts there are some among them that alert."""
        events = self.events
        if whole:
            events = blocks.mixed(events, self.alerting, EVERY)
        writer = self.job.writer_name
        return [
            Item(e.key.encode(), self.codec.encode(e.type, e.value), to_headers(e, writer))
            for e in events
        ]

    def run(self, case: str, contender: str) -> Figures:
        """Measure one round: to the score, and where asked to the alert."""
        times = self._times(case, contender, topics.results.name, whole=False)
        figures = {f"p{p}_ms": percentile(times, p) for p in (50, 95, 99)}
        if case in ALERTS:
            times = self._times(case, contender, topics.alerts.name, whole=True)
            figures |= {f"to_alert_p{p}_ms": percentile(times, p) for p in (50, 99)}
        return figures

    def _times(self, case: str, contender: str, topic: str, whole: bool) -> list[float]:
        """Milliseconds of each transaction that was sent after the warm-up and has a result."""
        self.job.fresh_topics()
        self.job.writer().close()  # it has declared that it is there
        where, items = self.job.ground.bootstrap, self._items(whole)
        wanted = {e.key.encode() for e in (self.alerting if whole else self.events)}
        listener = Listener(where, topic, PARTITIONS, _txid)
        feeder = Feeder(where, topics.transactions.name)
        settings = {"whole": whole, "events": 0}
        listener.start()
        try:
            with self.job.ground.start(contender, self.name, settings) as running:
                sent = self._feed(feeder, listener, running, items, float(case), wanted)
        finally:
            listener.stop()
        if not whole:
            self._check(contender, sent)
        first = len(sent) - int(case) * self.seconds
        counted = [item.key for item in sent[first:] if item.key in listener.arrived]
        return [(listener.arrived[key] - feeder.sent[key]) * 1000 for key in counted]

    def _feed(
        self,
        feeder: Feeder,
        listener: Listener,
        running: Contender,
        items: list[Item],
        rate: float,
        wanted: set[bytes],
    ) -> list[Item]:
        """Send everything and wait for what comes out; returns what was sent."""
        probes = probe(feeder, listener, items[:PROBES], running.check)
        feeder.pace(items[PROBES : PROBES + WARM_RATE * self.warm], WARM_RATE)
        feeder.pace(items[PROBES + WARM_RATE * self.warm :], rate)
        sent = [*items[:probes], *items[PROBES:]]
        await_all(listener, wanted & {item.key for item in sent}, running.check)
        return sent

    def _check(self, contender: str, sent: list[Item]) -> None:
        """Each score is there once, and it is the one that the functions give."""
        keys = {item.key for item in sent}
        truth = dict(self._scores(e for e in self.events if e.key.encode() in keys))
        found: dict[bytes, list[bytes]] = {}
        for message in load.messages(self.job.ground.bootstrap, topics.results.name, PARTITIONS):
            if message.value() is not None:
                found.setdefault(_key(message), []).append(bytes(message.value() or b""))
        oracle.require_equal(f"{contender}, topic ml.results", truth, found)

    def _scores(self, events: Iterator[Event]) -> Iterator[tuple[bytes, list[bytes]]]:
        encode = functools.partial(self.codec.encode, topics.results.event_type or "")
        for event in events:
            yield event.key.encode(), [encode(score(extract(event.value), None, MODEL_ID))]


def _key(message: Message) -> bytes:
    key = message.key()
    assert isinstance(key, bytes)
    return key


def _txid(message: Message) -> bytes:
    """The transaction that a result or an alert is about."""
    if message.topic() == topics.results.name:
        return _key(message)
    headers = texts(message.headers())  # type: ignore[arg-type]
    return headers.get("ce_correlationid", "").encode()
