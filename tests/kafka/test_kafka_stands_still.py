"""What waits in a client while the broker stands still is held once, and written once."""

from __future__ import annotations

import os
import threading
from signal import SIGCONT, SIGSTOP
from types import SimpleNamespace
from typing import Any

import pytest

from streams.broker import EmbeddedBroker
from streams.engine import repeating as module
from streams.engine.repeating import Repeating
from streams.topics import alerts
from tests.kafka.world import World, until

pytestmark = pytest.mark.kafka

RECORDS = 1000


def test_results_that_may_repeat_wait_for_the_broker_once(
    world: World, broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least once, too, nothing is queued again that still waits: memory does not grow.

    ::

        broker   |-----| SIGSTOP: ten times as long as one question |----->
        send           |............................................|->
    """
    monkeypatch.setattr(module, "COMMIT_SECONDS", 0.3)
    as_it_is: Any = SimpleNamespace(outputs=list)
    repeating = Repeating(as_it_is, (), {"bootstrap.servers": world.bootstrap})
    one = (alerts.name, b"k", b"v", None, 0)
    repeating.send([one])
    os.kill(broker.pid, SIGSTOP)
    try:
        sending = threading.Thread(target=repeating.send, args=([one] * RECORDS,), daemon=True)
        sending.start()
        sending.join(3)
        assert (True, RECORDS) == (sending.is_alive(), len(repeating.producer))
    finally:
        os.kill(broker.pid, SIGCONT)
    until("all is stored", lambda: not sending.is_alive())
    assert 1 + RECORDS == len(world.read(alerts))
