"""The page of the patterns is complete and current: every pattern, every limit with its reason."""

from __future__ import annotations

import pytest

from streams.patterns.catalog import PATTERNS, TRANSACTION_PATTERNS, Entry
from tests.docs.patterns_page import limits, page
from tests.docs.reading import sections
from tests.docs.render import PATTERNS as PAGE
from tests.docs.render import between


def test_the_page_is_current() -> None:
    """What stands there is what the catalogue gives: else run ``python -m tests.docs.render``."""
    assert page() == between(PAGE.read_text(), "patterns")


def test_every_pattern_has_its_section() -> None:
    """Those of one transaction, and those that take more."""
    ids = [entry.id for entry in PATTERNS]
    assert ids == list(sections(page()))
    assert {pattern.id for pattern in TRANSACTION_PATTERNS} <= set(ids)


@pytest.mark.parametrize("entry", PATTERNS, ids=lambda entry: entry.id)
def test_every_limit_says_why(entry: Entry) -> None:
    """No limit without its reason."""
    assert [] == [limit.name for limit in limits(entry.config) if not limit.words]


@pytest.mark.parametrize("entry", PATTERNS, ids=lambda entry: entry.id)
def test_every_pattern_says_what_it_is_and_where_it_is_from(entry: Entry) -> None:
    """Definition, severity and source are words, and end without a full stop of their own."""
    about = entry.about
    assert all([about.definition, about.severity, about.source])
    assert (True, False, False) == (
        about.definition.endswith("."), about.severity.endswith("."), about.source.endswith("."),
    )  # fmt: skip
