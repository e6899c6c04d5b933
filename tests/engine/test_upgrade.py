"""State of an older version of a step: upgraded as declared, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import pytest

from streams.engine.position import OtherVersion
from streams.engine.step import Batch, Emit, Step, Upgrade
from streams.engine.stores import Scope, TaskStore
from streams.engine.task import Task
from streams.engine.upgrade import UpgradeFailed, upgrade
from streams.testing import TopologyDriver
from tests.engine.world import DECLARED, SETTINGS, at

DUE = 10**15
Store = Literal["memory", "rocks"]


def count(batch: Batch, state: Scope, emit: Emit) -> None:
    """Version 1 keeps a number, in an entry and in a plain table."""
    for event in batch:
        state.put(("n", event.key), (state.get(("n", event.key)) or 0) + 1, DUE)
        state.table("plain")[event.key] = (state.table("plain").get(event.key) or 0) + 1


def listed(key: Any, value: Any) -> Any:
    """Version 2 keeps it in a list."""
    return [value]


def doubled(key: Any, value: Any) -> Any:
    """Version 3 keeps twice as much of it, and nothing of the plain table."""
    return None if key[0] == "plain" else [value[0] * 2]


def step(version: int, upgrades: Mapping[int, Upgrade] | None = None) -> Step:
    """The step of one version."""
    return Step("count", (DECLARED,), (), count, version=version, upgrades=upgrades or {})


def counted() -> TopologyDriver:
    """Version 1, with five records behind a checkpoint."""
    world = TopologyDriver(step(1), SETTINGS, partitions=1)
    for second in range(5):
        at(world, second, second, topic=DECLARED)
    world.run()
    return world


def taken_over(
    world: TopologyDriver, version: int, upgrades: Mapping[int, Upgrade], store: Store = "memory"
) -> TopologyDriver:
    """Another version of the step begins on the changelog of this one."""
    newer = TopologyDriver(step(version, upgrades), SETTINGS, partitions=1, store=store)
    newer._changelogs, newer.log = world._changelogs, world.log
    newer.crash()
    return newer


def only(world: TopologyDriver) -> Task:
    """Its one task."""
    (task,) = world.tasks.values()
    return task


def content(world: TopologyDriver) -> tuple[dict[Any, Any], dict[Any, Any], dict[Any, int]]:
    """Entries, plain entries, due times."""
    scope = only(world).store.scope("count")
    return dict(scope.scan(())), dict(scope.table("plain").items()), scope.dump().dues


@pytest.mark.parametrize("store", ["memory", "rocks"])
@pytest.mark.parametrize(("version", "factor"), [(2, 1), (3, 2)])
def test_the_functions_of_all_versions_between_are_applied(
    version: int, factor: int, store: Store
) -> None:
    """Version 1 to 3 is 1 to 2, then 2 to 3; due times stay, all of it waits for a checkpoint."""
    before, plain, dues = content(old := counted())
    assert [1] * 5 == sorted(before.values()) == sorted(plain.values())
    newer = taken_over(old, version, {1: listed, 2: doubled}, store)
    kept = {} if version == 3 else {key: [value] for key, value in plain.items()}
    expected = ({key: [value * factor] for key, value in before.items()}, kept, dues)
    assert expected == content(newer)
    assert only(newer).dirty
    newer.checkpoint()
    assert not only(newer).dirty
    assert expected == content(taken_over(newer, version, {}, store))  # nothing is left to do


def test_a_crash_before_the_next_checkpoint_does_it_again() -> None:
    """Until everything is committed together, the changelog is of the old version.

    ::

        changelog  1 1 1 position(1)                       2 2 2 position(2)
        task                         upgrade  x  upgrade --'
    """
    before, plain, dues = content(old := counted())
    newer = taken_over(old, 2, {1: listed})
    newer.crash()
    assert {key: [value] for key, value in before.items()} == content(newer)[0]
    back = taken_over(newer, 1, {})
    assert (before, plain, dues) == content(back)


@pytest.mark.parametrize(
    ("version", "upgrades"), [(2, {}), (3, {1: listed}), (3, {2: doubled}), (2, {2: listed})]
)
def test_a_gap_in_the_upgrades_is_refused(version: int, upgrades: dict[int, Upgrade]) -> None:
    """Every version on the way needs its function; the message names `streams replay`."""
    with pytest.raises(OtherVersion, match=r"of version 1, .* version \d: .*streams replay"):
        taken_over(counted(), version, upgrades)


def test_state_of_a_newer_version_is_refused() -> None:
    """There is no way back."""
    newer = taken_over(counted(), 2, {1: listed})
    newer.checkpoint()
    with pytest.raises(OtherVersion, match="of version 2, the code of version 1"):
        taken_over(newer, 1, {1: listed})


def test_a_function_that_fails_changes_nothing() -> None:
    """The step and the version are named."""

    def bad(key: Any, value: Any) -> Any:
        return value // 0 if key[1] == "b" else [value]

    store = TaskStore()
    scope = store.scope("count")
    scope.put(("n", "a"), 1)
    scope.put(("n", "b"), 2)
    store.settle()
    with pytest.raises(UpgradeFailed, match="step count, state of version 1: ZeroDivisionError"):
        upgrade(store, step(2, {1: bad}), 1)
    assert {("n", "a"): 1, ("n", "b"): 2} == dict(scope.scan(()))
