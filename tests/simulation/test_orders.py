"""All orders of a small bound: whatever may happen happens at every point of a short run."""

from __future__ import annotations

import os
import re

import pytest

from streams.engine.stages import CHECKPOINT, TAKEOVER
from tests.simulation.running import listed
from tests.simulation.schemes import RIGHT, ROCKS, Scheme
from tests.simulation.world import Size
from tests.simulation.wrong import WRONG

DEEP = os.environ.get("STREAMS_DEEP") == "1"
SHORT = Size(records=4, tasks=1, machines=2, chaos=400)
LOST = ("an answer is lost", "the request is lost", "a record is refused")
ALL = frozenset({"crash", "group", "freeze", "expire", "clean", "beside", "power", "day", *LOST})
BY_NAME = {scheme.name: scheme for scheme in WRONG}


def _play(deviations: int, kinds: frozenset[str], scheme: Scheme, most: int) -> list[str]:
    """The traces of all runs; fails where one is wrong."""
    traces: list[str] = []
    for choices, verdict in listed(deviations, kinds, SHORT, scheme):
        text = "\n".join(verdict.trace)
        assert not verdict.violation, f"{text}\n{verdict.violation}\nchoices: {choices}"
        traces.append(text)
        if len(traces) == most:
            break
    return traces


@pytest.mark.parametrize("scheme", [RIGHT, ROCKS], ids=lambda scheme: scheme.name)
def test_a_worker_is_killed_at_every_point(scheme: Scheme) -> None:
    """Before and after every stage, and while something is on its way, a kill leaves no trace."""
    traces = _play(1, frozenset({"crash"}), scheme, 10_000)
    points = {match[1] for text in traces for match in re.finditer(r"\.\.\. (.+)\n.*killed", text)}
    both = (*TAKEOVER, *CHECKPOINT)
    stages = [f"{when} {stage}" for stage in both for when in ("before", "after")]
    assert set() == {*stages, "write", "ask for the commit", "answer to the commit"} - points
    assert len(traces) > 100


@pytest.mark.parametrize("scheme", [RIGHT, ROCKS], ids=lambda scheme: scheme.name)
def test_any_one_thing_happens_at_every_point(scheme: Scheme) -> None:
    """A task that moves, a worker that freezes, a timeout, a lost answer, a refusal, a cleaning."""
    assert len(_play(1, ALL, scheme, 10_000)) > 300


def test_two_owners_at_every_two_points() -> None:
    """The task goes to the other worker at any point, and back, or on, at any later one.

    ::

        first worker   |-------|......|----------|
        second worker          |------|..........|-------|
                               any    any point
    """
    _play(2, frozenset({"group"}), RIGHT, 100_000 if DEEP else 400)


@pytest.mark.parametrize("scheme", [RIGHT, ROCKS], ids=lambda scheme: scheme.name)
def test_any_two_things_happen_at_any_two_points(scheme: Scheme) -> None:
    """The same with any two of them; the first hundred orders, all with ``STREAMS_DEEP=1``."""
    _play(2, ALL, scheme, 100_000 if DEEP else 100)


@pytest.mark.parametrize("name", ["position-after-transaction", "outputs-before-state"])
def test_one_kill_finds_a_checkpoint_that_is_not_atomic(name: str) -> None:
    """One of the points between its parts is enough."""
    verdicts = [v for _, v in listed(1, frozenset({"crash"}), SHORT, BY_NAME[name])]
    assert any(v.violation for v in verdicts)
