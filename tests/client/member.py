"""A program that processes alerts in a group: one line of a file for each, as if that took a while.

``python -m tests.client.member BOOTSTRAP GROUP FILE MILLISECONDS``
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from streams import topics
from streams.client import Consumer

FAST = {"session.timeout.ms": 2000, "heartbeat.interval.ms": 500}


def main(bootstrap: str, group: str, file: str, milliseconds: str) -> None:
    """Process to the end."""
    with (
        Path(file).open("a") as done,
        Consumer(
            bootstrap, topics.alerts, group=group, until="end", commit_seconds=0.05, kafka=FAST
        ) as alerts,
    ):
        for record in alerts:
            time.sleep(int(milliseconds) / 1000)
            print(record.id, file=done, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
