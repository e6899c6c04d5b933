"""A source's position in Kafka: kept by key, in pieces, and never older than what was committed."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from confluent_kafka import Producer

from schemas.wire import Codec
from streams import topics
from streams.config import Config
from streams.engine.settings import EngineSettings, settings_of
from streams.sources.archive import read_blocks
from streams.sources.writer import SourceWriter
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
