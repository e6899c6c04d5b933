"""The bench's own arithmetic: statistics, oracle, rounds, tables, and what it prints."""

from __future__ import annotations

import doctest
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.__main__ import main, report
from bench.harness import blocks, envs, mainjob, oracle, profile, rounds, stats, table
from bench.harness.blocks import mixed, multiplied
from bench.harness.errors import BenchError, WrongResult
from bench.harness.mainjob import Change, net
from bench.harness.process import Outcome, environment
from bench.harness.rounds import WARM, Figures, Measured, figures_of, measure, turned
from bench.harness.stats import Spread, percentile, spread
from bench.keyed_count import KeyedCount, records

MARKS = "<!-- fake: written by the bench -->old<!-- fake: end -->\n"


class Fake:
    """A bench whose figures are known: each round is one faster."""

    name = "fake"
    about = "known figures"
    cases: Sequence[str] = ("small",)
    contenders: Sequence[str] = ("ours", "other")
    baselines: Mapping[str, float] = {"other": 2}

    def __init__(self, ground: Any = None, quick: bool = False) -> None:
        self.runs: list[str] = []

    def prepare(self, case: str, contenders: Sequence[str]) -> None:
        self.runs.append(f"prepare {case}")

    def run(self, case: str, contender: str) -> Figures:
        self.runs.append(contender)
        speed = 3000 if contender == "ours" else 1000
        return {"rate": speed + len(self.runs), "cpu_us_per_event": 2.0}


def outcome(**changes: Any) -> Outcome:
    """What a contender told: 200 events in 4 s, with 2 s of CPU."""
    told = {"events": 200, "seconds": 4.0, "cpu_seconds": 2.0, "folder": Path(), **changes}
    return Outcome(**told)


# Statistics ---------------------------------------------------------------------------------------


def test_a_spread_is_the_median_with_its_extremes() -> None:
    """An outlier moves the extremes, not the median."""
    assert Spread(20, 10, 900) == spread([20, 900, 10])


@given(st.lists(st.integers(), min_size=1), st.integers(1, 100))
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(values: list[int], p: int) -> None:
    """Nearest rank: the least of the values with at least p percent at or below it."""
    found = percentile(values, p)
    assert found in values
    assert sum(v <= found for v in values) * 100 >= p * len(values)
    assert sum(v < found for v in values) * 100 < p * len(values)


def test_rate_and_cpu_are_of_the_events_that_were_measured() -> None:
    """200 events in 4 s with 2 s of CPU: 50 a second, 10 ms each."""
    assert {"rate": 50.0, "cpu_us_per_event": 10_000.0} == figures_of(outcome())


def test_the_rate_of_the_warm_half_stands_beside_that_of_the_whole() -> None:
    """It is told by the contender, beside what is not a figure."""
    found = figures_of(outcome(more={WARM: 60.0, "digest": "ab"}))
    assert {"rate": 50.0, "cpu_us_per_event": 10_000.0, WARM: 60.0} == found


# Oracle -------------------------------------------------------------------------------------------


def test_the_oracle_accepts_what_is_equal() -> None:
    """The order of keys does not matter."""
    oracle.require_equal("ours", {"a": 1, "b": 2}, {"b": 2, "a": 1})


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"a": 1, "b": 3}, "b: 3 instead of 2"),
        ({"a": 1}, "b: nothing instead of 2"),
        ({"a": 1, "b": 2, "c": 1}, "c: 1 instead of nothing"),
    ],
)
def test_the_oracle_refuses_one_wrong_key(found: dict[str, int], said: str) -> None:
    """Too much, too little, missing or unknown: the message names contender, key and both."""
    with pytest.raises(WrongResult) as raised:
        oracle.require_equal("quix", {"a": 1, "b": 2}, found)
    assert "quix: 1 of" in str(raised.value)
    assert said in str(raised.value)


def test_counts_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    """One key and its count a line; a key may have a space."""
    (tmp_path / "counts").write_text("k1 12\nk 2 3\n")
    assert {"k1": 12, "k 2": 3} == oracle.read_counts(tmp_path / "counts")


def test_a_wrong_result_ends_the_bench_before_any_rate() -> None:
    """The first wrong output is raised; nothing is measured from it."""

    class Wrong(Fake):
        def run(self, case: str, contender: str) -> Figures:
            oracle.require_equal(contender, {"k": 1}, {"k": 2})
            return {}

    with pytest.raises(WrongResult):
        measure(Wrong(), ["small"], ["ours"], 1)


