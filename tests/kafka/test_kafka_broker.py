"""Brokers that are absent, go away, or do not have the right topics."""

from __future__ import annotations

import re
import time

import pytest
from confluent_kafka import Producer

from streams import topics
from streams.broker import EmbeddedBroker
from streams.engine.murmur2 import partition_of
from tests.kafka.world import Busy, Worker, World, until

pytestmark = pytest.mark.kafka

EXIT_FENCED, EXIT_BROKER, EXIT_BROKEN_CHAIN, EXIT_TOPICS = 3, 4, 5, 7
AWAY_SECONDS = 10


def refusal(worker: Worker, code: int) -> str:
    """What a worker said that refused to begin: no traceback, nothing owned."""
    assert code == worker.process.wait(60), worker.log.read_text()
    said = worker.log.read_text()
    assert "Traceback" not in said
    assert "assigned" not in said
    return said


def test_topics_with_a_wrong_partition_count_are_refused(world: World) -> None:
    """Either command ends with exit code 7 before anything is consumed, and says what to do."""
    world.replace_topic(topics.mempool.name, world.settings.partitions - 1)
    for worker in (world.worker("--wait", "30"), world.faust_worker()):
        said = refusal(worker, EXIT_TOPICS)
        assert "bitcoin.mempool has 3 partitions, needs 4" in said
        assert "set `partitions` to what" in said
    assert [] == world.shares()
    assert {} == dict(world.standing.positions())


def test_missing_topics_are_refused(world: World) -> None:
    """A worker whose topics are not there names the command that makes them, and exits with 7."""
    world.delete_topics([topics.alerts.name])
    for worker in (world.worker(), world.faust_worker()):
        said = refusal(worker, EXIT_TOPICS)
        assert "1 topics are missing (alerts" in said
        assert "streams topics apply" in said


def test_a_changelog_that_would_forget_is_refused(world: World) -> None:
    """State that retention deletes would be missing after the next start: exit code 7, a remedy."""
    log = world.settings.changelog(world.topology.subs[0].name)
    world.alter_topic(log, "cleanup.policy", "delete")
    for worker in (world.worker("--wait", "30"), world.faust_worker()):
        said = refusal(worker, EXIT_TOPICS)
        assert f"topic {log} is a changelog and forgets state by age" in said
        assert f"--topic {log} --add-config cleanup.policy=compact" in said


def test_a_worker_survives_a_broker_that_is_away(
    world: World, busy: Busy, broker: EmbeddedBroker
) -> None:
    """Without a broker nothing starts unless told to wait; ten seconds without it cost nothing.

    ::

        broker   x            |----------------x          |----------------->
        worker   x exit 4
        waiting    |----------|------------------------------------------------>
        input                        |------------------------------|
    """
    broker.kill()
    said = refusal(world.worker(), EXIT_BROKER)
    assert f"error: no Kafka broker answers at {world.bootstrap}" in said
    assert "remedy: start one with `streams broker start`" in said
    supervisor = world.supervise(lambda: world.worker("--wait", "60"))
    broker.start()
    until("it has begun", lambda: supervisor.worker.said("assigned"))
    player = world.play(busy.recording, speed=busy.slow)
    until("it works", world.works)
    broker.kill()
    time.sleep(AWAY_SECONDS)
    broker.start()
    until("it works again", lambda: world.lag() is not None)
    player.finish()
    world.settle(120)
    print("exit codes", supervisor.codes)
    assert set(supervisor.codes) <= {EXIT_FENCED, EXIT_BROKER}
    assert 0 == supervisor.stop()
    world.check_exact(busy.sets)


def test_faust_without_a_broker_says_so(world: World) -> None:
    """``faust worker`` without a broker ends with exit code 4 and one line that names a remedy."""
    world.bootstrap = "127.0.0.1:9"
    said = refusal(world.faust_worker(), EXIT_BROKER)
    assert "no Kafka broker answers at 127.0.0.1:9" in said
    assert "streams broker start" in said


def test_records_that_were_deleted_unread_are_no_silent_gap(world: World, busy: Busy) -> None:
    """A position that retention has passed ends the worker: nobody skips what it has not read.

    ::

        input     0 ........ position ........ deleted up to here ......
        worker    stopped    |  starts: exit 5, names topic and offset
    """
    player = world.play(busy.recording, speed=busy.slow)
    worker = world.worker()
    until("it works", world.works)
    assert 0 == worker.end()
    player.finish()
    name = topics.transactions.name
    world.delete_records(name)
    worker = world.worker("--wait", "30")
    assert EXIT_BROKEN_CHAIN == worker.process.wait(60)
    last = worker.log.read_text().splitlines()[-1]
    assert re.search(rf"streams: {name}/\d has no offset \d+ any more, where its task stands", last)


def test_a_topic_that_was_made_anew_is_no_silent_gap(world: World, busy: Busy) -> None:
    """Longer than the old one already, so that no offset is missing: its id tells, and the worker
    ends.

    ::

        old topic   0 ........ position ....|
        new topic   0 ................................|
        worker      stopped     | starts: exit 5, names the topic
    """
    player = world.play(busy.recording, speed=busy.slow)
    worker = world.worker()
    until("it works", world.works)
    player.finish()
    world.settle()
    assert 0 == worker.end()
    name = topics.transactions.name
    stands = {b.partition: b.position for b in world.standing.behind() if b.topic == name}
    world.replace_topic(name, world.settings.partitions)
    producer = Producer({"bootstrap.servers": world.bootstrap})
    keys = {partition_of(b"%d" % n, len(stands)): b"%d" % n for n in range(50)}
    for partition, position in stands.items():
        for _ in range(position + 10):
            producer.produce(name, b"another one", keys[partition], partition)
    assert 0 == producer.flush(60)
    worker = world.worker("--wait", "30")
    assert EXIT_BROKEN_CHAIN == worker.process.wait(60)
    last = worker.log.read_text().splitlines()[-1]
    assert re.search(rf"task by_\w+/\d: topic {name} was deleted and made anew", last), last
    assert all(stands.values()), stands
