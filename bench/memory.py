"""What a million of something takes: keys of a count, or open entries of a join.

``keys``: the keyed count of the bench ``recovery``, every key once and some twice. ``joins``: two
topics, each key once in each, all within a second and so all still open when the last has come: an
interval join of ten seconds to both sides keeps every event, and writes a pair a key.

``rss_mb`` is the resident memory of the whole process when the last record has been worked off,
``peak_mb`` the most that it was, ``bytes_each`` what it grew by since the first record, by entry.
``changelog_bytes`` is keys and values of the newest records of the changelogs, ``written_bytes`` of
all of them, by entry: what a start has to read after and before compaction. ``disk_bytes`` is what
lies in the folder of the state. All output is checked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from confluent_kafka.admin import AdminClient

from bench.contenders.ours import join_values
from bench.harness import load, oracle, outputs
from bench.harness.ground import PARTITIONS, Ground
from bench.harness.load import Record
from bench.harness.process import Outcome
from bench.harness.rounds import Figures
from bench.recovery import AGAIN
from bench.recovery import records as counting

ENTRIES, QUICK_ENTRIES = 1_000_000, 20_000
START_MS, SIZE_MS = 1_700_000_000_000, 10_000
SPREAD_MS = 1_000
TIMEOUT_SECONDS = 600
OURS = ("ours", "ours_disk")
MEGABYTE = 1e6


class Memory:
    """The bench; see the module."""

    name = "memory"
    about = "memory and changelog of 1,000,000 keys, and of 1,000,000 open entries of a join"
    cases: Sequence[str] = ("keys", "joins")
    contenders: Sequence[str] = (*OURS, "quix", "bytewax")
    baselines: Mapping[str, float] = {}
    durable: Mapping[str, str] = {
        "ours": "state in memory, changelog in Kafka",
        "ours_disk": "state in RocksDB, changelog in Kafka",
        "quix": "state in RocksDB, changelog in Kafka",
        "bytewax": "state in memory, snapshots in SQLite; no changelog; for joins a window",
    }

    def __init__(self, ground: Ground, quick: bool = False) -> None:
        self.ground, self.entries = ground, QUICK_ENTRIES if quick else ENTRIES
        self._runs = 0
        self._counts: dict[str, int] = {}
        self._truth: dict[str, int] = {}

    def prepare(self, case: str, contenders: Sequence[str]) -> None:
        """Fill the topics of a case."""
        forms = {_form(case, contender) for contender in contenders}
        for form in forms:
            for side in _sides(case):
                topic = f"bench.memory.{case}.{side}.{form}"
                load.create(self.ground.bootstrap, topic, PARTITIONS)
                found = list(self._records(case, side, form))
                load.fill(self.ground.bootstrap, topic, found)
                self._counts[topic] = len(found)
        self._truth = dict(truth(case, self.entries))

    def _records(self, case: str, side: str, form: str) -> Iterator[Record]:
        if case == "keys":
            return counting(self.entries)
        return joining(self.entries, side, form)

    def run(self, case: str, contender: str) -> Figures:
        """Let a contender work through the input once; every row is looked at."""
        self._runs += 1
        inputs = {s: f"bench.memory.{case}.{s}.{_form(case, contender)}" for s in _sides(case)}
        counts = {topic: self._counts[topic] for topic in inputs.values()}
        settings: dict[str, Any] = {
            "case": case,
            "application": f"memory-{self._runs}",
            "inputs": inputs,
            "counts": counts,
            "events": sum(counts.values()),
            "output": f"bench.memory.out.{self._runs}",
            "size_ms": SIZE_MS,
            "store": "rocks" if contender == "ours_disk" else "memory",
        }
        if contender not in OURS:
            load.create(self.ground.bootstrap, settings["output"], PARTITIONS)
        with self.ground.start(contender, self.name, settings) as running:
            outcome = running.outcome(TIMEOUT_SECONDS)
        oracle.require_equal(
            contender, self._truth, self._found(case, contender, outcome, settings)
        )
        return self._figures(outcome, settings["application"])

    def _found(
        self, case: str, contender: str, outcome: Outcome, settings: Mapping[str, Any]
    ) -> dict[str, int]:
        where, output = self.ground.bootstrap, settings["output"]
        if case == "keys":
            if contender in OURS:
                return oracle.read_counts(outcome.folder / "counts")
            return dict(_said(where, output))
        read = outputs.ours if contender in OURS else outputs.plain
        rows: Mapping[Any, int] = read(where, output, PARTITIONS)
        return {str(list(row)): times for row, times in rows.items()}

    def _figures(self, outcome: Outcome, application: str) -> Figures:
        told = outcome.more
        figures: Figures = {
            "rss_mb": told["last_bytes"] / MEGABYTE,
            "peak_mb": told["peak_bytes"] / MEGABYTE,
            "bytes_each": (told["last_bytes"] - told["first_bytes"]) / self.entries,
            "disk_bytes": told["disk_bytes"] / self.entries,
        }
        newest, written = changelog_bytes(self.ground.bootstrap, application)
        if written:
            figures["changelog_bytes"] = newest / self.entries
            figures["written_bytes"] = written / self.entries
        return figures


def changelog_bytes(bootstrap: str, application: str) -> tuple[int, int]:
    """Bytes of the newest record of each key of an application's changelogs, and of all records."""
    topics = AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=10).topics
    newest, written = dict[tuple[str, bytes | None, int | None], int](), 0
    for topic in topics:
        if application not in topic or "changelog" not in topic:
            continue
        for message in load.messages(bootstrap, topic, len(topics[topic].partitions)):
            size = len(message.key() or b"") + len(message.value() or b"")
            written += size
            newest[topic, message.key(), message.partition()] = size
    return sum(newest.values()), written


def joining(entries: int, side: str, form: str) -> Iterator[Record]:
    """One side of the input: a key each, in the order of time."""
    of_side = entries // 2
    for pair in range(of_side):
        key, n = f"k{pair}", 2 * pair + (side == "right")
        ts = START_MS + pair * SPREAD_MS // of_side
        if form == "avro":
            fact = join_values.Fact(key, n)
            value = outputs.codec.encode(join_values.FACT.name, fact)
        else:
            value = b'{"key":"%s","ts":%d,"n":%d}' % (key.encode(), ts, n)
        yield key.encode(), value, pair % PARTITIONS, ts


def truth(case: str, entries: int) -> Iterator[tuple[str, int]]:
    """What must come out: a count by key, or each pair once."""
    if case == "joins":
        for pair in range(entries // 2):
            yield str([2 * pair, 2 * pair + 1]), 1
        return
    for key, *_ in counting(entries, again=0):
        yield key.decode(), 1
    for key, *_ in list(counting(entries))[entries : entries + int(entries * AGAIN)]:
        yield key.decode(), 2


def _said(bootstrap: str, topic: str) -> Iterator[tuple[str, int]]:
    """Counts by key, the newest last."""
    for message in load.messages(bootstrap, topic, PARTITIONS):
        yield (message.key() or b"").decode(), json.loads(message.value() or b"")


def _form(case: str, contender: str) -> str:
    return "avro" if case == "joins" and contender in OURS else "plain"


def _sides(case: str) -> tuple[str, ...]:
    return ("left",) if case == "keys" else ("left", "right")
