"""The mover against librdkafka's own mock cluster: nothing lost, nothing twice, pauses hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from schemas.wire import Codec
from streams.engine.checkpoint import produce
from streams.engine.mover import Chunk, Mover, Place, Session
from streams.engine.runner import Runner
from streams.engine.settings import EngineSettings
from streams.engine.topology import build
from tests.engine.world import DECLARED, OTHER, T0, steps

ONE, TWO = Place("t", 0), Place("t", 1)
WAIT_S = 20.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Producer]:
    """A broker in this process, with a topic of several partitions."""
    producer = Producer({"test.mock.num.brokers": 1, "log_level": 0, "linger.ms": 1})
    producer.produce("t", b"first", partition=0)
    producer.flush(WAIT_S)
    yield producer


def _address(cluster: Producer) -> str:
    (broker,) = cluster.list_topics("t").brokers.values()
    return f"{broker.host}:{broker.port}"


def _produce(cluster: Producer, place: Place, numbers: range) -> None:
    for number in numbers:
        cluster.produce(place.topic, b"%d" % number, partition=place.partition)
    assert 0 == cluster.flush(WAIT_S)


class _Reader:
    """Takes chunks as the tasks do: checks the chain, frees them."""

    def __init__(self) -> None:
        self.found: dict[Place, list[Any]] = {ONE: [], TWO: []}
        self.position: dict[Place, int] = {}
        self.news = asyncio.Event()

    def take(self, chunk: Chunk) -> None:
        assert self.position.get(chunk.place, chunk.after) == chunk.after
        self.position[chunk.place] = chunk.next
        self.found[chunk.place] += [message.value() for message in chunk.messages]
        chunk.free()
        self.news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for chunks until ``condition()``."""
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def _reading(cluster: Producer, **offsets: int) -> AsyncIterator[tuple[Mover, _Reader]]:
    reader = _Reader()
    config = {"bootstrap.servers": _address(cluster)}
    mover = Mover(config, asyncio.get_running_loop())
    mover.start()
    work = asyncio.ensure_future(_take_all(mover, reader))
    await mover.add({ONE: offsets.get("one", 0), TWO: offsets.get("two", 0)})
    try:
        yield mover, reader
    finally:
        work.cancel()
        mover.stop()


async def _take_all(mover: Mover, reader: _Reader) -> None:
    while True:
        for chunk in await mover.chunks():
            if chunk.session is mover.session:
                reader.take(chunk)


def _expected(*numbers: int) -> list[bytes]:
    return [b"%d" % number for number in numbers]


def test_a_paused_partition_waits_and_goes_on_where_it_stood(cluster: Producer) -> None:
    """While it waits the others are read; afterwards nothing is missing and nothing came twice.

    ::

        ONE:  0..1999 | paused, 2000..2999 wait        | resumed: 2000..2999
        TWO:  0..1999 |         2000..2999 are read    |
    """

    async def story() -> None:
        _produce(cluster, ONE, range(2000))
        _produce(cluster, TWO, range(2000))
        async with _reading(cluster, one=1) as (mover, reader):
            await reader.until(lambda: all(len(found) == 2000 for found in reader.found.values()))
            await mover.pause([ONE])
            _produce(cluster, ONE, range(2000, 3000))
            _produce(cluster, TWO, range(2000, 3000))
            await reader.until(lambda: len(reader.found[TWO]) == 3000)
            assert 2000 == len(reader.found[ONE])
            await mover.resume([ONE])
            await reader.until(lambda: len(reader.found[ONE]) == 3000)
            assert _expected(*range(3000)) == reader.found[ONE] == reader.found[TWO]

    asyncio.run(story())


def test_a_pause_in_the_middle_of_a_backlog_loses_nothing(cluster: Producer) -> None:
    """What librdkafka had fetched ahead is fetched again: pause and resume at random moments."""

    async def story() -> None:
        start = cluster.list_topics("t") and 3001
        _produce(cluster, ONE, range(3000, 20_000))
        async with _reading(cluster, one=start, two=3000) as (mover, reader):
            while len(reader.found[ONE]) < 17_000:
                before = len(reader.found[ONE])
                await mover.pause([ONE])
                await mover.resume([ONE])
                await reader.until(lambda before=before: len(reader.found[ONE]) > before)  # type: ignore[misc]
            assert _expected(*range(3000, 20_000)) == reader.found[ONE]

    asyncio.run(story())


def test_a_revoke_forgets_pauses_and_makes_old_chunks_stale(cluster: Producer) -> None:
    """A partition that comes back is read again, from where its task stands."""

    async def story() -> None:
        async with _reading(cluster, one=19_901, two=3000) as (mover, reader):
            await reader.until(lambda: len(reader.found[ONE]) == 100)
            old = mover.session
            await mover.pause([ONE])
            await mover.clear()
            assert old is not mover.session
            assert (set(), {}) == (mover.paused, mover.next)
            reader.position.clear()
            await mover.add({ONE: 19_901})
            await reader.until(lambda: len(reader.found[ONE]) == 200)

    asyncio.run(story())


def test_a_command_is_obeyed_though_nobody_takes_chunks(cluster: Producer) -> None:
    """A worker that stops takes none any more, and still lets its partitions go."""

    async def story() -> None:
        _produce(cluster, ONE, range(20_000, 30_000))
        for taken in range(4):
            mover = Mover({"bootstrap.servers": _address(cluster)}, asyncio.get_running_loop())
            mover.start()
            async with asyncio.timeout(WAIT_S):
                await mover.add({ONE: 20_000})
                for _ in range(taken):
                    for chunk in await mover.chunks():
                        chunk.free()
                await mover.clear()
            assert {} == mover.next
            mover.stop()

    asyncio.run(story())


