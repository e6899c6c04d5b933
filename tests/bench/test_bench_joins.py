"""The parts of the bench of joins: its input, its definitions, how rows are compared and read."""

from __future__ import annotations

import doctest
import re
from collections import Counter
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import joins
from bench.harness import definitions, envs, feeds, java, outputs, table
from bench.harness.definitions import SIZE_MS, Difference, by_side, difference
from bench.harness.feeds import DISORDER_MS, START_MS, Fact, Keys
from bench.harness.rounds import Figures, Measured, measure
from bench.joins import CANNOT, DURABLE, TRUTHS, Joins, sides_of
from streams.engine.murmur2 import partition_of

KEYS = Keys(50, 4)
STEP_MS = 2_500
"""Times are drawn in these steps, so that edges of intervals and windows are met."""


@st.composite
def facts(draw: st.DrawFn) -> list[Fact]:
    """Few keys, many equal distances; no two events of a side with one key and time."""
    places = st.tuples(
        st.sampled_from(["left", "right"]), st.sampled_from("xy"), st.integers(0, 12)
    )
    drawn = draw(st.lists(places, unique=True, max_size=12))
    return [Fact(s, k, START_MS + at * STEP_MS, n, 0) for n, (s, k, at) in enumerate(drawn)]


def pairs(events: list[Fact]) -> list[tuple[Fact, Fact]]:
    """Every left with every right event of its key."""
    return [
        (one, other)
        for one in events
        for other in events
        if (one.side, other.side) == ("left", "right") and one.key == other.key
    ]


# Input --------------------------------------------------------------------------------------------


def test_the_input_is_the_same_each_time() -> None:
    """A contender that gets fewer events gets the first of the same ones."""
    some, more = (list(feeds.streams(("left", "right"), n, KEYS)) for n in (300, 600))
    ends = 2 * len(KEYS.last)
    assert some[:-ends] == more[:300]
    assert more == list(feeds.streams(("left", "right"), 600, KEYS))


@pytest.mark.parametrize("case", Joins.cases)
def test_no_event_of_a_stream_is_late(case: str) -> None:
    """In its partition none is the whole disorder below one before it, but many are below one."""
    newest: dict[tuple[str, int], int] = {}
    behind = 0
    for fact in case_facts(case, 2_000):
        if fact.side == "right" and case.startswith("lookup"):
            continue  # a table is never late
        place = fact.side, fact.partition
        assert fact.ts > newest.get(place, 0) - DISORDER_MS
        behind += fact.ts < newest.get(place, 0)
        newest[place] = max(newest.get(place, 0), fact.ts)
    assert behind > 100


def case_facts(case: str, count: int) -> list[Fact]:
    """The input of a case."""
    if case.startswith("lookup"):
        return list(feeds.table(count, KEYS, versions=case == "lookup_corrections"))
    return list(feeds.streams(sides_of(case), count, KEYS))


@pytest.mark.parametrize("case", Joins.cases)
def test_events_are_told_apart_and_lie_where_their_key_belongs(case: str) -> None:
    """Numbers are unique, so is (side, key, time); partitions are those of Kafka's own clients."""
    found = [fact for fact in case_facts(case, 1_000) if fact.n >= 0]
    assert len(found) == len({fact.n for fact in found})
    assert len(found) == len({(fact.side, fact.key, fact.ts) for fact in found})
    assert all(partition_of(f.key.encode(), 4) == f.partition for f in case_facts(case, 100))


def test_the_last_events_close_every_partition_of_every_stream() -> None:
    """One a partition and side, well after the rest, and in no row of any definition."""
    found = list(feeds.streams(("a", "b", "c"), 300, KEYS))
    ends = [fact for fact in found if fact.n < 0]
    assert Counter((f.side, f.partition) for f in ends) == Counter(
        (side, p) for side in "abc" for p in range(4)
    )
    assert min(f.ts for f in ends) - max(f.ts for f in found if f.n >= 0) >= feeds.END_MS
    assert not any(row[0].startswith("~") for row in TRUTHS["group3"](by_side(found)))  # type: ignore[index]


