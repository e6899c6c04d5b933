"""Kafka Streams: ``groupByKey().count()`` with its changelog, in Java.

Settings named by its author: one thread, the record cache as it is by default. Four variants: the
store is RocksDB (its default) or in memory, the guarantee ``exactly_once_v2`` or ``at_least_once``;
a commit every 0.1 s, its default for the first (for the second it is 30 s, and nobody would see
when the counts are durable). Java has both compilers, and their work is in the time of the whole
run: so the second half, which is warm, has a rate of its own. The time begins when the first record
is decoded, and ends when the committed positions cover the input. The counts are read from the
changelog, committed only.
"""

from __future__ import annotations

import subprocess
import sys

from stamps import SETTINGS, Stamps

PLAIN = ("name", "folder", "bootstrap", "topic", "events", "store", "guarantee", "commit_ms")


def main() -> None:
    stamps = Stamps()
    java = subprocess.Popen(
        [*SETTINGS["java"], *(f"{name}={SETTINGS[name]}" for name in PLAIN)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert java.stdout is not None
    for line in java.stdout:
        word, _, number = line.strip().partition(" ")
        if word == "first":
            stamps.begin()
        elif word == "half":
            stamps.reached(int(number))
        elif word == "done":
            stamps.end()
        elif word == "closed":
            stamps.say()
    sys.exit(java.wait())


main()
