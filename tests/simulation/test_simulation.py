"""The protocol in every order that a seed finds: nothing is lost, doubled or wrong."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace

import pytest

from tests.simulation.plain import CLAIMED, PLAIN
from tests.simulation.plan import WEIGHTS
from tests.simulation.running import seeded
from tests.simulation.schemes import RIGHT, ROCKS, Scheme
from tests.simulation.wrong import WRONG

DEEP = os.environ.get("STREAMS_DEEP") == "1"
BLOCKS, RUNS = (100, 500) if DEEP else (5, 150)


@pytest.mark.parametrize("block", range(BLOCKS))
@pytest.mark.parametrize("scheme", [RIGHT, ROCKS, CLAIMED], ids=lambda scheme: scheme.name)
def test_the_protocol_is_exact(scheme: Scheme, block: int) -> None:
    """Two workers, killed, frozen, robbed of their tasks, over a broker that cleans and times out.

    Results are those of an undisturbed run, state is that of the position at every take-over, and
    an end is reached. A seed that fails is played again by the command that the failure names.
    """
    happened: Counter[str] = Counter()
    for seed in range(block * RUNS, (block + 1) * RUNS):
        found = seeded(seed, scheme)
        if found.violation:
            again = f"python -m tests.simulation --seed {seed} --scheme {scheme.name}"
            pytest.fail("\n".join([*found.trace[-80:], found.violation, again]))
        happened.update(found.kinds)
    transactional = {"mark", "expire", "send", "wire", "clean", "day"}
    possible = WEIGHTS.keys() if scheme is not CLAIMED else WEIGHTS.keys() - transactional
    assert set() == possible - happened.keys()


@pytest.mark.parametrize("scheme", WRONG, ids=lambda scheme: scheme.name)
def test_a_protocol_that_is_wrong_is_found_out(scheme: Scheme) -> None:
    """A simulation that finds nothing wrong with these would prove nothing about ours."""
    for seed in range(scheme.runs):
        if seeded(seed, scheme).violation:
            return
    pytest.fail(f"{scheme.runs} runs, and nothing is wrong with {scheme.name}: {scheme.why}")


@pytest.mark.parametrize("scheme", PLAIN[-3:], ids=lambda scheme: scheme.name)
def test_only_compaction_breaks_what_a_claim_protects(scheme: Scheme) -> None:
    """Without it nothing is wrong with these: it is the late record's place in the log."""
    alone = replace(scheme, compacted=False)
    assert [] == [seed for seed in range(100) if seeded(seed, alone).violation]


def test_a_run_can_be_played_again() -> None:
    """A seed is a run: the same happens in the same order."""
    assert seeded(7, ROCKS).trace == seeded(7, ROCKS).trace
    assert seeded(7).trace != seeded(8).trace
