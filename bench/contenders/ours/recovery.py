"""Ours: a keyed count whose every new count is a result, until it is killed.

Exactly once, with the defaults: a checkpoint every 0.3 s, 1 s while it is behind. State is a plain
table in memory, or (``ours_disk``) entries in RocksDB in the folder that the bench gives it.
"""

from __future__ import annotations

from collections import Counter

import msgspec
from join_values import COUNT, Count
from running import run, settings
from stamps import SETTINGS

from schemas.envelope import Event
from schemas.wire import Codec
from streams.engine.application import build_app
from streams.engine.own_types import teach
from streams.engine.records import Records
from streams.engine.selection import whole
from streams.engine.step import Emit, Step
from streams.engine.stores import Scope
from streams.engine.topology import build
from streams.ops.admin import Admin
from streams.ops.own_topics import prepare
from streams.topics import Topic

events = Topic(SETTINGS["topic"], "any", "events to count", source=True, declared=False)
counts = Topic(SETTINGS["output"], "any", "counts", COUNT.name)


def count(batch: Records, state: Scope, emit: Emit) -> None:
    """Add what a batch has of each key to the key's count, and say the new counts."""
    found = add(Counter(key or b"" for key in batch.keys), state)
    ts = batch.times[-1]
    for name, total in found.items():
        key = name.decode()
        value = Count(key, total)
        emit(counts, Event(f"{key}:{total}", key, ts, "assert", value, type=COUNT.name))


def in_memory(added: Counter[bytes], state: Scope) -> dict[bytes, int]:
    """The quickest form of state, which is in memory whatever the store."""
    table = state.table("counts")
    table.add(added)
    return {key: table[key] for key in added}


def on_disk(added: Counter[bytes], state: Scope) -> dict[bytes, int]:
    """An entry a key, which may be on disk."""
    found = {key: (state.get(("count", key.decode())) or 0) + more for key, more in added.items()}
    for key, total in found.items():
        state.put(("count", key.decode()), total)
    return found


add = on_disk if SETTINGS["store"] == "rocks" else in_memory
own = msgspec.structs.replace(
    settings,
    application=SETTINGS["application"],
    session_timeout_ms=SETTINGS["session_timeout_ms"],
    store=SETTINGS["store"],
    state_dir=SETTINGS["state"],
)
selection = whole(build([Step("count", (events,), (counts,), count)]), own.application)
prepare(Admin(own), selection, create=True)
run(build_app(selection, own, teach(Codec())))