def test_commands_for_what_is_not_assigned_are_harmless(cluster: Producer) -> None:
    """A pause may arrive after a revoke."""

    async def story() -> None:
        async with _reading(cluster, one=19_991, two=3000) as (mover, reader):
            await mover.clear()
            await mover.pause([ONE])
            await mover.resume([ONE, TWO])
            assert set() == mover.paused
            reader.position.clear()
            await mover.add({ONE: 19_991})
            await reader.until(lambda: len(reader.found[ONE]) >= 10)

    asyncio.run(story())


def test_a_runner_says_each_pause_and_resume_once(cluster: Producer) -> None:
    """``skew`` compares with what is paused already, and reports the change."""
    settings = EngineSettings(bootstrap=_address(cluster), max_skew_ms=100, partitions=1)
    topology = build(steps(DECLARED, OTHER))
    told: list[Any] = []
    with ThreadPoolExecutor(1) as pool:
        runner = Runner(
            topology, topology.subs[0], 0, settings, Codec(), pool, pool,
            lambda event, facts: told.append((event, facts["paused"], facts["resumed"])),
        )  # fmt: skip
    clock, place = runner.task.progress.clock, Place(DECLARED.name, 0)
    assert ([], []) == runner.skew()
    clock.declare(OTHER.name, 0, T0)
    clock.declare(DECLARED.name, 0, T0 + 101)
    assert [([place], []), ([], [])] == [runner.skew(), runner.skew()]
    clock.declare(OTHER.name, 0, T0 + 1)
    assert [([], [place]), ([], [])] == [runner.skew(), runner.skew()]
    name = DECLARED.name
    assert [("task_skew", [name], []), ("task_skew", [], [name])] == told
    runner.tx.close()


def test_a_task_whose_checkpoints_fail_reads_no_more(cluster: Producer) -> None:
    """Each one that fails leaves more for the next, until it fits into no transaction."""
    name, topology = DECLARED.name, build(steps(DECLARED, OTHER))
    settings = EngineSettings(bootstrap=_address(cluster), partitions=1)
    with ThreadPoolExecutor(1) as pool:
        runner = Runner(
            topology, topology.subs[0], 0, settings, Codec(), pool, pool, lambda event, facts: None
        )
    places = sorted(Place(topic, 0) for topic in (name, OTHER.name))
    found = []
    for runner.failures in (2, 3, 0):
        found.append(runner.skew())
    assert [([], []), (places, []), ([], places)] == found
    runner.tx.close()


def test_a_queue_that_is_full_is_waited_for(cluster: Producer) -> None:
    """A checkpoint of more records than the client has room for is written all the same."""
    own = {"queue.buffering.max.messages": 10, "linger.ms": 1, "log_level": 0}
    producer = Producer({**own, "bootstrap.servers": _address(cluster)})
    end = _end(cluster)
    produce(producer, [("t", None, b"%d" % n, None, 0) for n in range(500)])
    assert 0 == producer.flush(WAIT_S)
    assert 500 == _end(cluster) - end


def _end(cluster: Producer) -> int:
    consumer = Consumer({"bootstrap.servers": _address(cluster), "group.id": "ends"})
    found = consumer.get_watermark_offsets(TopicPartition("t", 0), timeout=WAIT_S)
    consumer.close()
    return int(found[1])


def test_an_input_that_waits_does_not_become_idle(cluster: Producer) -> None:
    """Nobody looks at its end meanwhile; when it goes on, its silence is counted anew."""
    name, topology = DECLARED.name, build(steps(DECLARED, OTHER))
    settings = EngineSettings(bootstrap=_address(cluster), idle_timeout_ms=0, partitions=1)
    with ThreadPoolExecutor(1) as pool:
        runner = Runner(
            topology, topology.subs[0], 0, settings, Codec(), pool, pool, lambda event, facts: None
        )
    runner.at_end, runner.paused = {name: 0.0}, {name}
    runner.watch_idleness()
    assert [name] == list(runner.at_end)
    assert ([], [Place(name, 0)]) == runner.skew()
    assert runner.at_end[name] > 0
    runner.watch_idleness()
    assert {} == runner.at_end
    runner.tx.close()


def test_a_task_is_behind_only_while_reads_are_full(cluster: Producer) -> None:
    """Under a steady load the end of an input is never seen; who reads all there is has caught up.

    ::

        full read: behind | a smaller one: not | full: behind | the end: not
    """
    name, topology = DECLARED.name, build(steps(DECLARED, OTHER))
    settings = EngineSettings(bootstrap=_address(cluster), partitions=1)
    with ThreadPoolExecutor(1) as pool:
        runner = Runner(
            topology, topology.subs[0], 0, settings, Codec(), pool, pool, lambda event, facts: None
        )
    session, found = Session(asyncio.Event()), list[set[str]]()
    for end, more in ((None, True), (None, False), (None, True), (0, True)):
        runner.process(Chunk(Place(name, 0), [], session, 0, end, more))
        found.append(runner.behind)
        runner.behind = set(runner.behind)
    assert [{name}, set(), {name}, set()] == found
    runner.tx.close()
