"""Kafka Streams: stream-stream join, versioned stream-table join, windowed aggregate, in Java.

Settings named by its author: ``exactly_once_v2``, a commit every 0.1 s (its default then), RocksDB
stores with changelogs (the defaults), one thread, the disorder as grace. Windows are emitted on
close; the as-of join is a join with a versioned table and a grace period, whose joiner leaves out a
partner that is too old; three sides are merged and aggregated. Java has both compilers, and their
work is in the time. The measured time begins when the first record is decoded, and ends when the
committed positions cover the input. What a window's end makes certain it looks for once a second
only, when a record comes: so the last records are sent again for it afterwards, in nobody's time.
"""

from __future__ import annotations

import subprocess
import sys

from stamps import SETTINGS, Stamps

PLAIN = ("name", "folder", "bootstrap", "case", "output", "events", "size_ms", "disorder_ms")


def arguments() -> list[str]:
    """What the Java program is told."""
    inputs = [f"input.{side}={topic}" for side, topic in SETTINGS["inputs"].items()]
    lasts = [f"last.{number}={last}" for number, last in enumerate(SETTINGS["lasts"])]
    return [*(f"{name}={SETTINGS[name]}" for name in PLAIN), *inputs, *lasts]


def main() -> None:
    stamps = Stamps()
    java = subprocess.Popen(
        [*SETTINGS["java"], *arguments()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert java.stdout is not None
    for line in java.stdout:
        if line == "first\n":
            stamps.begin()
        elif line == "done\n":
            stamps.end()
        elif line == "closed\n":
            stamps.say()
    sys.exit(java.wait())


main()
