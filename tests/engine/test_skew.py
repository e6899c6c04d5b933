"""Inputs that are too far ahead wait for the others (``max_skew``)."""

from __future__ import annotations

import msgspec

from tests.engine.world import (
    DECLARED,
    OBSERVED,
    OTHER,
    SETTINGS,
    T0,
    at,
    driver,
    subjects,
)

FIRST = ("by_txid", 0)


SKEW = msgspec.structs.replace(SETTINGS, max_skew_ms=100)


def test_an_input_too_far_ahead_waits_until_the_others_caught_up() -> None:
    """Nothing is paused before time has begun; a paused input is read on from where it stood.

    ::

        DECLARED:  0 ... 101 | 3, 4, 5 wait      | read
        OTHER:     0         |               50  |
    """
    world = driver(DECLARED, OTHER, settings=SKEW)
    task = world.tasks[FIRST]
    world.declare(DECLARED, T0 + 1000, "w")
    assert set() == task.ahead()
    world.declare(OTHER, T0 + 900, "v")
    assert set() == task.ahead()
    world.declare(DECLARED, T0 + 1001, "w")
    assert {DECLARED.name} == task.ahead()
    for number in (3, 4, 5):
        at(world, 1001, number, topic=DECLARED, writer="w")
    assert [] == subjects(world)
    world.declare(OTHER, T0 + 901, "v")
    assert set() == task.ahead()
    world.run()
    assert [3, 4, 5] == subjects(world)


def test_the_input_that_holds_the_others_back_is_never_paused() -> None:
    """So a task cannot wait for ever: the slowest of its inputs is always read."""
    world = driver(DECLARED, OTHER, OBSERVED, settings=SKEW)
    task = world.tasks[FIRST]
    world.declare(DECLARED, T0 + 10_000, "w")
    world.declare(OTHER, T0 + 5_000, "v")
    at(world, 10_000, 1)
    world.declare(OTHER, T0 + 5_001, "v")
    assert {DECLARED.name, OBSERVED.name} == task.ahead()


def test_an_idle_input_makes_no_other_wait() -> None:
    """Time goes on without it."""
    world = driver(DECLARED, OTHER, settings=SKEW)
    world.declare(OTHER, T0, "v")
    world.declare(DECLARED, T0 + 50, "w")
    world.declare(OTHER, None, "v")
    world.declare(DECLARED, T0 + 9_000, "w")
    assert set() == world.tasks[FIRST].ahead()


def test_observed_inputs_wait_as_well() -> None:
    """A fast backfill of an open topic does not fill the state."""
    world = driver(OBSERVED, DECLARED, settings=SKEW)
    world.declare(DECLARED, T0, "w")
    at(world, 0, 1)
    at(world, 500, 2)
    at(world, 501, 3)
    assert [1, 2] == subjects(world)
    world.declare(DECLARED, T0 + 400, "w")
    world.run()
    assert [1, 2, 3] == subjects(world)


def test_nobody_waits_when_all_are_idle() -> None:
    """There is no time to wait for: the first to speak again is heard, however far ahead it was.

    ::

        OBSERVED:  500 (W_p 490)   idle          501, read
        DECLARED:  0                     idle
    """
    world = driver(OBSERVED, DECLARED, settings=SKEW)
    world.declare(DECLARED, T0, "w")
    at(world, 500, 1)
    at(world, 501, 2)
    assert [1] == subjects(world)
    world.idle(OBSERVED)
    assert {OBSERVED.name} == world.tasks[FIRST].ahead()
    world.declare(DECLARED, None, "w")
    assert [1, 2] == subjects(world)
