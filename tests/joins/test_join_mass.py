"""Many arrivals through each join, held to the definition one by one."""

from __future__ import annotations

from random import Random

import pytest
from join_cases import EMITS, MAKERS, values_of
from join_deep import MASS
from join_laws import prove
from join_timelines import as_a_writer_would, timeline

FEW = [
    "interval-outer", "product-hopping-outer", "product-session-outer", "group-tumbling-outer",
    "group-session-left", "asof-left", "lookup-left", "nway", "fold-anew", "aggregate-hopping",
]  # fmt: skip
"""One or two of each sort of join, the kinds that say most."""


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("name", FEW)
def test_a_long_stream_is_said_to_the_letter(name: str, emit: str) -> None:
    """Time goes on over many small keys; sides declared and observed, idle now and then."""
    rng = Random(f"{name} {emit}")
    sides = MAKERS[name]().join.sides
    case = MAKERS[name](emit=emit, lateness=8, grace={sides[0]: 3}, retract_grace=20)
    declared = case.declared | frozenset(sides[-1:])
    items = timeline(rng, sides, values_of(name), declared, MASS, per_key=5, idle=0.002)
    items = as_a_writer_would(items, declared, 20, case.tables)
    prove(f"{name} {emit}", case, items, declared, crash_at=MASS // 2)
