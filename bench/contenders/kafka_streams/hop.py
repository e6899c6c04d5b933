"""Kafka Streams, until it is told to stop: a processor with a store that forwards each new count.

Settings named by its author: one thread, a RocksDB store with its changelog and with the record
cache, so that a commit writes a key once. ``exactly_once_v2`` or ``at_least_once``, a commit every
0.1 s (the default of the first). Its producer waits 5 ms for fuller batches: its default is 100,
and at least once each result would be so much older.
"""

from __future__ import annotations

import os

from stamps import SETTINGS

PLAIN = (
    "name", "folder", "bootstrap", "topic", "output", "guarantee", "commit_ms", "linger_ms",
)  # fmt: skip
java = SETTINGS["java"]
os.execv(java[0], [*java, *(f"{name}={SETTINGS[name]}" for name in PLAIN)])
