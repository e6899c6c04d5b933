"""The replay law on a real Kafka (SEMANTICS 2): the same topics again give the same net sets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import KafkaException

from schemas.wire import Codec
from streams import topics
from streams.broker import EmbeddedBroker
from streams.client import fold
from streams.config import Config
from streams.engine.mover import CHUNK
from streams.engine.own_types import teach
from streams.ops.lag import lag_of
from streams.ops.modules import select
from streams.ops.own_topics import apply, shares
from streams.ops.runs import Known
from streams.topics import DERIVED, Topic
from streams.tuning import EngineTuning
from tests.kafka import shop
from tests.kafka.shopping import NOWHERE, SKEW_MS, endings, facts, totals_of, write
from tests.kafka.world import SESSION_MS, Busy, NetSets, World, until
from tests.ops.asking import metrics

pytestmark = pytest.mark.kafka
NEVER_MS = 3_600_000
MODULE = "tests.kafka.shop"


class Shop(World):
    """An application of the shop's steps; ``again`` begins anew on the same source topics."""

    def __init__(self, bootstrap: str, folder: Path, config: Config) -> None:
        super().__init__(bootstrap, folder, config)
        self.codec = teach(Codec())
        self.selection = select(config, MODULE)
        self.topology = self.selection.part
        apply(self.admin, shares(config, Known(), bootstrap, [MODULE]))

    def shop_worker(self, *options: str) -> None:
        """Start a worker of the shop's steps."""
        self.worker("--module", MODULE, *options)

    def caught_up(self) -> bool:
        """Whether every task's last checkpoint covers all there is."""
        try:
            return all(item.lag == 0 for item in lag_of(self.selection, self.settings).inputs)
        except KafkaException:
            return False

    def settle_shop(self) -> None:
        """Wait until every input has been read to its end."""
        until("every input is read to its end", self.caught_up, 120)

    def sets(self) -> NetSets:
        """The net set of each derived topic."""
        return {name: fold(reads) for name, reads in self.read_each(shop.DERIVED).items()}


Opens = Callable[..., "Shop"]


@pytest.fixture
def alone() -> Iterator[EmbeddedBroker]:
    """A broker of its own: the shop's topics have other partition counts in each test."""
    with EmbeddedBroker(extra={"group.min.session.timeout.ms": "1000"}) as running:
        yield running


@pytest.fixture
def shop_on(alone: EmbeddedBroker, tmp_path: Path) -> Iterator[Opens]:
    """Makes applications of the shop, and ends what they left running."""
    made: list[Shop] = []

    def begin(partitions: int, name: str, **engine: int) -> Shop:
        made.append(_shop(alone, tmp_path / name, partitions, name, **engine))
        return made[-1]

    yield begin
    for shop_ in made:
        shop_.close()


def _shop(broker: EmbeddedBroker, folder: Path, partitions: int, name: str, **engine: int) -> Shop:
    tuning = EngineTuning(
        session_timeout_ms=SESSION_MS, idle_timeout_ms=NEVER_MS, future_cap_ms=NEVER_MS, **engine
    )
    config = Config(application=name, partitions=partitions, engine=tuning)
    folder.mkdir()
    return Shop(broker.bootstrap, folder, config)


def _end(world: World, *derived: Topic) -> None:
    """End the workers and delete what they wrote; the sources stay."""
    for worker in world.workers:
        worker.end()
    world.delete_topics(topic.name for topic in derived)


def _most_entries(world: World) -> float:
    """Of the tasks of its one worker."""
    found = metrics(world.workers[0])
    return max((v for (name, _), v in found.items() if name == "streams_state_entries"), default=0)


def _values(sets: NetSets) -> dict[tuple[str, int], tuple[int, int]]:
    return {
        (total.country, total.window_end_ts): (total.number, total.fee_sat)
        for total in sets[shop.totals.name].values()
        if total.country != NOWHERE
    }


@pytest.mark.parametrize("partitions", [1, 7])
def test_a_replay_of_a_live_run_gives_its_net_sets(
    alone: EmbeddedBroker, shop_on: Opens, partitions: int
) -> None:
    """With disorder, two changes of key, retracts, sources skewed by minutes, and any workers.

    ::

        live      records ... pause ... records ... pause ...      1 worker
        replay    ===========                                      1 worker
        replay    ===========                                      3 workers
    """
    written = facts(seed=partitions, count=3000)
    written += endings(partitions)
    live = shop_on(partitions, "live")
    live.shop_worker()
    for start in range(0, len(written), 500):
        write(alone.bootstrap, written[start : start + 500])
        time.sleep(0.2)  # the pause of a live input
    live.settle_shop()
    expected = live.sets()
    truth = totals_of(written)
    assert truth == _values(expected)
    _end(live, *shop.DERIVED)
    for workers in (1, 3):
        again = shop_on(partitions, f"replay{workers}")
        for _ in range(workers):
            again.shop_worker()
        again.settle_shop()
        assert expected == again.sets()
        assert [] == again.read(topics.late_records) + again.read(topics.dead_letters)
        _end(again, *shop.DERIVED)


def test_a_skewed_backfill_keeps_no_more_than_lies_between_its_inputs(
    alone: EmbeddedBroker, shop_on: Opens
) -> None:
    """Inputs that are minutes apart wait for each other (max_skew), so state does not grow.

    ::

        payments  0 ======================= 20 h    all there at once; what a seventh of the keys
        visits    0 ======================= 20 h    does is minutes behind, and each input is read
        rates     0 ======================= 20 h    by the chunk (2,000 records)
        state     |--|                              lateness, retract_grace, two chunks an input
    """
    written = facts(seed=3, count=30_000, span_ms=20 * 3_600_000)
    written += endings(1)
    world = shop_on(1, "backfill", max_skew_ms=SKEW_MS, retract_grace_ms=SKEW_MS)
    write(alone.bootstrap, written)
    world.shop_worker("--health", "127.0.0.1:0")
    peak = 0.0

    def finished() -> bool:
        nonlocal peak
        peak = max(peak, _most_entries(world))
        return world.caught_up()

    until("every input is read to its end", finished, 120)
    expected = totals_of(written)
    assert expected == _values(world.sets())
    assert 0 < peak <= 4 * CHUNK, peak
    until("what is over leaves nothing behind", lambda: _most_entries(world) < 50, 20)
    _end(world)


@pytest.mark.parametrize("world", [1, 7], indirect=True)
def test_a_replay_of_the_demo_gives_its_net_sets(world: World, busy: Busy, tmp_path: Path) -> None:
    """The recorded input, played with pauses and then read again, whoever does the work.

    ::

        live      the recording, slowly, then the rest at once    1 worker
        replay    ===========                                     3 workers (1 with 1 partition)
    """
    first = world.worker()
    player = world.play(busy.recording, speed=busy.slow * 10)
    until("it owns tasks and their state", lambda: first.said("task_recovered"))
    player.finish()
    world.settle()
    world.check_exact(busy.sets)
    _end(world, *DERIVED, topics.dead_letters, topics.late_records)
    engine = msgspec.structs.replace(world.config.engine, session_timeout_ms=SESSION_MS)
    config = msgspec.structs.replace(world.config, application="again", engine=engine)
    (tmp_path / "again").mkdir()
    again = World(world.bootstrap, tmp_path / "again", config)
    again.admin.apply(again.topology)
    for _ in range(min(3, config.partitions)):
        again.worker()
    again.settle()
    again.check_exact(busy.sets)
    _end(again)
    again.close()
