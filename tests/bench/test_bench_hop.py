"""The parts of the bench of one hop: whose result is whose, how old it is, and how it is shown."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.harness import envs, hops, table
from bench.harness.errors import WrongResult
from bench.harness.rounds import Measured
from bench.hop import GUARANTEES, Hop

A, B = b"a", b"b"


def matched(
    due: dict[bytes, list[float]], *found: tuple[float, bytes, int]
) -> list[tuple[float, float | None]]:
    """When each record was due and when its result came."""
    return list(hops.matched("ours", due, found))


def test_the_nth_result_of_a_key_belongs_to_its_nth_record() -> None:
    """Keys may overtake each other; what has not come has no time."""
    #  a: due 1, 3, 5   b: due 2        results: b at 4, a at 4, a at 6
    pairs = matched({A: [1.0, 3.0, 5.0], B: [2.0]}, (4.0, B, 1), (4.0, A, 1), (6.0, A, 2))
    assert [(2.0, 4.0), (1.0, 4.0), (3.0, 6.0), (5.0, None)] == pairs


@pytest.mark.parametrize(
    "counts",
    [
        pytest.param([1, 1], id="doubled"),
        pytest.param([1, 3], id="lost"),
        pytest.param([2], id="begins too high"),
        pytest.param([1, 2, 3, 4], id="more than were sent"),
    ],
)
def test_a_count_that_is_not_the_next_of_its_key_is_refused(counts: Sequence[int]) -> None:
    """No latency is told of wrong results."""
    with pytest.raises(WrongResult, match="ours: a has the count"):
        matched({A: [1.0, 2.0, 3.0]}, *((9.0, A, count) for count in counts))


def test_a_result_of_a_key_that_nobody_sent_is_refused() -> None:
    """It is not left out of the comparison."""
    with pytest.raises(WrongResult, match="b has the count 1 after None"):
        matched({A: [1.0]}, (2.0, B, 1))


@given(st.lists(st.tuples(st.sampled_from([A, B]), st.floats(0, 9)), max_size=30), st.data())
def test_every_record_has_its_one_pair(
    records: list[tuple[bytes, float]], data: st.DataObject
) -> None:
    """However many results have come."""
    due: dict[bytes, list[float]] = {}
    found = []
    for key, when in records:
        due.setdefault(key, []).append(when)
        found.append((10.0, key, len(due[key])))
    came = data.draw(st.integers(0, len(found)))
    pairs = matched(due, *found[:came])
    assert sorted(when for _, when in records) == sorted(when for when, _ in pairs)
    assert came == sum(at is not None for _, at in pairs)


def test_what_was_due_before_the_time_that_counts_is_left_out() -> None:
    """Its result still is one that came in that time."""
    # due  1 (warm-up)  10      11      12 .. until 20, looked at until 25
    # out  10.5         10.03   11.05   never
    pairs = [(1.0, 10.5), (10.0, 10.03), (11.0, 11.05), (12.0, None)]
    found = hops.figures(pairs, 10.0, 20.0, 25.0)
    assert (1, 0.3) == (found["left"], found["done_per_s"])
    assert (50, 13_000) == (round(found["p50_ms"]), round(found["p99_ms"]))


def test_a_limit_stands_beside_the_figure_that_it_is_for() -> None:
    """Who has none has an empty cell."""
    one = {"1000": [{"p99_ms": 60.0}]}
    found = Measured({"ours": one, "stock_faust": one})
    head, ours, other = table.rows(Hop, found)  # type: ignore[arg-type]
    assert (["case", "contender", "p99_ms", "goal"], "p99_ms <= 80", "") == (
        head,
        ours[-1],
        other[-1],
    )


@pytest.mark.parametrize("name", Hop.contenders)
def test_each_contender_is_one_file_with_its_settings_named(name: str) -> None:
    """Its first words say what it is."""
    home, variant = envs.home_of(name), envs.variant_of(name)
    assert (envs.BENCH / "contenders" / home / "hop.py").read_text().startswith('"""')
    assert variant in {"", *GUARANTEES}


def test_results_md_has_a_section_for_the_hop() -> None:
    """`--write` finds its place in the file that is kept."""
    text = table.RESULTS.read_text()
    assert 1 == text.count("<!-- hop: written by the bench -->")
    assert 1 == text.count("<!-- hop: end -->")
