"""A worker that kills itself at a chosen point of one of its checkpoints, as ``kill -9`` would.

``python -m tests.kafka.doomed POINT COUNT``: at the COUNTth checkpoint of the process that writes
data, ``before`` its commit (outputs are in the log, unfinished), ``within`` it, or ``after`` it
(committed, but the task has not heard of it).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from itertools import count

from confluent_kafka import Producer

from streams.cli.main import main
from streams.engine.checkpoint import Transactions

WITHIN_SECONDS = 0.0015
FLUSH_SECONDS = 10


def doom(point: str, fatal: int) -> None:
    """Let the process die at the ``fatal``th commit."""
    commit, number = Transactions._commit, count(1)

    def dying(self: Transactions, producer: Producer) -> None:
        if next(number) < fatal:
            commit(self, producer)
            return
        producer.flush(FLUSH_SECONDS)
        if point == "before":
            die()
        if point == "within":
            threading.Timer(WITHIN_SECONDS, die).start()
        commit(self, producer)
        die()

    Transactions._commit = dying  # type: ignore[method-assign]


def die() -> None:
    """End at once, with nothing cleaned up."""
    print("doomed: end", file=sys.__stderr__, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    doom(sys.argv[1], int(sys.argv[2]))
    sys.argv = ["streams", "worker"]
    main()
