"""Results for people: a table on the terminal, and the same in RESULTS.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.harness.envs import BENCH
from bench.harness.errors import BenchError
from bench.harness.rounds import Bench, Measured
from bench.harness.stats import Spread

RESULTS = BENCH / "RESULTS.md"


def rows(bench: Bench, measured: Measured) -> Iterator[list[str]]:
    """Head and rows: each case's contenders with medians, extremes and our ratio to them."""
    columns = _columns(measured)
    compared = "ours" in measured.rounds and bool(bench.baselines)
    limits = getattr(bench, "limits", {})
    more = _heads(bench) if compared else ["goal"] if limits else []
    yield ["case", "contender", *columns, *more]
    for case in dict.fromkeys(case for cases in measured.rounds.values() for case in cases):
        for contender in (name for name, cases in measured.rounds.items() if case in cases):
            spreads = measured.spreads(contender, case)
            cells = [case, contender, *(_cell(spreads.get(name)) for name in columns)]
            if compared:
                cells += _ratio(bench, measured, case, contender)
            elif limits:
                cells.append(_limit(limits.get(f"{contender}/{case}")))
            yield cells


def ratios(bench: Bench) -> Mapping[str, str]:
    """The figures by which contenders are compared, and on which side of the goal ours is to be.

    A bench may have a ``compared``: contender to the figure that takes their place for it.
    """
    found: Mapping[str, str] = getattr(bench, "ratios", {"rate": ">="})
    return found


def _heads(bench: Bench) -> list[str]:
    found = list(ratios(bench))
    return [*("ours / it" if len(found) == 1 else f"ours / it: {name}" for name in found), "goal"]


def _columns(measured: Measured) -> list[str]:
    found: dict[str, None] = {}
    for contender, cases in measured.rounds.items():
        for case in cases:
            found |= dict.fromkeys(measured.spreads(contender, case))
    return list(found)


def _ratio(bench: Bench, measured: Measured, case: str, contender: str) -> list[str]:
    found = ratios(bench)
    if contender == "ours" or case not in measured.rounds["ours"]:
        return [""] * (len(found) + 1)
    goal = bench.baselines.get(f"{contender}/{case}", bench.baselines.get(contender))
    instead = getattr(bench, "compared", {}).get(contender)
    (sign,) = set(found.values())
    names = [instead] if instead else list(found)
    cells = [f"{measured.ratio(case, contender, name):.2f}" for name in names]
    if instead:
        cells = [f"{cells[0]} {instead.removesuffix('_rate')}"]
    return [*cells, f"{sign} {goal:g}" if goal is not None else ""]


def _limit(limit: tuple[str, float] | None) -> str:
    return "" if limit is None else f"{limit[0]} <= {limit[1]:g}"


def _cell(found: Spread | None) -> str:
    if found is None:
        return ""
    if found.least == found.greatest:
        return number(found.median)
    return f"{number(found.median)} ({number(found.least)}-{number(found.greatest)})"


def number(value: float) -> str:
    """A figure with three or more digits that say something.

    >>> number(453_904.2), number(12.345), number(1.62)
    ('453,904', '12.3', '1.62')
    """
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def plain(table: list[list[str]]) -> str:
    """Columns in line, for a terminal."""
    widths = [max(len(row[n]) for row in table) for n in range(len(table[0]))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in table]
    return "\n".join(line.rstrip() for line in lines)


def markdown(table: list[list[str]]) -> str:
    """The same as a Markdown table."""
    head, *body = table
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(
    name: str, text: str, machine: Mapping[str, Any], date: str, path: Path = RESULTS
) -> None:
    """Replace the section of a bench between its two marks; raises BenchError without them."""
    begin, end = f"<!-- {name}: written by the bench -->", f"<!-- {name}: end -->"
    content = path.read_text(encoding="utf-8")
    before, found, rest = content.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise BenchError(
            f"{path.name} has no section for {name}", f"add the lines {begin} and {end}"
        )
    words = ", ".join(f"{key} {value}" for key, value in machine.items())
    body = f"\n{date}; {words}.\n\n{text}\n\n"
    path.write_text(f"{before}{begin}{body}{end}{after}", encoding="utf-8")
