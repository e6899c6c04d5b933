"""Records of foreign producers: refused where they lie wrong, or read by repartitioning."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.cimpl import NewTopic

from schemas.envelope import Event
from schemas.events import Label
from schemas.headers import to_headers
from streams import topics
from streams.client import fold
from streams.testing import TopologyDriver
from tests.kafka.world import World, until

pytestmark = pytest.mark.kafka

EXIT_TOPICS = 7
T0 = 1_700_000_000_000
STEPS = """
import msgspec
from joins import IntervalJoin
from joins.clock import SideTime
from streams import Topic, repartition, topics
from streams.engine.joining import join_step

foreign = Topic("foreign", "txid", "labels of others", "ml.label.v1",
                source=True, declared=False, partitions=PARTITIONS)
met = Topic("met", "txid", "labels that met", "ml.label.v1")
again, keyed = repartition(foreign, time=SideTime(lateness=60_000))


def say(result):
    left, right = (result.members[side] for side in ("left", "right"))
    return msgspec.structs.replace(left.value, source=f"{left.id}+{right and right.id}")


def meet(left):
    join = IntervalJoin(
        name="meet", before=1000, after=1000, kind="left", emit="eager", lateness=60_000)
    return join_step(join, {"left": left, "right": topics.labels}, met, say)


steps = STEPS
"""


def _module(world: World, partitions: int | None, steps: str) -> Any:
    """The user's module in the worker's folder, and the same here."""
    file = world.folder / "meet.py"
    file.write_text(STEPS.replace("PARTITIONS", str(partitions)).replace("= STEPS", f"= {steps}"))
    spec = importlib.util.spec_from_file_location("meet", file)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def _events(side: str, numbers: Iterable[int]) -> list[Event]:
    found = []
    for n in numbers:
        value = Label(f"{n:064x}", True, side, 1.0)
        event_id = topics.labels.type.event_id(value)
        assert event_id is not None
        found.append(Event(event_id, value.subject, T0 + n, "assert", value, type="ml.label.v1"))
    return found


def _produce(world: World, topic: str, events: Iterable[Event], **options: Any) -> None:
    producer = Producer({"bootstrap.servers": world.bootstrap, **options})
    for event in events:
        body = world.codec.encode(event.type, event.value)
        producer.produce(topic, body, event.key, headers=list(to_headers(event)))
    assert 0 == producer.flush(20)


def _create(world: World, name: str, partitions: int) -> None:
    world.admin.client.create_topics([NewTopic(name, partitions, 1)])[name].result(20)
    until("the topic is there", lambda: name in world.admin.partitions())


LEFT = _events("left", [*range(60), *range(20)])
RIGHT = _events("right", range(10, 40))


def test_a_topic_of_seven_partitions_meets_one_of_four(world: World) -> None:
    """CRC32 into seven partitions, joined with ours after repartitioning: as if it lay right.

    ::

        foreign (7, CRC32) --> 7 tasks --> streams-foreign-repartition (4) --> meet --> met
        ml.labels (4) ---------------------------------------------------------^
    """
    module = _module(world, 7, "(again, meet(keyed))")
    _create(world, "foreign", 7)
    _produce(world, "foreign", LEFT)
    worker = world.worker("--module", "meet", "--create-topics")
    until("it has tasks", lambda: worker.said("task_recovered"))
    _produce(world, topics.labels.name, RIGHT, partitioner="murmur2_random")
    plain = module.Topic("plain", "txid", "", "ml.label.v1", source=True, declared=False)
    driver = TopologyDriver(module.meet(plain))
    for topic, events in ((plain, LEFT), (topics.labels, RIGHT)):
        for event in events:
            driver.send(topic, event)
    expected = driver.net(module.met)
    assert 60 == len(expected)
    until("it is the same", lambda: fold(world.read(module.met)) == expected)
    logs = {n: c for n, c in world.admin.partitions().items() if n.endswith("foreign-changelog")}
    assert [7] == list(logs.values())
    assert 0 == worker.end()


WORDS = (
    "foreign has a record with key '00000", "belongs into", "murmur2_random",
    "streams.repartition", "engine.check_partitioner=false",
)  # fmt: skip


def test_a_wrong_partitioner_is_refused_at_start(world: World) -> None:
    """Exit 7, with topic, key and remedy."""
    _module(world, None, "(meet(foreign),)")
    _create(world, "foreign", 4)
    _produce(world, "foreign", LEFT)
    worker = world.worker("--module", "meet", "--create-topics")
    assert EXIT_TOPICS == worker.process.wait(60), worker.log.read_text()
    said = worker.log.read_text()
    assert "Traceback" not in said
    for words in WORDS:
        assert words in said


def test_a_wrong_partitioner_is_said_at_run_time(world: World) -> None:
    """No record may stop a worker: it says what is wrong, with the remedy, and goes on."""
    module = _module(world, None, "(meet(foreign),)")
    _create(world, "foreign", 4)
    worker = world.worker("--module", "meet", "--create-topics")
    until("it has tasks", lambda: worker.said("task_recovered"))
    _produce(world, "foreign", LEFT)
    until("it says so", lambda: all(worker.said(words) for words in WORDS))
    until("all are said", lambda: len(fold(world.read(module.met))) == 60)
    assert 0 == worker.end()


def test_a_stray_record_keeps_nobody_from_starting(world: World) -> None:
    """One in a hundred lies wrong: it is not the producer's partitioner."""
    _module(world, None, "(meet(foreign),)")
    _create(world, "foreign", 4)
    _produce(world, "foreign", LEFT, partitioner="murmur2_random")
    stray = Producer({"bootstrap.servers": world.bootstrap})
    for partition in range(4):
        stray.produce("foreign", b"x", b"stray", partition=partition)
    assert 0 == stray.flush(20)
    worker = world.worker("--module", "meet", "--create-topics")
    until("it has tasks", lambda: worker.said("task_recovered"))
    assert 0 == worker.end()


def test_the_right_partitioner_is_not(world: World) -> None:
    """Java's default, librdkafka's murmur2_random: nothing is said."""
    module = _module(world, None, "(meet(foreign),)")
    _create(world, "foreign", 4)
    _produce(world, "foreign", LEFT, partitioner="murmur2_random")
    worker = world.worker("--module", "meet", "--create-topics")
    until("all are said", lambda: len(fold(world.read(module.met))) == 60)
    assert 0 == worker.end()
