"""Ours: the keyed count, until it is killed: one of several workers that share the partitions.

Exactly once, with the defaults: a checkpoint every 0.3 s, 1 s while it is behind; the counts are a
plain table. Its group waits long for it, since the bench halts it while the input is loaded.
"""

from __future__ import annotations

from collections import Counter

import msgspec
from running import run, settings
from stamps import SETTINGS

from schemas.wire import Codec
from streams.engine.application import build_app
from streams.engine.records import Records
from streams.engine.selection import whole
from streams.engine.step import Emit, Step
from streams.engine.stores import Scope
from streams.engine.topology import build
from streams.ops.admin import Admin
from streams.ops.own_topics import prepare
from streams.topics import Topic

events = Topic(SETTINGS["topic"], "any", "events to count", source=True, declared=False)


def count(batch: Records, state: Scope, emit: Emit) -> None:
    """Add what a batch has of each key to the key's count."""
    state.table("counts").add(Counter(batch.keys))


own = msgspec.structs.replace(
    settings,
    application=SETTINGS["application"],
    session_timeout_ms=SETTINGS["session_timeout_ms"],
)
selection = whole(build([Step("count", (events,), (), count)]), own.application)
prepare(Admin(own), selection, create=True)
run(build_app(selection, own, Codec()))