def test_a_retracted_event_is_not_in_the_net_set() -> None:
    """assert a, assert b, retract a, assert b anew: only the newest b is left."""
    changes = [("a", True, b"1"), ("b", True, b"2"), ("a", False, b"1"), ("b", True, b"3")]
    assert {"b": b"3"} == net(Change(*change) for change in changes)


# Rounds -------------------------------------------------------------------------------------------


def test_contenders_take_turns_and_begin_in_turn() -> None:
    """Every round has all of them, and another one first."""
    bench = Fake()
    measure(bench, ["small"], bench.contenders, 2)
    assert ["prepare small", "ours", "other", "other", "ours"] == bench.runs


@given(st.lists(st.text(), min_size=1, unique=True), st.integers(0, 100))
def test_a_turn_leaves_nobody_out(names: list[str], by: int) -> None:
    """Turning only changes who is first."""
    assert Counter(names) == Counter(turned(names, by))


# What is printed ----------------------------------------------------------------------------------


def test_json_has_bench_machine_and_a_rate_for_each_contender_and_case() -> None:
    """The shape that scripts read."""
    measured = measure(Fake(), ["small"], ["ours", "other"], 3)
    found = report("fake", measured, {"cpu": "a CPU"})
    assert {"bench", "machine", "results"} == found.keys()
    assert {"ours", "other"} == found["results"].keys()
    assert {"rate": 3005, "cpu_us_per_event": 2.0} == found["results"]["ours"]["small"]


def test_the_table_says_how_much_faster_ours_is_and_should_be() -> None:
    """The ratio stands beside the goal."""
    found = {"ours": {"small": [{"rate": 3000.0}]}, "other": {"small": [{"rate": 1200.0}]}}
    head, ours, other = table.rows(Fake(), Measured(found))
    assert ["case", "contender", "rate", "ours / it", "goal"] == head
    assert ["small", "ours", "3,000", "", ""] == ours
    assert ["small", "other", "1,200", "2.50", ">= 2"] == other


def test_a_ratio_is_that_of_the_same_round() -> None:
    """A machine that is twice as slow in some rounds changes no ratio.

    ::

        round    1    2 (slow)   3
        ours     100  50         90
        other    50   25         45
    """
    ours, other = ([{"rate": r} for r in rates] for rates in ((100, 50, 90), (50, 25, 45)))
    found = Measured({"ours": {"small": ours}, "other": {"small": other}})
    assert 2.0 == found.ratio("small", "other", "rate")


def test_what_is_compared_by_another_figure_says_so() -> None:
    """Two warm halves are divided by each other, not by whole runs."""

    class Warm(Fake):
        compared: Mapping[str, str] = {"other": WARM}

    ours, other = {"rate": 3000.0, WARM: 4000.0}, {"rate": 100.0, WARM: 2000.0}
    found = Measured({"ours": {"small": [ours]}, "other": {"small": [other]}})
    assert ["2.00 warm", ">= 2"] == list(table.rows(Warm(), found))[2][-2:]


def test_a_figure_that_some_rounds_lack_is_of_those_that_have_it() -> None:
    """A round without it is not a zero."""
    found = Measured({"ours": {"small": [{"rate": 1.0}, {"rate": 3.0, WARM: 5.0}]}})
    assert (5.0, 2.0) == tuple(found.spreads("ours", "small")[n].median for n in (WARM, "rate"))


def test_writing_replaces_a_section_and_nothing_else(tmp_path: Path) -> None:
    """Text around the marks stays, the old table goes."""
    path = tmp_path / "RESULTS.md"
    path.write_text(f"before\n{MARKS}after\n")
    table.write("fake", "| new |", {"cpu": "a CPU"}, "2026-01-01", path)
    text = path.read_text()
    assert (text.startswith("before\n"), text.endswith("after\n")) == (True, True)
    assert ("| new |" in text, "old" in text, "cpu a CPU" in text) == (True, False, True)


def test_writing_where_there_is_no_section_is_refused(tmp_path: Path) -> None:
    """The message says which lines to add."""
    path = tmp_path / "RESULTS.md"
    path.write_text("nothing here\n")
    with pytest.raises(BenchError, match="fake: written by the bench"):
        table.write("fake", "", {}, "2026-01-01", path)


