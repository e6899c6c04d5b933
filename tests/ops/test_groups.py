"""Applications and their groups: parts run apart, state moves, and two topologies never meet."""

from __future__ import annotations

from typing import Any

import pytest
import tomli_w
from msgspec.structs import replace

from tests.kafka.test_kafka_broker import refusal
from tests.kafka.world import DEMO, Busy, World, until

pytestmark = pytest.mark.kafka

EXIT_TOPOLOGY = 6


def test_a_deployment_goes_from_one_worker_to_parts_and_back(world: World, busy: Busy) -> None:
    """The state moves with the sub-topologies: results are those of one undisturbed worker.

    ::

        everything         |-----|                         |-------->
        by_txid and others        |-------------------|
        by_address, by_did         |-----------------|
        input                |-----------------------------|
    """
    first = world.worker()
    until("it has tasks", lambda: first.said("task_recovered"))
    player = world.play(busy.recording, speed=busy.slow)
    until("it works", world.works)
    assert 0 == first.end()
    names = [sub.name for sub in world.topology.subs]
    mine = ["by_address", "by_did"]
    parts = [
        world.worker("--only", ",".join(mine)),
        world.worker("--only", ",".join(n for n in names if n not in mine)),
    ]
    for part in parts:
        until("a part works", lambda w=part: w.said("task_recovered"))
    before = world.redo()
    until("both go on", lambda: world.redo() != before)
    refused = world.worker()
    assert "1 members that run" in refusal(refused, EXIT_TOPOLOGY)
    assert [0, 0] == [part.end() for part in parts]
    last = world.worker()
    player.finish()
    world.settle()
    assert 0 == last.end()
    world.check_exact(busy.sets)


def test_another_topology_in_the_group_is_refused(world: World) -> None:
    """A worker of another generation ends with code 6, or waits until the others have left."""
    first = world.worker()
    until("the first works", lambda: first.said("task_recovered"))
    tables: dict[str, Any] = {"engine": {"session_timeout_ms": 2000, "generation": 1}}
    world.file.write_text(tomli_w.dumps(tables))
    for refused in (world.worker(), world.faust_worker()):
        said = refusal(refused, EXIT_TOPOLOGY)
        assert "1 members of group streams run another topology than this one" in said
        assert "stop them first" in said
    waiting = world.worker("--wait", "30")
    assert 0 == first.end()
    until("the other one works", lambda: waiting.said("task_recovered"))
    assert 0 == waiting.end()


def test_two_topologies_that_begin_at_once_do_not_both_stay(world: World) -> None:
    """Each saw an empty group; when both are in it, one of them ends with code 6."""
    tables: dict[str, Any] = {"engine": {"session_timeout_ms": 2000, "generation": 1}}
    other = world.folder / "other.toml"
    other.write_text(tomli_w.dumps(tables))
    pair = [world.worker(), world.worker(STREAMS_CONFIG=str(other))]
    until("one has ended", lambda: any(w.process.poll() is not None for w in pair))
    codes = [w.process.poll() for w in pair]
    assert sorted([EXIT_TOPOLOGY, None], key=str) == sorted(codes, key=str)
    stays = pair[codes.index(None)]
    until("the other works", lambda: stays.said("task_recovered"))


def test_state_of_another_version_is_refused_at_start(world: World) -> None:
    """A changelog that another version of a step wrote is named, before anything is consumed."""
    from streams.engine import precheck  # noqa: PLC0415
    from streams.engine.selection import whole  # noqa: PLC0415

    worker = world.worker()
    until("it has tasks", lambda: worker.said("task_recovered"))
    world.play(DEMO).finish()
    until("there is state", lambda: bool(dict(world.standing.positions())))
    assert 0 == worker.end()
    selection = whole(world.topology, world.settings.application)
    precheck.check(selection, world.settings)
    run = tuple(
        replace(sub, steps=tuple(replace(step, version=step.version + 1) for step in sub.steps))
        for sub in selection.run
    )
    with pytest.raises(precheck.WrongState, match=r"holds the state of step .* of version \d"):
        precheck.check(replace(selection, run=run), world.settings)