def test_a_table_has_every_key_before_the_stream_begins() -> None:
    """So a lookup always finds a version; later versions come after they began to hold."""
    found = list(feeds.table(400, KEYS, versions=True))
    first = {fact.key for fact in found[: len(KEYS.names)]}
    assert set(KEYS.names) == first
    assert 200 == sum(f.side == "right" for f in found) - len(KEYS.names)
    assert 400 == len(TRUTHS["lookup"](by_side(feeds.table(400, KEYS, versions=False))))


# Definitions --------------------------------------------------------------------------------------


@given(facts())
def test_the_interval_is_every_pair_at_most_its_size_apart(events: list[Fact]) -> None:
    """Both edges are in; ``left`` adds each left event that is in no pair."""
    sides = by_side(events)
    near = {(a.n, b.n) for a, b in pairs(events) if abs(a.ts - b.ts) <= SIZE_MS}
    assert near == definitions.interval(sides)
    alone = {a.n for a in events if a.side == "left"} - {a for a, _ in near}
    assert near | {(n, None) for n in alone} == definitions.interval(sides, left=True)


@given(facts())
def test_asof_is_the_newest_that_is_neither_younger_nor_too_old(events: list[Fact]) -> None:
    """Equal time counts, and so does exactly the tolerance; without one any age does."""
    sides, left = by_side(events), [a for a in events if a.side == "left"]
    for tolerance in (SIZE_MS, None):
        most = 10**9 if tolerance is None else tolerance
        fit = {
            a.n: [(b.ts, b.n) for one, b in pairs(events) if one is a and 0 <= a.ts - b.ts <= most]
            for a in left
        }
        wanted = {(n, max(found)[1] if found else None) for n, found in fit.items()}
        assert wanted == definitions.asof(sides, tolerance=tolerance)
        matched = {row for row in wanted if row[1] is not None}
        assert matched == definitions.asof(sides, tolerance=tolerance, left=False)


