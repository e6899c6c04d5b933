"""A worker that begins while the broker stands still waits for it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from streams.broker import BrokerError, EmbeddedBroker
from streams.config import Config
from streams.engine import precheck
from streams.engine.settings import settings_of
from streams.ops.modules import select

pytestmark = pytest.mark.kafka


def test_a_question_that_the_client_gave_up_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a busy machine librdkafka gives up before we look at the answer: no worker ends by it.

    ::

        broker   |-----| SIGSTOP     SIGCONT |-------------
        question       |asked ... given up   |asked again -> groups
    """
    config, broker = Config(), EmbeddedBroker()
    try:
        settings = settings_of(config, broker.start())
    except BrokerError as error:
        pytest.skip(f"no embedded Kafka here: {error}")
    slow(monkeypatch, broker)
    with broker:
        found = precheck.groups(select(config), settings)
    assert [("streams", ())] == [(group.name, tuple(group.members)) for group in found]


def slow(monkeypatch: pytest.MonkeyPatch, broker: EmbeddedBroker) -> None:
    """Freeze the broker once it was asked, and look at the answer only when that is given up."""
    listed: Callable[..., list[str]] = precheck._list_groups
    members: Callable[..., tuple[str, ...]] = precheck._members
    frozen: list[int] = []

    def list_groups(client: Any) -> list[str]:
        names = listed(client)
        if not frozen:
            frozen.append(broker.pid)
            os.kill(broker.pid, signal.SIGSTOP)
        return names

    def late(answer: Future[Any]) -> tuple[str, ...]:
        if frozen == [broker.pid]:
            frozen.append(0)
            time.sleep(precheck.ASK_SECONDS + 2)
            os.kill(broker.pid, signal.SIGCONT)
        return members(answer)

    monkeypatch.setattr(precheck, "_list_groups", list_groups)
    monkeypatch.setattr(precheck, "_members", late)
