"""A source's transactions on a broker that is away for a while."""

from __future__ import annotations

import time
from collections.abc import Callable

from confluent_kafka import KafkaException

AGAIN_SECONDS = 0.5
BROKER_PATIENCE_S = 60
"""How long a transaction that the broker refuses is tried again."""


def until_taken(write: Callable[[], None], seconds: float, stop: Callable[[], bool]) -> None:
    """Repeat a write that the broker refuses, for ``seconds`` at most, or until ``stop()``.

    A refused transaction has left nothing, so the same one is written again. A write waits for a
    broker that is away, so patience begins with the first refusal, and each attempt that began
    before it ran out may take its time. Raises what the last attempt raised.
    """
    refused: float | None = None
    while True:
        began = time.monotonic()
        try:
            write()
            return
        except (KafkaException, BufferError):
            if stop() or (refused is not None and began - refused >= seconds):
                raise
            refused = time.monotonic() if refused is None else refused
            time.sleep(AGAIN_SECONDS)
