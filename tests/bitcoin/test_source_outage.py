"""A source through a broker that is away for longer than a transaction may take."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from signal import SIGCONT, SIGSTOP

import pytest
from confluent_kafka import KafkaError, KafkaException
from msgspec import structs

from schemas.wire import Codec
from streams import topics
from streams.broker import EmbeddedBroker
from streams.config import Config
from streams.engine import checkpoint
from streams.engine.checkpoint import Fenced
from streams.engine.settings import EngineSettings, settings_of
from streams.engine.stages import Stage, When, watched
from streams.ops.taken import until_taken
from streams.sources.writer import SourceWriter, read_partition
from tests.bitcoin.brokers import with_topics

pytestmark = pytest.mark.kafka
TIMEOUT_MS = 2000
AWAY_SECONDS = 5.0
PATIENCE_SECONDS = 30
_names = count()


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    """A broker that soon ends transactions that took too long."""
    often = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "500"}
    with with_topics(EmbeddedBroker(extra=often)) as running:
        yield running


class Source:
    """A source of numbers, which knows by its cursor what is next."""

    def __init__(
        self, broker: EmbeddedBroker, name: str, stop: Callable[[], bool] = lambda: False
    ) -> None:
        engine = structs.replace(
            settings_of(Config(), broker.bootstrap), transaction_timeout_ms=TIMEOUT_MS
        )
        self.engine: EngineSettings = engine
        self.name = name
        self.stop = stop
        self.writer = SourceWriter(name, (topics.blocks,), engine, Codec(), stop)
        cursor = self.writer.open() or {"next": 0}
        self.next = int(cursor["next"])

    def write(self, batches: int = 1) -> None:
        """So many batches of two numbers, each tried as sources do."""
        for _ in range(batches):
            for number in (self.next, self.next + 1):
                key = f"{self.name}/{number}".encode()
                self.writer.send_raw(topics.blocks.name, key, b"", [])
            self.next += 2
            kept = {"newest": str(self.next).encode()}
            write = partial(self.writer.commit, {"next": self.next}, None, kept)
            until_taken(write, PATIENCE_SECONDS, self.stop)

    def written(self) -> list[int]:
        """Every number of this source that readers of committed records see."""
        kafka, own = self.writer.kafka, f"{self.name}/"
        return sorted(
            int(key.decode().removeprefix(own))
            for partition in range(self.engine.partitions)
            for key, _ in read_partition(kafka, topics.blocks.name, partition)
            if key is not None and key.decode().startswith(own)
        )


@pytest.fixture
def source(broker: EmbeddedBroker) -> Iterator[Source]:
    """A source that has written its first numbers."""
    made = Source(broker, f"numbers-{next(_names)}")
    made.write()
    yield made
    made.writer.close()


@contextmanager
def once(when: When, stage: Stage, action: Callable[[], None]) -> Iterator[list[Stage]]:
    """Do something the first time that this stage is reached; gives the stages passed."""
    left, passed = [action], list[Stage]()

    def hook(now: When, at: Stage) -> None:
        if (now, at) == (when, stage) and left:
            left.pop()()
        if now == "before":
            passed.append(at)

    with watched(hook):
        yield passed


def away(broker: EmbeddedBroker, source: Source) -> None:
    """The broker stands still, from now on and for longer than a transaction may take."""
    producer = source.writer.tx.producer
    assert producer is not None
    producer.flush(10)  # what there is so far is in the log, undecided
    os.kill(broker.pid, SIGSTOP)
    threading.Timer(AWAY_SECONDS, os.kill, (broker.pid, SIGCONT)).start()


def frozen(source: Source) -> None:
    """This process stands still, until its transaction has been ended by the broker."""
    producer = source.writer.tx.producer
    assert producer is not None
    producer.flush(10)
    time.sleep(AWAY_SECONDS)


@pytest.mark.parametrize("stage", [Stage.BEGIN, Stage.COMMIT])
def test_a_broker_that_is_away_for_long_ends_no_source(
    broker: EmbeddedBroker, source: Source, stage: Stage
) -> None:
    """Before a transaction and within one: nothing is lost, and nothing comes twice.

    ::

        source   begin, write |.... asks for the commit ....|------>
        broker   -------------| SIGSTOP, 2.5 x the timeout  |------>
    """
    with once("before", stage, partial(away, broker, source)):
        source.write(3)
    assert list(range(8)) == source.written()
    again = Source(broker, source.name)
    assert (8, {"newest": b"8"}) == (again.next, again.writer.kept)
    again.writer.close()


def test_a_transaction_that_timed_out_is_written_again(
    broker: EmbeddedBroker, source: Source
) -> None:
    """The broker has fenced the source itself: it takes its id again and goes on.

    ::

        source        begin, write |........ stands still ........| commit: fenced, again -->
        transaction                |---- 2 s ----x aborted
    """
    with once("before", Stage.COMMIT, partial(frozen, source)) as passed:
        source.write(2)
    assert [Stage.COMMIT, Stage.RETAKE, Stage.BEGIN, Stage.COMMIT] == passed[1:5]
    assert list(range(6)) == source.written()


def test_a_commit_whose_answer_was_lost_is_not_written_again(source: Source) -> None:
    """The position record says that it is this very one: it had been committed."""

    def lost() -> None:
        time.sleep(TIMEOUT_MS / 1000)
        raise KafkaException(KafkaError(KafkaError._FENCED, "the answer is lost", fatal=True))

    with once("after", Stage.COMMIT, lost):
        source.write()
    source.write()
    assert list(range(6)) == source.written()


@pytest.mark.parametrize("wrote", [True, False])
def test_a_source_that_was_replaced_ends(
    broker: EmbeddedBroker, source: Source, wrote: bool
) -> None:
    """Another run took over while this one stood still, whether it has written yet or not.

    ::

        source   begin, write |........ stands still ........| commit: fenced, ends
        other                    takes over, goes on ----------------------------->
    """
    others: list[Source] = []

    def replaced() -> None:
        others.append(Source(broker, source.name))
        if wrote:
            others[0].write()
        frozen(source)

    with pytest.raises(Fenced), once("before", Stage.COMMIT, replaced):
        source.write()
    others[0].write()
    numbers = list(range(6 if wrote else 4))
    assert numbers == source.written()
    others[0].writer.close()


def test_a_source_that_is_told_to_stop_waits_for_no_broker(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with its commit unanswered; the next run sees what became of it.

    ::

        broker   -----------| stands still ...............|------>
        source   begin, write | stop: ends  |
        next                                               | goes on
    """
    monkeypatch.setattr(checkpoint, "COMMIT_SECONDS", 1)
    asked = threading.Event()
    source = Source(broker, "stopped", asked.is_set)
    source.write()
    threading.Timer(1, asked.set).start()
    with pytest.raises(KafkaException), once("before", Stage.COMMIT, partial(away, broker, source)):
        source.write()
    assert source.writer.tx.producer is not None
    source.writer.close()
    time.sleep(AWAY_SECONDS)
    again = Source(broker, "stopped")
    again.write()
    assert list(range(again.next)) == again.written()
    again.writer.close()
