"""The page on size: its numbers follow from its inputs, and these are those of the benches."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.docs import size_page
from tests.docs.bench_page import section
from tests.docs.render import DOCS
from tests.docs.size_page import CHOSEN, LINES, MEASURED, arithmetic, evaluate, lookup, shown_inputs

PAGE = DOCS / "how-to" / "size.md"
NAMES = {one.name for one in (*CHOSEN, *MEASURED)}
SECTION = """
<!-- scale: written by the bench -->
2026-01-01; somewhere.

| case | contender | cpu_us_1 | 4_by_1 |
| --- | --- | --- | --- |
| 1000 | ours | 1.00 | 1.02 (1.01-1.09) |
| 100000 | ours | 1,900 (1,800-2,000) | 1.07 |

<!-- scale: end -->
"""


def results(folder: Path) -> Path:
    """Results in which every figure that is used is 2.5."""
    path = folder / "RESULTS.md"
    text = ""
    for bench in dict.fromkeys(one.bench for one in MEASURED):
        mine = [one for one in MEASURED if one.bench == bench]
        columns = list(dict.fromkeys(one.column for one in mine))
        rows = [
            f"| {case} | {contender} |{' 2.5 (2.1-2.9) |' * len(columns)}"
            for case, contender in dict.fromkeys((one.case, one.contender) for one in mine)
        ]
        head = f"| case | contender | {' | '.join(columns)} |"
        table = "\n".join([head, "|---|---|" + "---|" * len(columns), *rows])
        text += f"<!-- {bench}: written by the bench -->\n2026.\n\n{table}\n\n"
        text += f"<!-- {bench}: end -->\n"
    path.write_text(text)
    return path


def test_every_number_of_the_page_follows_from_its_inputs() -> None:
    """Read as a reader does: tables first, then line by line, with the values that are shown."""
    text = PAGE.read_text()
    known = shown_inputs(text)
    for name, expression, value in size_page.shown_lines(text):
        expected = evaluate(expression, known)
        known[name] = float(value.replace(",", ""))
        assert pytest.approx(expected, rel=0.005) == known[name], f"{name} = {expression}"


@pytest.mark.parametrize("one", MEASURED, ids=lambda one: one.name)
def test_every_measured_input_is_that_of_the_results(one: size_page.Measured) -> None:
    """A bench that has figures has this one, and one that has none yet shows as a question mark."""
    results = size_page.RESULTS.read_text()
    measured, shown = lookup(results, one), shown_inputs(PAGE.read_text()).get(one.name)
    assert (section(results, one.bench) is None) == (measured is None) == (shown is None)
    assert pytest.approx(measured or 0, rel=0.005) == (shown or 0)


def test_with_all_figures_all_inputs_and_all_lines_are_shown(tmp_path: Path) -> None:
    """Nothing is left out, nothing is shown twice, and all follows from the inputs."""
    text = "\n\n".join(size_page.page(results(tmp_path)).values())
    lines = size_page.shown_lines(text)
    assert [line.name for of in LINES.values() for line in of] == [name for name, *_ in lines]
    known = shown_inputs(text)
    assert NAMES == known.keys()
    assert 2.5 == known["count_us"]
    for name, expression, value in lines:
        assert pytest.approx(evaluate(expression, known), rel=0.005) == float(
            value.replace(",", "")
        )
        known[name] = float(value.replace(",", ""))


def test_a_line_uses_only_what_is_above_it() -> None:
    """With the inputs alone, each heading in its order can be worked out."""
    shown = arithmetic(dict.fromkeys(NAMES, 2.0) | {one.name: one.value for one in CHOSEN})
    assert [f"### {heading}" for heading in LINES] == [
        line for line in shown.splitlines() if line.startswith("###")
    ]


@given(st.floats(0.5, 50), st.floats(0.5, 50))
def test_twice_the_cost_is_twice_the_cores(count_us: float, join_us: float) -> None:
    """The model is linear in what a step costs."""
    lines = {line.name: line.expression for of in LINES.values() for line in of}
    known = {one.name: one.value for one in CHOSEN} | {"spread": 1.0}

    def cores(times: float) -> float:
        found = known | {"count_us": times * count_us, "join_us": times * join_us}
        for name in ("count_cores", "join_cores"):
            found[name] = evaluate(lines[name], found)
        return evaluate(lines["cores"], found)

    assert pytest.approx(2 * cores(1)) == cores(2)


def test_a_figure_is_the_median_of_its_row() -> None:
    """Extremes in brackets are left out, and so are separators."""
    one = next(one for one in MEASURED if one.bench == "scale")
    assert 1.07 == lookup(SECTION, one)
    assert 1900 == lookup(SECTION, one._replace(column="cpu_us_1"))
    assert 1.02 == lookup(SECTION, one._replace(case="1000"))
    assert (None, None) == (lookup(SECTION, one._replace(case="7")), lookup("", one))


def test_without_a_figure_nothing_that_follows_from_it_is_said(tmp_path: Path) -> None:
    """No number is made up: tasks follow from what is chosen, cores do not."""
    path = tmp_path / "RESULTS.md"
    path.write_text(SECTION)
    parts = size_page.page(path)
    lines = {name for name, *_ in size_page.shown_lines(parts["arithmetic"])}
    assert (True, False, False) == ("tasks" in lines, "cores" in lines, "workers" in lines)
    assert "| `count_us` | ? | µs |" in parts["measured"]
    assert "count_cores = rate * count_us / 1e6 = ? cores" in parts["arithmetic"]


@pytest.mark.parametrize("expression", ["a ** 2", "open('x')", "a.b", "-a"])
def test_only_arithmetic_is_worked_out(expression: str) -> None:
    """Other Python is refused."""
    with pytest.raises((ValueError, KeyError)):
        evaluate(expression, {"a": 1.0})


def test_examples_in_docstrings_hold() -> None:
    """Docstrings say what is so."""
    done = doctest.testmod(size_page)
    assert (0, True) == (done.failed, done.attempted > 0)
