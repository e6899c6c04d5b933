"""The pages of the joins and of time: what they show is what their code prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import joins
from streams.cli import lag
from tests.docs.page_blocks import PAGES, printed, shown
from tests.docs.reading import blocks, name
from tests.docs.render import DOCS

JOINS = {
    "interval": "IntervalJoin",
    "window": "WindowJoin",
    "as-of": "AsOfJoin",
    "lookup": "LookupJoin",
    "n-way": "NWayJoin",
    "fold": "Fold",
    "aggregates": "WindowAggregate",
}
PARTS = ["## Definition", "## Kinds", "## When", "## State", "## On topics"]


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_a_page_prints_what_it_shows(path: Path) -> None:
    """All Python blocks of a page run, as one program, and print what stands under them."""
    text = path.read_text()
    assert shown(text) == printed(text)


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_a_page_shows_what_it_prints(path: Path) -> None:
    """Every block that prints has its output under it."""
    text = path.read_text()
    silent = [b for b, o in zip(blocks(text, "python"), shown(text), strict=True) if not o]
    assert [] == [block for block in silent if "print(" in block]


@pytest.mark.parametrize("page", JOINS)
def test_each_join_has_its_page(page: str) -> None:
    """A page has its join, its definition, a timeline, both modes of emission, state, a step."""
    text = (DOCS / "joins" / f"{page}.md").read_text()
    assert hasattr(joins, JOINS[page])
    assert [] == [part for part in (*PARTS, JOINS[page], "join_step", "eager") if part not in text]


def test_the_pages_are_all_named() -> None:
    """There is no page of a join that this file does not know."""
    assert sorted([*JOINS, "index"]) == [path.stem for path in PAGES[:-1]]


def test_the_page_on_time_names_what_is_there() -> None:
    """The metrics and the columns of ``streams lag`` that it names are there."""
    text = (DOCS / "time.md").read_text()
    metrics = (DOCS / "reference" / "metrics.md").read_text()
    assert [] == [m for m in re.findall(r"`(streams_\w+)", text) if f"`{m}`" not in metrics]
    named = {"watermark", "age_s", "holds", "paused", "late", "late_retracts"}
    of_tasks = {"declared", "delay_s", "no_effect"}
    assert (named, of_tasks) == (named & {*lag.COLUMNS}, of_tasks & {*lag.TASK})
    assert [] == [column for column in named | of_tasks if f"`{column}`" not in text]
