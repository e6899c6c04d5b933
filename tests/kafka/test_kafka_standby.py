"""A worker that follows the tasks of others takes them over without reading their changelogs."""

from __future__ import annotations

from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from streams.engine.settings import EngineSettings
from streams.engine.storing import NoStore, check_store
from tests.engine.stores import needs_rocks
from tests.kafka.world import DEMO, NetSets, Worker, World, until


def following(world: World, state: Path) -> Worker:
    """A worker with its state, and copies of that of others, in a folder of its own."""
    own = {
        "STREAMS_ENGINE__STORE": "rocks",
        "STREAMS_ENGINE__STATE_DIR": str(state),
        "STREAMS_ENGINE__STANDBY_MS": "300",
    }
    return world.worker("--log-format", "json", "--log-level", "debug", **own)


def tasks(worker: Worker) -> dict[str, dict[str, Any]]:
    """The last recovery of each task that a worker took over."""
    worker.said("")
    told = worker.told("task_recovered")
    return {f"{facts['sub_topology']}/{facts['partition']}": facts for facts in told}


def has_all(worker: Worker) -> bool:
    """Whether its copies lacked nothing when it looked at them last, twice."""
    last = worker.told("standby")[-2:]
    return [0, 0] == [facts["records"] for facts in last] and bool(last[-1]["tasks"])


@pytest.mark.kafka
@needs_rocks
def test_a_standby_takes_over_without_reading_changelogs(
    world: World, tmp_path: Path, demo_sets: NetSets
) -> None:
    """Each task of a killed worker begins on the copy: one record is read of each, no more.

    ::

        first    |-- half of the tasks --------------------x SIGKILL
        second   |-- the other half, copies of the first's |-- all tasks ------>
    """
    first = following(world, tmp_path / "first")
    until("it has all", lambda: len(tasks(first)) > 0)
    second = following(world, tmp_path / "second")
    until("they share the work", lambda: world.shared_by(2))
    world.play(DEMO).finish(120)
    world.settle()
    until("the copies lack nothing", lambda: has_all(second))
    before = tasks(second)
    first.end(SIGKILL)
    whole = len(world.topology.subs) * world.settings.partitions
    until("it has the rest", lambda: len(tasks(second)) == whole, 120)
    taken = {name: facts for name, facts in tasks(second).items() if name not in before}
    assert len(taken) == whole - len(before)
    assert 0 < sum(facts["entries"] for facts in taken.values())
    assert all(facts["replayed"] <= 1 for facts in taken.values()), taken
    assert [] == [f for f in second.told("state_rebuilt") if f["why"] != "nothing was there"]
    assert 0 == second.end()
    world.check_exact(demo_sets)


def test_copies_need_a_store_on_disk() -> None:
    """State in memory has no copy to begin on."""
    with pytest.raises(NoStore, match=r"and engine\.store is memory"):
        check_store(EngineSettings(standby_ms=1000))
