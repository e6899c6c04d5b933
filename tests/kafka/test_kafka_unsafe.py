"""Unsafe settings of topics on three real brokers: what says so, and that its remedy mends it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]
from msgspec import structs

from streams.broker import BrokerError
from streams.engine import durability
from streams.ops.admin import Planned
from streams.ops.own_topics import needed, shares
from streams.ops.runs import Known
from streams.topics import alerts
from tests.faults.cluster import Cluster
from tests.kafka.grown import payments, spent
from tests.kafka.own import Own, config_of
from tests.kafka.tools import Shell, lines
from tests.kafka.world import Worker, until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

MODULE = "tests.kafka.grown"
CHANGELOG = "unsafe-tests_kafka_grown-by_customer-changelog"
OFFSETS = "__consumer_offsets"
NOTHING = "every topic has the copies that it can have"
EXTRA = {"offsets.topic.replication.factor": "1", "group.min.session.timeout.ms": "1000"}
"""Groups have a single copy, as where somebody forgot this one setting."""
Told = dict[str, dict[str, str]]
"""What is said by topic, or by check."""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    """An application whose topics ``topics apply`` has just made on three brokers."""
    folder = tmp_path_factory.mktemp("unsafe")
    config = config_of("unsafe", 1)
    config = structs.replace(config, engine=structs.replace(config.engine, store="rocks"))
    try:
        with Cluster(folder, EXTRA) as cluster:
            made = Own(cluster.bootstrap, folder / "own", config, MODULE)
            made.create()
            yield made
            made.close()
    except BrokerError as error:
        pytest.skip(f"no embedded Kafka here: {error}")


@pytest.fixture(scope="module")
def shell(own: Own) -> Shell:
    """Where remedies are run."""
    variables = {
        "STREAMS_BROKER": own.bootstrap,
        "STREAMS_CONFIG": str(own.file),
        "STREAMS_HOME": str(own.folder / "home"),
    }
    try:
        return Shell(own.folder / "shell", variables)
    except BrokerError as error:
        pytest.skip(f"Kafka's tools cannot be had here: {error}")


def start(own: Own) -> Worker:
    """A worker whose state is in a folder of its own."""
    return own.own_worker(
        "--log-format", "json", STREAMS_ENGINE__STATE_DIR=str(own.folder / "state")
    )


def said(own: Own) -> Told:
    """What a worker says at its start, by topic; it works all the same."""
    worker = start(own)
    until("it has its partitions", lambda: worker.said('"assigned"'))
    assert 0 == worker.end()
    return {facts["topic"]: facts for facts in worker.told("durability")}


def doctor(shell: Shell) -> Told:
    """The lines of ``streams doctor``, by check."""
    ended = shell.run("streams doctor -o ndjson")
    return {row["check"]: row for row in map(json.loads, ended.stdout.splitlines())}


def alone(own: Own, *names: str) -> None:
    """Make these topics anew with a single copy, and otherwise as they were."""
    planned = {p.topic: p for p in own.admin.plan(plan_of(own)) if p.topic in names}
    own.delete_topics(names)
    for name, plan in planned.items():
        new = NewTopic(name, plan.partitions, 1, config=plan.settings)
        own.admin.client.create_topics([new])[name].result(30)
    until("they are there", lambda: set(names) <= own.admin.partitions().keys())


def plan_of(own: Own) -> list[Planned]:
    """Every topic of the main job, and of the module."""
    return needed(shares(own.config, Known(), own.bootstrap, [MODULE]))


def test_topics_of_brokers_that_are_set_up_are_fine(own: Own, shell: Shell) -> None:
    """``default.replication.factor=3`` and ``min.insync.replicas=2`` before the first ``topics
    apply``: nobody has anything to say."""
    assert ({}, "ok") == (said(own), doctor(shell)["copies"]["state"])


@pytest.mark.parametrize(
    ("topic", "setting", "value", "cause"),
    [
        (payments.name, "unclean.leader.election.enable", "true", durability.UNSYNCED),
        (CHANGELOG, "cleanup.policy", "delete", durability.FORGETS),
        (CHANGELOG, "delete.retention.ms", "1000", durability.REVIVES),
    ],
)
def test_what_would_lose_in_silence_is_refused(
    own: Own, shell: Shell, topic: str, setting: str, value: str, cause: str
) -> None:
    """A worker ends with code 7; the line that it prints, pasted, is all that it takes."""
    own.alter_topic(topic, setting, value)
    refused = start(own)
    words = (refused.process.wait(60), refused.log.read_text())
    assert (7, True) == (words[0], f"topic {topic} {cause}" in words[1]), words
    shell.heed(words[1])
    assert {} == said(own)


def test_what_narrows_the_margin_is_told(own: Own, shell: Shell) -> None:
    """One in sync of three, more in sync than there are, producers' clocks: a worker says each, and
    nothing once its line was pasted."""
    own.alter_topic(payments.name, "min.insync.replicas", "1")
    own.alter_topic(spent.name, "message.timestamp.type", "CreateTime")
    own.alter_topic(CHANGELOG, "min.insync.replicas", "4")
    told = said(own)
    expected = {
        payments.name: durability.ALONE,
        spent.name: durability.CLOCKS,
        CHANGELOG: durability.UNWRITABLE,
    }
    assert expected == {topic: facts["cause"] for topic, facts in told.items()}
    for facts in told.values():
        shell.heed(facts["remedy"])
    own.alter_topic(CHANGELOG, "min.insync.replicas", "2")
    assert {} == said(own)


def test_a_single_copy_is_told_and_becomes_three(own: Own, shell: Shell) -> None:
    """As ``topics apply`` makes them on brokers whose default is one copy: a worker names its own,
    doctor those of the main job and of the brokers. One line is enough for all copies."""
    names = (spent.name, CHANGELOG, alerts.name)
    group_of_somebody(own)
    alone(own, *names)
    told, rows = said(own), doctor(shell)
    row, groups = rows[f"copies of {alerts.name}"], rows[f"topic {OFFSETS}"]
    assert {spent.name, CHANGELOG} == told.keys()
    assert {durability.SINGLE} == {row["found"], *(facts["cause"] for facts in told.values())}
    assert ("warn", "fail") == (row["state"], groups["state"])
    assert "as `streams topics copies` says" in groups["remedy"]
    remedies = [row["remedy"], *(facts["remedy"] for facts in told.values())]
    shell.heed(remedies[-1])
    assert {3} == copies(own, *names, OFFSETS)
    again = shell.run(lines(remedies[0])[0])
    assert (7, "", True) == (again.returncode, again.stdout, NOTHING in again.stderr)
    for remedy in remedies:
        shell.heed(remedy.partition(", then ")[2])
    rows = doctor(shell)
    assert {} == said(own)
    assert ("ok", "ok") == (rows["copies"]["state"], rows[f"topic {OFFSETS}"]["state"])


def group_of_somebody(own: Own) -> None:
    """Have the brokers make the topic of groups, if they have not."""
    with Consumer({"bootstrap.servers": own.bootstrap, "group.id": "somebody"}) as consumer:
        consumer.subscribe([payments.name])
        until("it has partitions", lambda: [consumer.poll(0.1), *consumer.assignment()][1:])


def copies(own: Own, *names: str) -> set[int]:
    """How many copies the partitions of these topics have."""
    listed = own.admin.client.list_topics(timeout=30).topics
    return {len(part.replicas) for name in names for part in listed[name].partitions.values()}
