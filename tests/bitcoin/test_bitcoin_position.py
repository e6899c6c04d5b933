"""A source's position in Kafka: kept by key, in pieces, and never older than what was committed."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from joins.clock import NEG_INF
from schemas.headers import WATERMARK, WRITER, texts
from schemas.wire import Codec
from streams import topics
from streams.client import OPTIONS, is_control
from streams.config import Config
from streams.engine.settings import EngineSettings, settings_of
from streams.engine.writers import Declared, Writer
from streams.ops.live import retire
from streams.sources.archive import read_blocks
from streams.sources.errors import SourceError
from streams.sources.writer import BadName, SourceWriter, log_end
from tests.bitcoin.data import shared
from tests.bitcoin.oracle import Log

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def engine(bootstrap: str) -> EngineSettings:
    """Settings for the broker."""
    return settings_of(Config(), bootstrap)


def opened(engine: EngineSettings, name: str) -> SourceWriter:
    """A writer of that name that has fenced any other."""
    writer = SourceWriter(name, (topics.blocks, topics.transactions), engine, Codec())
    writer.open()
    return writer


def test_what_is_kept_comes_back_whatever_its_size(engine: EngineSettings) -> None:
    """Values of no byte, few, and more than a record may have come back; forgotten ones not."""
    large = bytes(range(256)) * 5_000
    first = opened(engine, "sizes")
    first.commit({"n": 1}, None, {"a": large, "b": b"few", "c": b"", "d": large, "e": large})
    first.commit({"n": 2}, None, {"a": b"small now", "d": None, "b": None})
    second = opened(engine, "sizes")
    assert {"a": b"small now", "c": b"", "e": large} == second.kept
    second.commit({"n": 3}, None, {"e": None, "a": large})
    third = opened(engine, "sizes")
    assert ({"n": 3}, {"c": b"", "a": large}) == (third.cursor, third.kept)
    for writer in (first, second, third):
        writer.close()


def test_names_that_begin_alike_keep_apart(engine: EngineSettings) -> None:
    """One source's state is no part of another whose name begins with its name."""
    one, other = opened(engine, "alike"), opened(engine, "alike-too")
    one.commit({}, None, {"k": b"one"})
    other.commit({}, None, {"k": b"other"})
    again = opened(engine, "alike")
    assert {"k": b"one"} == again.kept
    for writer in (one, other, again):
        writer.close()


@pytest.mark.parametrize("name", ["a#b", "a/b", "a b", "", "x" * 300])
def test_a_name_that_would_be_part_of_another_ones_keys_is_refused(name: str) -> None:
    """``a#b`` would stand among what ``a`` keeps, and end its next start with a crash."""
    with pytest.raises(BadName, match="letters, digits") as refused:
        SourceWriter(name, (), EngineSettings(), Codec())
    assert 2 == refused.value.code


def test_only_a_source_that_has_written_can_be_retired(engine: EngineSettings) -> None:
    """A wrong name is an error, since the right one would go on to hold time back."""
    opened(engine, "gone").close()
    retire(engine, "gone")
    with pytest.raises(SourceError, match="no source gnoe has written here"):
        retire(engine, "gnoe")
    asking = SourceWriter("gnoe", (), engine, Codec())
    assert not asking.is_known()
    asking.close()


def test_a_source_that_comes_back_is_idle_no_longer(engine: EngineSettings) -> None:
    """What it writes before it can declare a time holds time back, as at its first start.

    declared   100   idle | open: nothing more   first write: there again
    """
    name = "back"
    first = opened(engine, name)
    first.commit({"n": 1}, 100)
    first.idle()
    first.close()
    again = opened(engine, name)
    assert None is declared_by(engine, name)
    again.commit({"n": 2})
    assert NEG_INF == declared_by(engine, name)
    again.commit({"n": 3}, 200)
    assert 200 == declared_by(engine, name)
    again.close()


def declared_by(engine: EngineSettings, name: str) -> int | None:
    """What a source has declared in the first partition of ``bitcoin.blocks``."""
    kafka, found, position = {"bootstrap.servers": engine.bootstrap}, Declared(), 0
    end = log_end(kafka, topics.blocks.name, 0)
    consumer = Consumer({**OPTIONS, **kafka})
    consumer.assign([TopicPartition(topics.blocks.name, 0, 0)])
    while position < end:  # markers of transactions included
        for message in consumer.consume(1000, 0.2):
            position = max(position, message.offset() or 0)
            if message.error() is not None or not is_control(message):
                continue
            headers: Any = message.headers()
            said = texts(headers)
            if said[WRITER] == f"source:{name}/0/0/1":
                found.declare(Writer.parse(said[WRITER]), said[WATERMARK])
    consumer.close()
    return found.watermark()


def test_position_behind_an_unfinished_transaction_is_waited_for(
    bootstrap: str, engine: EngineSettings
) -> None:
    """Another source's open transaction hides what came behind it: the newest position is taken.

    cursors:  mine 1 | other's, unfinished | mine 2       not 1, but 2 once the other has ended
    """
    mine = opened(engine, "hidden")
    mine.commit({"n": 1})
    other = Producer({"bootstrap.servers": bootstrap, "transactional.id": "somebody"})
    other.init_transactions(10)
    other.begin_transaction()
    other.produce(topics.cursors.name, b"unfinished", b"somebody", 0)
    other.flush(10)
    mine.commit({"n": 2})
    found: list[Any] = []
    again = SourceWriter("hidden", (), engine, Codec())
    reading = threading.Thread(target=lambda: found.append(again.open()), daemon=True)
    reading.start()
    reading.join(1)
    other.abort_transaction(10)
    reading.join(30)
    assert [{"n": 2}] == found
    mine.close()
    again.close()


def test_largest_real_block_is_one_transaction(bootstrap: str, engine: EngineSettings) -> None:
    """Block 866342, 4,864 transactions with all prevouts, is committed at once, in seconds."""
    path, prevouts = shared("blocks", "866342.raw.xz"), shared("prevouts", "866342.json.xz")
    (block,) = read_blocks([path], [prevouts], "main")
    log, writer = Log(bootstrap), opened(engine, "large")
    began = time.monotonic()
    writer.send(topics.blocks, block.block)
    for transaction in block.transactions:
        writer.send(topics.transactions, transaction)
    writer.commit({"height": 866342}, block.block.ts)
    took = time.monotonic() - began
    writer.close()
    assert 1 + 4864 == len(log.facts())
    assert took < 30
