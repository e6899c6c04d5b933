"""``streams replay`` on a real Kafka: beside what runs, killed, gone on with, switched to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL

import pytest
from msgspec.structs import replace

from schemas.envelope import Event
from streams import topics
from streams.broker import EmbeddedBroker
from streams.client import fold
from streams.config import Config, RunSettings
from streams.engine.settings import settings_of
from streams.ops.lag import lag_of
from streams.ops.modules import select
from streams.sources.recording import read_lines
from tests.kafka import grown, shop
from tests.kafka.own import Own, config_of
from tests.kafka.shopping import LAST, Fact, endings, facts, write
from tests.kafka.world import DEMO, ROOT, Busy, World, alternation, differences, story_of, until

pytestmark = pytest.mark.kafka
MODULE = "tests.kafka.shop"
PLAYED_MS = 6000
"""Over which blocks arrive one after the other."""


@pytest.fixture
def alone() -> Iterator[EmbeddedBroker]:
    """A broker of its own: its topics have partition counts of their own."""
    with EmbeddedBroker(extra={"group.min.session.timeout.ms": "1000"}) as running:
        yield running


def streams(world: World, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    own = {"STREAMS_BROKER": world.bootstrap, "STREAMS_CONFIG": str(world.file)}
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "streams", *words],
        capture_output=True, text=True, timeout=300, check=False, cwd=world.folder,
        env={**os.environ, **own, "PYTHONPATH": path},
    )  # fmt: skip


def run_of(config: Config, partitions: int, sources: int) -> Config:
    """The configuration of run v2."""
    return replace(config, partitions=partitions, run=RunSettings("v2", sources))


def later() -> list[Fact]:
    """Payments and visits that meet, after all others."""
    found = []
    for number in range(20):
        for topic, value in (
            (shop.payments, shop.Payment(f"z{number}", "c1", "m1", 100)),
            (shop.visits, shop.Visit(f"z{number}", "c1", "l1")),
        ):
            own = topic.type.event_id(value)
            assert own is not None
            ts = LAST + 100_000 * number
            event = Event(own, "c1", ts, "assert", value, type=topic.type.name)
            found.append(Fact(topic, event))
    return found


def test_four_partitions_become_six_beside_what_runs(alone: EmbeddedBroker, tmp_path: Path) -> None:
    """The net set of every derived topic is the same, id by id, though the replay is killed.

    ::

        original (4)   ==== worker ===================|           | drop
        v2 (6)               start x -9   start ------| switch ---- worker ----
        input          ======           =====                       ===
    """
    own = Own(alone.bootstrap, tmp_path / "shop", config_of("shop", 4), MODULE)
    try:
        own.create()
        written = [*facts(seed=9, count=6000), *endings(4)]
        worker = own.own_worker()
        write(alone.bootstrap, written[:4000])
        plan = streams(
            own, "replay", "plan", "v2", "--partitions", "6", "--module", MODULE, "-o", "json"
        )
        rows = json.loads(plan.stdout)
        assert 4000 == sum(row["records"] for row in rows if row["what"] == "read"), plan
        made = {row["topic"]: row["partitions"] for row in rows if row["what"] == "create"}
        assert 6 == made["v2.shop.totals"] == made["v2.shop.payments"]
        begin = ["replay", "start", "v2", "--partitions", "6", "--module", MODULE, "--within", "0"]
        first = own._start([sys.executable, "-m", "streams", *begin], {})
        until("it works", lambda: first.said("task_recovered"), 90)
        first.end(SIGKILL)
        early = streams(own, "replay", "switch", "v2", "--module", MODULE, "--within", "0", "--yes")
        assert 10 == early.returncode, early
        assert "has not caught up" in early.stderr
        write(alone.bootstrap, written[4000:])
        second = own._start([sys.executable, "-m", "streams", *begin], {})
        assert 0 == second.process.wait(180), second.log.read_text()[-3000:]
        own.settle_own()
        _check_equal(own)
        switched = streams(own, "replay", "switch", "v2", "--module", MODULE, "--yes")
        assert 0 == switched.returncode, switched
        assert 0 == worker.end()
        _check_current(own)
        dropped = streams(own, "replay", "drop", "original", "--module", MODULE, "--yes")
        assert 0 == dropped.returncode, dropped
        left = {name for name in own.admin.partitions() if "shop." in name}
        assert {t.name for t in shop.SOURCES} | {
            f"v2.{t.name}" for t in (*shop.SOURCES, *shop.DERIVED)
        } == left
    finally:
        own.close()


def _check_equal(own: Own) -> None:
    """The original and v2 say the same, each alternating by id."""
    there = [replace(topic, name=f"v2.{topic.name}") for topic in shop.DERIVED]
    for topic, reads in own.read_each(there).items():
        assert [] == alternation(reads), topic
    expected, found = own.sets(shop.DERIVED), own.sets(there)
    for topic in shop.DERIVED:
        assert expected[topic.name], topic.name
        assert expected[topic.name] == found[f"v2.{topic.name}"], topic.name
    assert [] == own.read(topics.late_records) + own.read(topics.dead_letters)
    assert 6 == own.admin.partitions()["v2.shop.totals"]


def _check_current(own: Own) -> None:
    """Who starts now takes v2: a worker, `status`, and `consume`."""
    worker = own.own_worker("--log-format", "json", "--wait", "20")
    until("it has tasks", lambda: worker.said("task_recovered"), 90)
    assert "shop-v2.tests_kafka_shop" == worker.told("worker")[0]["application"]
    write(own.bootstrap, later())
    config = run_of(own.config, 6, 4)
    selection, settings = select(config, MODULE), settings_of(config, own.bootstrap)

    def done() -> bool:
        return all(row.lag == 0 for row in lag_of(selection, settings).inputs)

    until("v2 is read to its end", done, 120)
    paid = replace(shop.paid, name="v2.shop.paid")
    orders = {v.order for v in own.sets([paid])[paid.name].values()}
    assert {f"z{n}" for n in range(20)} <= orders
    (row,) = json.loads(streams(own, "replay", "status", "--json").stdout)
    assert ("v2", True, True, 6) == (
        row["run"],
        row["current"],
        row["caught_up"],
        row["partitions"],
    )
    read = ("consume", "shop.paid", "--module", MODULE, "--from-beginning", "--until-end")
    lines = streams(own, *read, "--output", "ndjson").stdout.splitlines()
    assert any('"z19"' in line for line in lines)


@pytest.mark.timeout(900)
def test_the_main_job_is_made_anew_from_the_beginning(
    alone: EmbeddedBroker, tmp_path: Path, busy: Busy
) -> None:
    """The recorded input, read by a second application: every derived topic is the same."""
    config = replace(story_of(busy.recording, stall_ms=120_000), partitions=2)
    world = World(alone.bootstrap, tmp_path, config)
    try:
        world.admin.apply(world.topology)
        worker = world.worker()
        world.play(busy.recording).finish()
        world.settle(180)
        begun = streams(world, "replay", "start", "v2", "--from-beginning", "--within", "0")
        assert 0 == begun.returncode, begun.stderr[-3000:]
        assert "has caught up" in begun.stderr
        derived = [replace(topic, name=f"v2.{topic.name}") for topic in topics.DERIVED]
        for name, reads in world.read_each(derived).items():
            assert [] == alternation(reads), name
            wrong = differences(busy.sets[name.removeprefix("v2.")], fold(reads))
            assert not wrong, f"{name}: {len(wrong)} rows differ, among them {wrong[:3]}"
        assert 0 == worker.end()
        _check_followed(world)
    finally:
        world.close()


def _check_followed(world: World) -> None:
    """What looks after topics follows the switch, and the original stays dropped."""
    for words in (("switch", "v2"), ("drop", "original")):
        done = streams(world, "replay", *words, "--yes")
        assert 0 == done.returncode, done.stderr
    left = world.admin.partitions().keys()
    assert not left & {topic.name for topic in topics.DERIVED}
    plan = json.loads(streams(world, "topics", "plan", "-o", "json").stdout)
    assert {"ok"} == {row["state"] for row in plan}
    assert {"v2.alerts", "bitcoin.blocks"} <= {row["topic"] for row in plan}
    assert "0 topics changed" in streams(world, "topics", "apply").stderr
    assert left == world.admin.partitions().keys()
    doctor = json.loads(streams(world, "doctor", "-o", "json").stdout)
    assert [f"{len(plan)} topics as planned"] == [
        row["found"] for row in doctor if row["check"] == "topics"
    ]
    sourced = streams(world, "source", "recording", str(DEMO))
    assert 0 == sourced.returncode, sourced.stderr
    live = json.loads(streams(world, "topology", "--format", "json", "--live").stdout)
    named = {row["name"]: row["live"] for row in live["topics"]}
    assert named["v2.ml.features"] is not None


def test_a_replay_may_begin_anywhere_if_it_is_said_to_be_partial(world: World) -> None:
    """At an offset, a time or a height; what lies before is missing, and has to be accepted."""
    own = Own(world.bootstrap, world.folder / "own", config_of("grown", 4), "tests.kafka.grown")
    try:
        own.create()
        written = [f for f in facts(seed=3, count=500) if f.topic is shop.payments]
        write(own.bootstrap, written)
        begin = ["replay", "start", "part", "--module", "tests.kafka.grown", "--within", "0"]
        begin += ["--from-offset", "shop.payments=9"]
        refused = streams(own, *begin)
        assert 2 == refused.returncode, refused
        assert "state would be incomplete" in refused.stderr
        assert "part.grown.spent" not in own.admin.partitions()
        begun = streams(own, *begin, "--partial")
        assert 0 == begun.returncode, begun.stderr[-2000:]
        found = own.read(replace(grown.spent, name="part.grown.spent"))
        causes = {read.event.causation_id for read in found if read.event is not None}
        kept = {
            r.event.id for r in own.read(shop.payments) if r.event is not None and r.offset >= 9
        }
        early = {
            r.event.id for r in own.read(shop.payments) if r.event is not None and r.offset < 9
        }
        assert kept & causes
        assert not (early - kept) & causes
        at = [line.at for line in read_lines(DEMO)]
        world.play(DEMO, speed=(at[-1] - at[0]) / PLAYED_MS).join(60)
        whole, high = (_spans(world, *more) for more in ((), ("--from-height", "118")))
        assert 0 == whole["bitcoin.blocks"]["first"] < high["bitcoin.blocks"]["first"]
        assert whole["bitcoin.blocks"]["records"] > high["bitcoin.blocks"]["records"] > 0
        late = _spans(world, "--from-time", "2100-01-01T00:00Z")
        assert 0 == sum(row["records"] for row in late.values())
        unknown = streams(world, "replay", "plan", "v3", "--from-height", "10000000")
        assert "has no block of height" in unknown.stderr
    finally:
        own.close()


def _spans(world: World, *more: str) -> dict[str, dict[str, int]]:
    """By source, what `plan` says is to be read."""
    done = streams(world, "replay", "plan", "v3", *more, "-o", "json")
    assert 0 == done.returncode, done.stderr
    return {row["topic"]: row for row in json.loads(done.stdout) if row["what"] == "read"}
