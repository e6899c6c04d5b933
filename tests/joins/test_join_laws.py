"""Each join, kind and emit against brute force, over random arrivals."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from join_cases import EMITS, MAKERS, Case, values_of
from join_deep import SEEDS
from join_laws import prove
from join_timelines import as_a_writer_would, timeline


@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("name", MAKERS)
def test_a_join_says_what_its_definition_says(name: str, emit: str) -> None:
    """After each arrival, exactly what must be said: rows, ids, times, order, lateness, state."""
    for seed in SEEDS:
        prove(f"{name} {emit} seed {seed}", *by_chance(name, emit, Random(seed)))


def by_chance(name: str, emit: str, rng: Random) -> tuple[Case, list[Any], frozenset[str], int]:
    """A join with its times, what arrives, which sides are declared, when it crashes."""
    sides = MAKERS[name]().join.sides
    grace, lateness = ({side: rng.randint(0, 4) for side in sides} for _ in range(2))
    case = MAKERS[name](
        emit=emit,
        grace=rng.choice((0, grace)),
        lateness=rng.choice((0, lateness)),
        retract_grace=rng.choice((4, 4, 5, 8, 20)),
    )
    declared = case.declared | frozenset(side for side in sides if rng.random() < 0.2)
    items = timeline(rng, sides, values_of(name), declared)
    items = as_a_writer_would(items, declared, case.join.undo_grace, case.tables)
    return case, items, declared, rng.randint(-1, 30)
