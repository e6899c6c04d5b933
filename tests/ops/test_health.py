"""Liveness, readiness and metrics of a real worker on a real Kafka."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from streams.broker import EmbeddedBroker
from streams.ops.metrics import DISPOSITIONS, FAMILIES
from streams.topics import SOURCES
from tests.kafka.world import DEMO, World, until
from tests.ops.asking import get, health, metrics, total
from tests.ops.own import streams

pytestmark = pytest.mark.kafka

HEALTH = ("--health", "127.0.0.1:0")


def test_ready_follows_the_tasks_and_the_broker(world: World, broker: EmbeddedBroker) -> None:
    """Not ready before the tasks are recovered nor while the broker is away; alive all the time.

    ::

        broker   |---------------------x            |------------->
        livez      200 ............................................
        readyz     503  | 200 .........| 503 ...........| 200 .....
    """
    worker = world.worker(*HEALTH)
    status, checks = health(worker, "/readyz")
    assert (503, False) == (status, checks["recovered"]["ok"])
    assert 200 == health(worker, "/livez")[0]
    until("it is ready", lambda: health(worker, "/readyz")[0] == 200)
    broker.kill()
    until("it is not ready", lambda: health(worker, "/readyz")[0] == 503)
    status, checks = health(worker, "/readyz")
    assert {"ok": False, "detail": "does not answer"} == checks["broker"]
    assert 200 == health(worker, "/livez")[0]
    broker.start()
    until("it is ready again", lambda: health(worker, "/readyz")[0] == 200)
    text = worker.log.read_text()
    assert (1, 1) == (text.count('"broker_away"'), text.count('"broker_back"'))
    assert 0 == worker.end()


def test_metrics_are_the_truth_and_are_all_declared(world: World) -> None:
    """After the demo's input counts balance, equal the checkpoints', and nothing is left."""
    worker = world.worker(*HEALTH)
    until("it is ready", lambda: health(worker, "/readyz")[0] == 200)
    world.play(DEMO).finish()
    world.settle()
    until("the ends are known", lambda: total(metrics(worker), "streams_lag_records") == 0)
    found = metrics(worker)
    counts = world.standing.counts()
    for topic in SOURCES:
        read = total(found, "streams_records_read_total", topic=topic.name)
        parts = [
            total(found, "streams_records_total", topic=topic.name, disposition=name)
            for name in DISPOSITIONS
        ]
        assert (counts[topic.name].read, read) == (read, sum(parts))
    tasks = len(world.topology.subs) * world.settings.partitions
    assert tasks == total(found, "streams_tasks", state="running")
    assert (1, 1) == (total(found, "streams_broker_up"), total(found, "streams_worker_ready"))
    assert tasks == total(found, "streams_tasks_recovered_total")
    assert total(found, "streams_state_entries") > 100
    assert total(found, "process_resident_memory_bytes") > 10_000_000
    declared = {family.name: set(family.labels) for family in FAMILIES}
    for name, labels in found:
        if name.startswith("streams_"):
            own = dict(labels).keys() - {"le"}
            assert own == declared[name.removesuffix("_bucket").removesuffix("_count")
                                   .removesuffix("_sum")], name  # fmt: skip


@pytest.mark.parametrize("world", [1], indirect=True)
def test_a_spare_worker_is_ready(world: World) -> None:
    """A worker for which no partition is left has nothing to recover, and is ready."""
    workers = [world.worker(*HEALTH) for _ in range(world.settings.partitions + 1)]
    for worker in workers:
        until("it is ready", lambda w=worker: health(w, "/readyz")[0] == 200)


def test_an_address_that_is_taken_is_said(world: World, tmp_path: Path) -> None:
    """A port in use, and what is no address, end the worker before it joins anything."""
    until("workers of other tests are gone", lambda: not world.members())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = streams(world, tmp_path, "worker", "--health", f"127.0.0.1:{port}")
    assert (2, True) == (ended.returncode, "error: cannot listen at 127.0.0.1:" in ended.stderr)
    ended = streams(world, tmp_path, "worker", "--health", "8080")
    assert (6, True) == (ended.returncode, "write 127.0.0.1:8080" in ended.stderr)
    assert [] == world.shares()


def test_prometheus_may_ask_for_its_own_form(world: World) -> None:
    """The text form is the default; other paths are not there."""
    worker = world.worker(*HEALTH)
    assert "# HELP streams_records_total" in get(worker, "/metrics")[1].replace("_total_", "_")
    assert 404 == get(worker, "/")[0]
