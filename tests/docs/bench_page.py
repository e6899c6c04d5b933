"""The comparison by figures: the medians and ratios that bench/RESULTS.md holds, and only those."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

RESULTS = Path(__file__).parents[2] / "bench" / "RESULTS.md"
NONE_YET = "No figures have been recorded yet: `make bench NAME=keyed_count ARGS=--write` does."
_RATIO = "ours / it"


class Section(NamedTuple):
    """What the bench wrote between its marks."""

    taken: str
    """When, and on what machine."""
    head: list[str]
    rows: list[dict[str, str]]


def section(text: str, name: str) -> Section | None:
    """One bench's section; None while it holds no figures."""
    marks = f"<!-- {name}: written by the bench -->(.*?)<!-- {name}: end -->"
    found = re.search(marks, text, re.DOTALL)
    lines = found[1].strip().splitlines() if found else []
    table = [_cells(line) for line in lines if line.startswith("|")]
    if len(table) < 3:
        return None
    head, _, *body = table
    return Section(lines[0], head, [dict(zip(head, row, strict=True)) for row in body])


def page(text: str | None = None) -> str:
    """A row a contender: its rate and our ratio to it, for each number of keys."""
    found = section(RESULTS.read_text() if text is None else text, "keyed_count")
    if found is None or _RATIO not in found.head or "rate" not in found.head:
        return NONE_YET
    cases = list(dict.fromkeys(row["case"] for row in found.rows))
    head = ["Events a second", *(words for case in cases for words in _words(case))]
    rows = [
        [f"`{one}`", *(cell for case in cases for cell in _pair(found.rows, one, case))]
        for one in dict.fromkeys(row["contender"] for row in found.rows)
    ]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", found.taken])


def _words(case: str) -> list[str]:
    keys = f"{int(case):,} keys" if case.isdigit() else case
    return [keys, _RATIO]


def _pair(rows: list[dict[str, str]], contender: str, case: str) -> list[str]:
    """Median rate and ratio of one contender in one case."""
    for row in rows:
        if (row["contender"], row["case"]) == (contender, case):
            return [row["rate"].partition(" ")[0], row[_RATIO]]
    return ["", ""]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]