@given(facts())
def test_windows_hold_what_begins_in_them(events: list[Fact]) -> None:
    """Half-open and aligned to 0: counts and sums, and pairs of one window only."""
    sides = by_side(events)
    left = [a for a in events if a.side == "left"]
    places = {(a.key, a.ts // SIZE_MS * SIZE_MS) for a in left}
    wanted = set()
    for key, start in places:
        numbers = [a.n for a in left if a.key == key and start <= a.ts < start + SIZE_MS]
        wanted.add((key, start, len(numbers), sum(numbers)))
    assert wanted == definitions.totals(sides["left"])
    same = {(a.n, b.n) for a, b in pairs(events) if a.ts // SIZE_MS == b.ts // SIZE_MS}
    assert same == definitions.window_product(sides)


def test_a_group_has_every_side_in_the_order_of_time() -> None:
    """A window of one key: two of a, none of b, one of c."""
    events = [("a", 5, 0), ("c", 1, 1), ("a", 2, 2), ("b", SIZE_MS, 3)]
    found = definitions.group(by_side(Fact(s, "k", ts, n, 0) for s, ts, n in events))
    assert {("k", 0, (2, 0), (), (1,)), ("k", SIZE_MS, (), (3,), ())} == found


# Rows ---------------------------------------------------------------------------------------------


def test_a_row_that_is_wrong_is_missing_and_extra() -> None:
    """(1, 2) is there as (1, None): one row is missing, one should not be there."""
    assert Difference(1, 1, 0) == difference({(1, 2), (3, 4)}, {(1, None): 1, (3, 4): 1})


def test_what_was_taken_back_is_not_there() -> None:
    """A contender that corrects itself is judged by what is left."""
    assert Difference(0, 0, 0) == difference({(1, 2)}, Counter({(1, 2): 1, (1, None): 0}))


@given(st.lists(st.integers(0, 5)), st.sets(st.integers(0, 5)))
def test_missing_and_extra_and_doubled_add_up(found: list[int], truth: set[int]) -> None:
    """Rows found, less those that should not be there or are doubled, are the truth's."""
    how = difference(truth, Counter(found))
    assert len(truth) - how.missing == len(found) - how.extra - how.doubled


def test_named_columns_become_a_row() -> None:
    """What Pathway writes: without its time and sign; members of a group by side, in order."""
    assert [1, None] == outputs._columns({"left": 1, "right": None, "diff": 1, "time": 2})
    members = [[1, "c", 7], [2, "a", 8], [3, "a", 9]]
    found = outputs._columns({"key": "k", "start": 0, "all": members, "diff": 1, "time": 2})
    assert ["k", 0, [8, 9], [], [7]] == found


def test_avro_values_are_what_the_java_program_reads() -> None:
    """Frame of 5 bytes, length of the key doubled, key, number as zigzag."""
    value = outputs.as_avro(Fact("left", "k1", 0, -3, 0))
    assert b"\x04k1\x05" == value[5:]


# Contenders ---------------------------------------------------------------------------------------


def test_what_a_contender_cannot_do_has_a_reason_and_no_run() -> None:
    """Others run that case; the table has no line for the one that cannot."""

    class Two(Joins):
        cases = ("asof",)
        contenders = ("ours", "bytewax")

        def __init__(self) -> None:
            self.ran: list[str] = []

        def prepare(self, case: str, contenders: object) -> None:
            self.ran.append(f"prepare {contenders}")

        def run(self, case: str, contender: str) -> Figures:
            self.ran.append(contender)
            return {"rate": 1.0}

    bench = Two()
    measured = measure(bench, bench.cases, bench.contenders, 1)
    assert ["prepare ['ours']", "ours"] == bench.ran
    assert [["asof", "ours", "1.00", "", ""]] == list(table.rows(bench, measured))[1:]
    own = {"bytewax": "bytewax.io", "quix": "quix.io", "kafka_streams": "kafka.apache.org"}
    for place, reason in CANNOT.items():
        words, page = reason.rsplit(": ", 1)
        assert words
        assert (urlsplit(page).hostname or "").endswith(own[place.split("/")[0]])


def test_a_contender_that_lacks_our_case_has_no_ratio() -> None:
    """There is nothing to divide by."""
    found = Measured({"ours": {"asof": [{"rate": 2.0}]}, "quix": {"lookup": [{"rate": 1.0}]}})
    assert ["lookup", "quix", "1.00", "", ""] == list(table.rows(Joins, found))[2]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", Joins.contenders)
def test_each_contender_is_one_file_with_its_durability_named(name: str) -> None:
    """Its first words say what it is; its environment is pinned by hashes."""
    text = (envs.BENCH / "contenders" / name / f"{joins.FILE}.py").read_text()
    assert text.startswith('"""')
    assert DURABLE[name]
    for lock in envs.locks(name):
        assert "--hash=sha256:" in lock.read_text(), lock


def test_jars_are_locked_by_digest_and_name_no_host() -> None:
    """Kafka Streams in the version of the embedded broker, and a compiler."""
    lock = java.lock_of("kafka_streams")
    names = {jar.artifact: jar.version for jar in lock.jars}
    assert (lock.kafka, True) == (names["kafka-streams"], "ecj" in names)
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) for jar in lock.jars)
    text = (Path(java.BENCH) / "contenders" / "kafka_streams" / java.LOCK_NAME).read_text()
    assert "://" not in text


@pytest.mark.parametrize("module", [definitions, feeds])
def test_examples_in_docstrings_hold(module: ModuleType) -> None:
    """Docstrings of the harness say what is so."""
    done = doctest.testmod(module)
    assert (0, True) == (done.failed, done.attempted > 0)


@pytest.mark.parametrize("name", ["joins", "join_state"])
def test_results_md_has_a_section_for_the_joins(name: str) -> None:
    """`--write` finds its place in the file that is kept."""
    text = table.RESULTS.read_text()
    assert 1 == text.count(f"<!-- {name}: written by the bench -->")
    assert 1 == text.count(f"<!-- {name}: end -->")
