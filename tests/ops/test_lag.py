"""``streams lag``: positions from changelogs, what holds time back, transactions that hang."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from msgspec import structs

from schemas.wire import Codec
from streams import topics
from streams.broker import EmbeddedBroker
from streams.engine.writers import Writer, control_headers
from streams.sources.writer import SourceWriter
from tests.kafka.world import DEMO, World, until
from tests.ops.own import streams

pytestmark = pytest.mark.kafka


def lag(world: World, folder: Path, *args: str) -> dict[str, Any]:
    """What ``streams lag --json`` says."""
    ended = streams(world, folder, "lag", "--json", *args)
    assert (0, "") == (ended.returncode, ended.stderr)
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def refused(world: World, folder: Path) -> CompletedProcess[str] | None:
    """How ``streams lag`` ended, if it was refused."""
    ended = streams(world, folder, "lag")
    return ended if ended.returncode else None


@pytest.fixture(autouse=True)
def _seen(world: World, tmp_path: Path) -> None:
    """A broker shows a new client new topics a moment later than the one that made them."""
    until("topics are seen", lambda: refused(world, tmp_path) is None)


def test_lag_needs_no_worker(world: World, tmp_path: Path) -> None:
    """Before the first start all is 0 and undeclared; afterwards it is what was not yet read.

    ::

        worker      |----------|
        input          |----|      |----|
        lag       ?               ?      ?
    """
    inputs = lag(world, tmp_path)["inputs"]
    assert (0, {None}) == (sum(r["lag"] for r in inputs), {r["watermark_ms"] for r in inputs})
    waits = {r["topic"]: r["holds"] for r in inputs}
    assert "by_txid has declared nothing" == waits["bitcoin.activity"]
    worker = world.worker()
    until("it has tasks", lambda: worker.said("task_recovered"))
    world.play(DEMO).finish()
    world.settle()
    assert 0 == worker.end()
    found = lag(world, tmp_path)
    inputs, tasks = found["inputs"], found["tasks"]
    assert 0 == sum(row["lag"] for row in inputs)
    assert {b.topic: b.position for b in world.standing.behind() if b.partition == 0} == {
        r["topic"]: r["position"] for r in inputs if r["partition"] == 0
    }
    assert all(r["watermark_ms"] for r in inputs if r["topic"] == "bitcoin.activity")
    assert {(0, False)} == {(r["late_retracts"], r["paused"]) for r in inputs}
    ends = [task for task in tasks if task["sub_topology"] == "by_address"]
    assert [t["watermark_ms"] for t in ends] == [t["declared_ms"] for t in ends]
    assert {0.0} == {task["delay_s"] for task in ends}
    world.play(DEMO).finish()
    again = lag(world, tmp_path)["inputs"]
    behind = {r["topic"] for r in again if r["lag"]}
    assert {"bitcoin.blocks", "bitcoin.mempool"} <= behind <= {t.name for t in topics.SOURCES}


def test_a_part_and_a_table(world: World, tmp_path: Path) -> None:
    """``--only`` shows a part; the table has a row an input partition, a row a task, and a sum."""
    found = lag(world, tmp_path, "--only", "join_entities")
    rows, tasks = found["inputs"], found["tasks"]
    assert {"by_address"} == {row["sub_topology"] for row in (*rows, *tasks)}
    ended = streams(world, tmp_path, "lag", "--only", "join_entities")
    above, below = ended.stdout.split("\ntasks\n")
    assert (len(rows), len(tasks)) == (len(above.splitlines()) - 1, len(below.splitlines()) - 1)
    assert world.settings.partitions == len(tasks)
    assert f"0 offsets behind in {len(rows)} input partitions" in ended.stderr


def test_an_open_transaction_is_named(world: World, tmp_path: Path) -> None:
    """A transaction that nobody ends is shown with its age, its writer and transactional id."""
    assert [] == lag(world, tmp_path)["transactions"]
    long = structs.replace(world.settings, transaction_timeout_ms=300_000)
    writer = SourceWriter("stuck", topics.SOURCES, long, Codec())
    writer.open()
    producer = writer.tx.producer
    assert producer is not None
    producer.begin_transaction()
    headers = control_headers(Writer("source:stuck", 0, 0, 1), 5)
    producer.produce(topics.blocks.name, None, None, 0, headers=headers)
    producer.flush(10)
    found = until("it is seen", lambda: lag(world, tmp_path)["transactions"])
    assert [("bitcoin.blocks", 0, "source:stuck/0/0/1", "streams-source-stuck", False)] == [
        (t["topic"], t["partition"], t["writer"], t["transactional_id"], t["hung"]) for t in found
    ]
    row = next(
        r for r in lag(world, tmp_path)["inputs"]
        if (r["topic"], r["partition"]) == ("bitcoin.blocks", 0)
    )  # fmt: skip
    assert 1 == row["open"]
    producer.abort_transaction(10)
    until("it is over", lambda: not lag(world, tmp_path)["transactions"])


def test_lag_without_topics_or_broker(world: World, broker: EmbeddedBroker, tmp_path: Path) -> None:
    """What is missing is said, with the code of its kind and no traceback."""
    world.delete_topics(["alerts"])
    ended = until("everybody sees it", lambda: refused(world, tmp_path))
    assert (7, True) == (ended.returncode, "streams topics apply" in ended.stderr)
    world.bootstrap = "127.0.0.1:9"
    ended = streams(world, tmp_path, "lag")
    assert (4, 2) == (ended.returncode, ended.stderr.count("\n"))
