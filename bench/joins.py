"""Event-time joins and windows: what comes out, how much of it is wrong, and how fast.

Input: ``bench.harness.feeds``, 100,000 keys with disorder of 2 s; intervals to both sides,
tolerance and windows are 10 s. Ours must give what the definition gives, else there is no rate.
What others give is compared with the same definition, and with what their own documentation defines
where that is something else: the rows that differ stand beside their rate. Slow contenders get the
first events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from bench.harness import definitions, feeds, java, load, outputs
from bench.harness.definitions import SIZE_MS, Difference, Row, difference
from bench.harness.errors import WrongResult
from bench.harness.feeds import DISORDER_MS, Fact, Keys
from bench.harness.ground import PARTITIONS, Ground
from bench.harness.load import Record
from bench.harness.process import Outcome
from bench.harness.rounds import Figures, figures_of

FILE = "event_joins"
"""Not ``joins``: a contender's folder is on its path, and there is a package of that name."""
KEYS, QUICK_KEYS = 100_000, 2_000
QUICK_EVENTS = 20_000
EVENTS: Mapping[str, int] = {
    "ours": 400_000,
    "kafka_streams": 200_000,
    "quix": 150_000,
    "bytewax": 150_000,
    "pathway": 800_000,
    "quix/window_count_sum": 100_000,
    "quix/group3": 80_000,
    "pathway/asof": 60_000,
    "pathway/lookup": 60_000,
    "pathway/lookup_corrections": 60_000,
}
"""By contender, or contender/case: enough for ten seconds. Pathway gets more where its first ones
are not measured."""
QUICK = {"pathway/window_count_sum", "pathway/group3"}
QUICK_MORE = 300_000
TIMEOUT_SECONDS = 200
APPLICATION = "bench"
"""What ours is called on the broker."""
RETRACT_GRACE_MS = 2 * SIZE_MS
HORIZON_MS = 3_600_000
"""Longer than the input: which version corrects what does not depend on who is read first."""
AVRO = ("ours", "kafka_streams")
"""These read Avro values; the others JSON, for which they have a parser that is not Python's."""
SIDES: Mapping[str, tuple[str, ...]] = {
    "window_count_sum": ("left",),
    "group3": ("a", "b", "c"),
}
_BYTEWAX = "https://docs.bytewax.io/latest/guide/concepts/joins.html"
_QUIX = "https://www.quix.io/docs/quix-streams/joins.html"
_KAFKA_STREAMS = "https://kafka.apache.org/39/streams/developer-guide/dsl-api"
_LAST = f"join keeps the value that came last, whatever its time: {_BYTEWAX}"
CANNOT: Mapping[str, str] = {
    "bytewax/asof": f"no as-of join; join and join_window know no newest-before: {_BYTEWAX}",
    "bytewax/lookup": _LAST,
    "bytewax/lookup_corrections": _LAST,
    "quix/lookup_corrections": f"what comes on the right of join_asof emits nothing: {_QUIX}",
    "kafka_streams/lookup_corrections": f"only the stream's records trigger the join, "
    f"the table's update its state: {_KAFKA_STREAMS}",
}
"""Contender and case, why there is no such run, and the contender's own page that says so."""
DURABLE: Mapping[str, str] = {
    "ours": "exactly once: results, state and positions in one transaction a task and checkpoint",
    "quix": "exactly once: one transaction a checkpoint of 5 s, state in RocksDB with a changelog",
    "bytewax": "at least once: snapshots of changed keys into SQLite every 10 s",
    "pathway": "at least once: persistence on disk, results come again after a crash",
    "kafka_streams": "exactly_once_v2: one transaction every 0.1 s, RocksDB with changelogs",
}


