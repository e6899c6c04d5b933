"""Brokers whose settings bear on exactly-once delivery: what doctor and a worker say of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from msgspec import structs

from streams.broker import BrokerError, EmbeddedBroker
from streams.engine.mover import EXIT_MOVER
from streams.engine.unable import unable
from streams.ops.cluster import Cluster, findings, look
from streams.tuning import EngineTuning
from tests.kafka.world import DEMO, World, story_of
from tests.ops.own import streams

SOUND = Cluster(
    3,
    {
        "transaction.state.log.replication.factor": "3",
        "transaction.state.log.min.isr": "2",
        "offsets.topic.replication.factor": "3",
        "min.insync.replicas": "1",
        "transaction.max.timeout.ms": "900000",
    },
    {"__transaction_state": 3, "__consumer_offsets": 3},
    frozenset(range(70)),
)


OURS_MS = EngineTuning().transaction_timeout_ms
REMEDY = "transaction.max.timeout.ms=10000"


def states(cluster: Cluster) -> dict[str, str]:
    """State by check."""
    return {said.check: said.state for said in findings(cluster, OURS_MS)}


def with_settings(**changed: str) -> Cluster:
    """The sound one with other settings, whose dots are underscores here."""
    changes = {name.replace("_", "."): value for name, value in changed.items()}
    return SOUND._replace(settings={**SOUND.settings, **changes})


def test_a_sound_cluster_and_a_single_broker_are_fine() -> None:
    """One broker keeps one copy of everything; that is said, and is no fault."""
    alone = SOUND._replace(brokers=1, copies={"__transaction_state": 1, "__consumer_offsets": 1})
    assert ({"ok"}, {"ok"}) == ({*states(SOUND).values()}, {*states(alone).values()})


@pytest.mark.parametrize(
    ("cluster", "check", "state", "remedy"),
    [
        (
            SOUND._replace(copies={"__transaction_state": 1}),
            "topic __transaction_state", "fail", "transaction.state.log.replication.factor=3",
        ),
        (
            SOUND._replace(copies={"__transaction_state": 3, "__consumer_offsets": 2}),
            "topic __consumer_offsets", "warn", "offsets.topic.replication.factor=3",
        ),
        (
            with_settings(transaction_state_log_min_isr="1"),
            "topic __transaction_state", "warn", "transaction.state.log.min.isr=2",
        ),
        (
            with_settings(transaction_state_log_min_isr="4"),
            "topic __transaction_state", "warn", "transaction.state.log.min.isr=2",
        ),
        (
            with_settings(transaction_max_timeout_ms="9999"),
            "transaction.max.timeout.ms", "fail", REMEDY,
        ),
        (SOUND._replace(requests=frozenset(range(60))), "transactions", "warn", "3.0"),
        (SOUND._replace(requests=frozenset(range(22))), "transactions", "fail", "2.5"),
        (SOUND._replace(requests=frozenset()), "transactions", "warn", "between us"),
        (
            SOUND._replace(settings={}, copies={}),
            "topic __consumer_offsets", "warn", "DESCRIBE_CONFIGS",
        ),
        (SOUND._replace(settings={}), "transaction.max.timeout.ms", "warn", "DESCRIBE_CONFIGS"),
    ],
)  # fmt: skip
def test_each_fault_has_its_remedy(cluster: Cluster, check: str, state: str, remedy: str) -> None:
    """What cannot work fails, what narrows the margin warns."""
    said = {one.check: one for one in findings(cluster, OURS_MS)}[check]
    assert (state, True) == (said.state, remedy in said.remedy), said


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (KafkaError.INVALID_TRANSACTION_TIMEOUT, REMEDY),
        (KafkaError._UNSUPPORTED_FEATURE, "Apache Kafka 2.5"),
        (KafkaError.UNSUPPORTED_VERSION, "Apache Kafka 2.5"),
        (KafkaError._TIMED_OUT, None),
    ],
)
def test_a_worker_names_what_its_brokers_cannot_do(code: int, remedy: str | None) -> None:
    """One line of cause and remedy; every other error is somebody else's."""
    found = unable(KafkaException(KafkaError(code)), OURS_MS)
    assert (remedy is None) == (found is None)
    assert found is None or str(remedy) in found.remedy


@pytest.mark.kafka
def test_brokers_that_allow_only_short_transactions(tmp_path: Path) -> None:
    """Doctor says it beforehand; a worker ends with one line instead of a failure at its start."""
    extra = {"transaction.max.timeout.ms": "5000", "group.min.session.timeout.ms": "1000"}
    short: Any = EmbeddedBroker(extra=extra)
    try:
        bootstrap = short.start()
    except BrokerError as error:
        pytest.skip(f"no embedded Kafka here: {error}")
    with short:
        found = states(look({"bootstrap.servers": bootstrap}))
        assert ("ok", "fail") == (found["transactions"], found["transaction.max.timeout.ms"])
        world = World(bootstrap, tmp_path, structs.replace(story_of(DEMO), partitions=1))
        try:
            world.fresh_topics()
            ended = streams(world, tmp_path, "doctor")
            assert (10, True) == (ended.returncode, REMEDY in ended.stdout)
            worker = world.worker("--wait", "60")
            code = worker.process.wait(180)
            said = worker.log.read_text()
            assert (EXIT_MOVER, True, 0) == (code, REMEDY in said, said.count("Traceback")), said
        finally:
            world.close()
