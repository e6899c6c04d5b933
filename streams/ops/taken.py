"""A source's transactions on a broker that is away for a while."""

from __future__ import annotations

import time
from collections.abc import Callable

from confluent_kafka import KafkaException

AGAIN_SECONDS = 0.5


def until_taken(write: Callable[[], None], seconds: float, stop: Callable[[], bool]) -> None:
    """Repeat a write that the broker refuses, for ``seconds`` at most, or until ``stop()``.

    A refused transaction has left nothing, so the same one is written again. Raises what the last
    attempt raised.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            write()
            return
        except (KafkaException, BufferError):
            if stop() or time.monotonic() > deadline:
                raise
            time.sleep(AGAIN_SECONDS)