class Joins:
    """The bench; see the module."""

    name = "joins"
    about = "event-time joins and windows with durable state: rate and wrong rows"
    cases: Sequence[str] = (
        "interval_inner", "interval_left", "asof", "window_count_sum", "lookup_corrections",
        "lookup", "group3",
    )  # fmt: skip
    contenders: Sequence[str] = ("ours", "quix", "bytewax", "pathway", "kafka_streams")
    baselines: Mapping[str, float] = {
        "quix/interval_inner": 2,
        "quix/interval_left": 2,
        "bytewax/interval_inner": 2,
        "bytewax/interval_left": 2,
        "pathway/interval_inner": 1,
        "pathway/interval_left": 1,
        "quix/asof": 1,
        "pathway/asof": 1,
        "quix/window_count_sum": 1,
        "bytewax/window_count_sum": 1,
        "pathway/window_count_sum": 1,
    }
    cannot = CANNOT
    durable = DURABLE

    def __init__(self, ground: Ground, quick: bool = False) -> None:
        self.ground, self.quick = ground, quick
        self.keys = Keys(QUICK_KEYS if quick else KEYS, PARTITIONS)
        self._filled: dict[str, int] = {}
        self._truth: dict[tuple[str, str, int], set[Row]] = {}
        self._runs = 0

    def events(self, case: str, contender: str) -> int:
        """How many events a contender gets, all sides together; a table's first versions beside."""
        which = f"{contender}/{case}"
        if self.quick:
            return QUICK_MORE if which in QUICK else QUICK_EVENTS
        return EVENTS.get(which, EVENTS[contender])

    def prepare(self, case: str, contenders: Sequence[str]) -> None:
        """Fill the topics of a case, and work out what must come out."""
        for contender in contenders:
            for side in sides_of(case):
                self._fill(case, side, contender)

    def _fill(self, case: str, side: str, contender: str) -> None:
        topic = self._topic(case, side, contender)
        if topic in self._filled:
            return
        load.create(self.ground.bootstrap, topic, PARTITIONS)
        encode = outputs.as_avro if contender in AVRO else feeds.as_json
        facts = [fact for fact in self._facts(case, contender) if fact.side == side]
        load.fill(self.ground.bootstrap, topic, records(facts, encode))
        self._filled[topic] = len(facts)

    def _topic(self, case: str, side: str, contender: str) -> str:
        form = {"ours": "avro", "kafka_streams": "avro_again"}.get(contender, "json")
        return f"bench.joins.{input_of(case)}.{side}.{form}.{self.events(case, contender)}"

    def _facts(self, case: str, contender: str) -> Iterator[Fact]:
        count = self.events(case, contender)
        if case.startswith("lookup"):
            return feeds.table(count, self.keys, versions=case == "lookup_corrections")
        return feeds.streams(sides_of(case), count, self.keys)

    def run(self, case: str, contender: str) -> Figures:
        """Let a contender work through its input once, and look at every row."""
        self._runs += 1
        settings = self._settings(case, contender)
        if contender != "ours":  # ours makes its own, by --create-topics
            load.create(self.ground.bootstrap, settings["output"], PARTITIONS)
        with self.ground.start(contender, FILE, settings) as running:
            outcome = running.outcome(TIMEOUT_SECONDS)
        return self._judged(case, contender, settings["output"], outcome)

    def _settings(self, case: str, contender: str) -> dict[str, Any]:
        inputs = {side: self._topic(case, side, contender) for side in sides_of(case)}
        counts = {topic: self._filled[topic] for topic in inputs.values()}
        told: dict[str, Any] = {
            "case": case,
            "application": APPLICATION,
            "inputs": inputs,
            "counts": counts,
            "events": sum(counts.values()),
            "output": f"bench.joins.out.{self._runs}.{contender}.{case}",
            "size_ms": SIZE_MS,
            "disorder_ms": DISORDER_MS,
            "retract_grace_ms": RETRACT_GRACE_MS,
            "horizon_ms": HORIZON_MS,
        }
        if contender == "kafka_streams":
            lasts = [fact for fact in self._facts(case, contender) if fact.n < 0]
            told["lasts"] = [f"{inputs[f.side]} {f.partition} {f.ts} {f.key}" for f in lasts]
            told["java"] = java.command(contender, "EventJoins")
        return told

    def _judged(self, case: str, contender: str, topic: str, outcome: Outcome) -> Figures:
        read = READERS.get(contender, outputs.plain)
        found = read(self.ground.bootstrap, topic, PARTITIONS)
        truth = self._expected(case, contender)
        ours = difference(truth, found)
        if contender == "ours" and ours.wrong:
            raise WrongResult(
                f"ours, {case}: of {len(truth)} rows {ours.missing} are missing, {ours.extra} "
                f"should not be there, {ours.doubled} are doubled",
                f"its rate would mean nothing; see {outcome.folder}",
            )
        own = OWN.get(f"{contender}/{case}", _same)(self, case, contender, found) or ours
        return figures_of(outcome) | {
            "rows": len(truth),
            "missing": ours.missing,
            "extra": ours.extra,
            "doubled": ours.doubled,
            "wrong_by_its_own_definition": own.wrong,
        }

    def _expected(self, case: str, contender: str, by: str = "") -> set[Row]:
        """The rows of a case by its definition, or by the one of another name."""
        place = (by or case, case, self.events(case, contender))
        if place not in self._truth:
            sides = definitions.by_side(self._facts(case, contender))
            self._truth[place] = TRUTHS[by or case](sides)
        return self._truth[place]


Sides = Mapping[str, definitions.Side]
TRUTHS: Mapping[str, Callable[[Sides], set[Row]]] = {
    "interval_inner": definitions.interval,
    "interval_left": lambda sides: definitions.interval(sides, left=True),
    "asof": definitions.asof,
    "window_count_sum": lambda sides: definitions.totals(sides["left"]),
    "lookup_corrections": lambda sides: definitions.asof(sides, tolerance=None, left=False),
    "lookup": lambda sides: definitions.asof(sides, tolerance=None, left=False),
    "group3": definitions.group,
    "product_inner": definitions.window_product,
    "product_left": lambda sides: definitions.window_product(sides, left=True),
}
READERS = {"ours": outputs.ours, "pathway": outputs.differences}
Found = Mapping[Row, int]


def _same(bench: Joins, case: str, contender: str, found: Found) -> Difference | None:
    return None


def _product(bench: Joins, case: str, contender: str, found: Found) -> Difference:
    """A window join: pairs of one window."""
    by = case.replace("interval", "product")
    return difference(bench._expected(case, contender, by), found)


def _at_once(bench: Joins, case: str, contender: str, found: Found) -> Difference:
    """A left join that says a left record as unmatched when it comes and has no partner yet."""
    truth = bench._expected(case, contender)
    fair = {row: n for row, n in found.items() if row in truth or row[1] is not None}  # type: ignore[index]
    return difference(truth, fair)


OWN: Mapping[str, Callable[[Joins, str, str, Found], Difference | None]] = {
    "bytewax/interval_inner": _product,
    "bytewax/interval_left": _product,
    "quix/interval_left": _at_once,
}


def sides_of(case: str) -> tuple[str, ...]:
    """The sides of a case, in order; one topic each."""
    return SIDES.get(case, ("left", "right"))


def input_of(case: str) -> str:
    """Cases with the same input share it."""
    return "two" if case.startswith(("interval", "asof")) else case


def records(facts: Iterable[Fact], encode: Callable[[Fact], bytes]) -> Iterator[Record]:
    """Input as records: the time of an event is its record's."""
    for fact in facts:
        yield fact.key.encode(), encode(fact), fact.partition, fact.ts