def test_results_md_has_a_section_for_each_bench() -> None:
    """`--write` finds its place in the file that is kept."""
    text = table.RESULTS.read_text()
    for name in ("keyed_count", "transaction_path", "latency", "commits"):
        assert 1 == text.count(f"<!-- {name}: written by the bench -->"), name
        assert 1 == text.count(f"<!-- {name}: end -->"), name


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["no_such_bench"], "invalid choice"),
        (["keyed_count", "--only", "flink"], "no contender flink"),
        (["keyed_count", "--case", "7"], "no case 7"),
        (["keyed_count", "--rounds", "0"], "at least 1"),
        (["keyed_count", "--quick", "--write"], "whole runs"),
    ],
)
def test_wrong_usage_is_refused_before_anything_starts(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, standard output empty, the reason on standard error."""
    with pytest.raises(SystemExit) as raised:
        main(argv)
    printed = capsys.readouterr()
    assert (2, "") == (raised.value.code, printed.out)
    assert said in printed.err


# Input --------------------------------------------------------------------------------------------


def test_the_input_is_the_same_each_time_and_keys_keep_their_partition() -> None:
    """A contender that gets fewer events gets the first of the same ones."""
    some, more = list(records(500, 100)), list(records(1000, 100))
    assert some == more[:500]
    assert all(int(key[1:]) % 4 == partition for key, _, partition in more)
    assert {300} == {len(value) for _, value, _ in more}


def test_keys_have_counts_of_their_own() -> None:
    """Counts that were all equal would hide a key counted as another."""
    counts = Counter(key for key, _, _ in records(20_000, 1000))
    assert len(set(counts.values())) > 20


def test_nothing_is_multiplied_from_nothing() -> None:
    """No block, no transactions."""
    assert [] == multiplied([], 5)


def test_mixing_keeps_the_length() -> None:
    """Each third is another one, from the first on."""
    events: list[Any] = [1, 2, 3, 4, 5, 6, 7]
    assert [10, 2, 3, 20, 5, 6, 30] == mixed(events, [10, 20, 30, 40], 3)


# Examples -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [blocks, envs, mainjob, profile, rounds, stats, table])
def test_examples_in_docstrings_hold(module: ModuleType) -> None:
    """Docstrings of the harness say what is so."""
    done = doctest.testmod(module)
    assert (0, True) == (done.failed, done.attempted > 0)


def test_waiting_and_imports_are_in_no_profile() -> None:
    """Only work counts: one sample of four."""
    raw = "t;select (selectors.py:1);EpollSelector.select (selectors.py:9) 2\n"
    raw += "t;_find (<frozen importlib._bootstrap>:1);parse (x.py:1) 1\nt;work (y.py:1) 1\n"
    assert [(100.0, "work (y.py)")] == profile.shares(raw)


# Contenders ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KeyedCount.contenders)
def test_each_contender_is_one_file_with_its_settings_named(name: str) -> None:
    """Its first words say what it is; its environment is pinned by hashes."""
    folder = envs.BENCH / "contenders" / envs.home_of(name)
    assert (folder / "keyed_count.py").read_text().startswith('"""')
    for lock in envs.locks(name):
        assert "--hash=sha256:" in lock.read_text(), lock


@pytest.mark.parametrize(
    ("name", "pin"),
    [
        ("quix", "quixstreams==3.28.1 "),
        ("bytewax", "bytewax==0.21.1 "),
        ("pathway", "pathway==0.33.0 "),
    ],
)
def test_contenders_have_the_versions_that_were_compared(name: str, pin: str) -> None:
    """A lock file that was resolved again keeps them."""
    (lock,) = envs.locks(name)
    assert any(line.startswith(pin) for line in lock.read_text().splitlines())


def test_variants_of_a_contender_share_its_environment() -> None:
    """One folder, one lock file, however many ways to run it."""
    assert envs.locks("quix") == envs.locks("quix:at_least_once")
    homes = {envs.home_of(name) for name in KeyedCount.contenders}
    assert homes == {path.name for path in (envs.BENCH / "contenders").iterdir()} & homes


def test_ours_is_measured_from_this_checkout() -> None:
    """An editable install may be of another one."""
    path = environment("ours", {})["PYTHONPATH"].split(os.pathsep)
    assert [str(envs.BENCH / "worker"), str(envs.ROOT)] == path
    assert str(envs.BENCH / "worker") == environment("quix", {})["PYTHONPATH"]
