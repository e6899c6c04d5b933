"""Kafka Streams: ``groupByKey().count()`` to a topic, in Java, until it is killed.

Settings named by its author: ``exactly_once_v2``, a commit every 0.1 s (its default then), a
RocksDB store with its changelog (the default), one thread, the bench's session timeout.
``standby``: with one standby replica, which another instance keeps up to date.
"""

from __future__ import annotations

import os

from stamps import SETTINGS

TOLD = ("application", "bootstrap", "topic", "output", "session_timeout_ms", "standby", "state")
java = SETTINGS["java"]
os.execve(java[0], [*java, *(f"{name}={SETTINGS[name]}" for name in TOLD)], dict(os.environ))
