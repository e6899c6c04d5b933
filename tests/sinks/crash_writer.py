"""Run as a process that a test kills: writes a log from the sink's positions on.

``python crash_writer.py TARGET DIRECTORY START``: START is the offset that the consumer group has
committed; the sink's own position may be higher. Prints the position after each flush.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sink_cases import TARGETS, TOPIC, Sample, record

from sinks.base import SinkRecord

SIZE = 20_000
BATCH = 97
IDS = 500


def change(offset: int) -> SinkRecord:
    """Return the record at ``offset`` of the log that every run writes."""
    id = f"e{offset * 7919 % IDS}"
    if offset % 5 == 4:
        return record(offset, id, op="retract")
    return record(offset, id, Sample(count=offset, text="x" * (offset % 300)))


def main(name: str, directory: str, start: int) -> None:
    """Write batch by batch until the end of the log."""
    target = next(t for t in TARGETS if t.name == name)(Path(directory))
    sink = target.open()
    print(sink.positions().get((TOPIC, 0), 0), flush=True)
    for first in range(start, SIZE, BATCH):
        sink.write([change(offset) for offset in range(first, min(first + BATCH, SIZE))])
        sink.flush()
        print(sink.positions()[TOPIC, 0], flush=True)
    sink.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
