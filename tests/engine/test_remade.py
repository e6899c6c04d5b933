"""Ids of topics are asked for until a broker answers, and no longer than they are wanted."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import Producer

from streams.engine import remade
from streams.engine.remade import topic_ids
from streams.engine.settings import EngineSettings


def test_who_stops_waits_for_no_answer() -> None:
    """Nobody listens at the address: the question ends with the wish for it."""
    began = time.monotonic()
    names = [f"t{n}" for n in range(50)]
    settings = EngineSettings(bootstrap="127.0.0.1:9")
    assert {} == topic_ids(settings, names, lambda: time.monotonic() < began + 0.5)
    assert time.monotonic() - began < 4


def test_brokers_that_never_tell_ids_hold_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """They answer everything else, as librdkafka's own stand-in does: the task begins without."""
    monkeypatch.setattr(remade, "SILENT_SECONDS", 0)
    monkeypatch.setattr(remade, "ASK_SECONDS", 1)
    stand_in = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    stand_in.produce("t", b"first")
    stand_in.flush(10)
    (broker,) = stand_in.list_topics("t").brokers.values()
    settings = EngineSettings(bootstrap=f"{broker.host}:{broker.port}")
    assert {} == topic_ids(settings, ["t"], lambda: True)
