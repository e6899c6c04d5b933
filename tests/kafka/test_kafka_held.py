"""A transaction that nobody ends holds its readers: who it is, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from streams.engine.mover import EXIT_STALLED
from streams.topics import blocks
from tests.kafka.world import DEMO, Busy, NetSets, Worker, World, until
from tests.ops.asking import health, metrics, total
from tests.ops.own import streams

pytestmark = pytest.mark.kafka

SOON = {"STREAMS_ENGINE__HELD_MS": "2000"}
"""Two seconds are long enough to speak of."""
PATIENT = {"STREAMS_ENGINE__STALL_MS": "120000"}
FAR_S = 600
LONG_S = 180


def listed(world: World, folder: Path) -> dict[str, dict[str, Any]]:
    """What ``streams transactions ls --json`` shows, by transactional id."""
    ended = streams(world, folder, "transactions", "ls", "--json")
    assert 0 == ended.returncode, ended.stderr
    return {row["transactional_id"]: row for row in json.loads(ended.stdout)}


def told(worker: Worker, event: str) -> list[dict[str, Any]]:
    """What a worker that lives has said of one event about blocks."""
    worker.said(event)
    return [facts for facts in worker.told(event) if facts["topic"] == blocks.name]


@pytest.fixture
def stranger(world: World) -> Iterator[Producer]:
    """Somebody else's producer that has written to every input partition of blocks, and stops."""
    own = {"transactional.id": "billing-7", "transaction.timeout.ms": FAR_S * 1000, "log_level": 0}
    producer = Producer({"bootstrap.servers": world.bootstrap, **own})
    producer.init_transactions(30)
    producer.begin_transaction()
    for partition in range(world.settings.partitions):
        producer.produce(blocks.name, b"never to be read", partition=partition)
    assert 0 == producer.flush(10)
    yield producer
    producer.purge()


def test_a_stranger_who_hangs_is_named_and_shut_out(
    world: World, stranger: Producer, demo_sets: NetSets, tmp_path: Path
) -> None:
    """The worker waits and says for whom; an abort by hand, and results are as if never held.

    ::

        stranger  --begin----------------------- (hangs) ----------x fenced
        input     ------- demo ----------|
        worker    ------- before it -----| waits, names it ........|--- exact --->
        operator                                            abort--|
    """
    worker = world.worker("--health", "127.0.0.1:0", "--log-format", "json", **SOON, **PATIENT)
    world.play(DEMO).finish()
    count = world.settings.partitions
    until("it says who", lambda: len(told(worker, "held_by_transaction")) >= count, LONG_S)
    facts = told(worker, "held_by_transaction")
    assert {("billing-7", "Ongoing", FAR_S, "streams transactions abort billing-7")} == {
        (f["transactional_id"], f["state"], f["timeout_s"], f["remedy"]) for f in facts
    }
    found = metrics(worker)
    assert total(found, "streams_unstable_records", topic=blocks.name) >= count
    assert total(found, "streams_input_held_seconds", topic=blocks.name, by="billing-7") > 2
    status, checks = health(worker, "/readyz")
    assert (200, True) == (status, "transaction of billing-7" in checks["inputs"]["detail"])
    assert [f"{blocks.name}/{n}" for n in range(count)] == listed(world, tmp_path)["billing-7"][
        "partitions"
    ]
    lag = json.loads(streams(world, tmp_path, "lag", "--json").stdout)["transactions"]
    assert {("billing-7", None, "Ongoing")} == {
        (t["transactional_id"], t["writer"], t["state"]) for t in lag if t["topic"] == blocks.name
    }
    ended = streams(world, tmp_path, "transactions", "abort", "billing-7")
    assert (0, "1 transaction aborted\n") == (ended.returncode, ended.stderr)
    world.settle(LONG_S)
    until("it says so", lambda: len(told(worker, "transaction_over")) >= count)
    assert "billing-7" not in listed(world, tmp_path)
    with pytest.raises(KafkaException) as refused:
        stranger.commit_transaction(10)
    assert KafkaError._FENCED == refused.value.args[0].code()
    assert 0 == worker.end()
    world.check_exact(demo_sets)


def test_who_is_not_there_cannot_be_ended(world: World, tmp_path: Path) -> None:
    """A name without an open transaction is refused, and nobody is fenced by mistake."""
    ended = streams(world, tmp_path, "transactions", "abort", "nobody")
    assert (2, 2) == (ended.returncode, ended.stderr.count("\n"))
    assert "nobody has no open transaction" in ended.stderr


def test_a_worker_that_hangs_itself_names_itself_and_ends(
    world: World, busy: Busy, tmp_path: Path
) -> None:
    """One whose commit hangs holds its own tasks: it says so, ends, and the next one undoes it.

    ::

        first   ----- commit hangs, held_by_transaction: itself --x 13
        second                                                     |-fence--- exact --->
    """
    player = world.play(busy.recording, speed=busy.slow)
    fault = {
        "STREAMS_TEST_FAULT": "hang@before:commit#30",
        "STREAMS_ENGINE__STALL_MS": "25000",
        "STREAMS_ENGINE__TRANSACTION_TIMEOUT_MS": "60000",
    }
    worker = world.worker("--log-format", "json", **SOON, **fault)
    until("it hangs", lambda: worker.said("hang before commit"), LONG_S)
    assert EXIT_STALLED == worker.process.wait(60)
    assert "nothing was checkpointed for" in worker.log.read_text()
    left = listed(world, tmp_path)
    ids = {
        world.settings.transactional_id(sub.name, n)
        for sub in world.topology.subs
        for n in range(world.settings.partitions)
    }
    ours = left.keys() - {f"{world.settings.application}-source-player"}
    assert ours
    assert ours <= ids
    named = {f["transactional_id"] for f in worker.told("held_by_transaction")}
    assert named <= left.keys(), named
    world.worker("--wait", "60", **PATIENT)
    until("it is ended", lambda: not left.keys() & listed(world, tmp_path).keys(), LONG_S)
    player.finish(LONG_S)
    world.settle(LONG_S)
    world.check_exact(busy.sets)
