"""Ours, weighed: a keyed count, or an interval join whose events are all still open.

Exactly once, with the defaults. The counts are a plain table, the join keeps an entry an event;
with ``ours_disk`` all are entries in RocksDB, 20,000 of them remembered in memory (the default).
The last moment is when the position records on the changelog, read committed, cover the input.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import join_values as v
import msgspec
from running import Watch, run, settings
from stamps import SETTINGS
from weighing import Weighed

import joins
from joins import Matched, Unmatched
from schemas.wire import Codec
from streams.engine.application import build_app
from streams.engine.joining import join_step
from streams.engine.own_types import teach
from streams.engine.records import Records
from streams.engine.selection import whole
from streams.engine.step import Emit, Step
from streams.engine.stores import Scope
from streams.engine.topology import build
from streams.ops.admin import Admin
from streams.ops.own_topics import prepare
from streams.topics import Topic

INPUTS: dict[str, str] = SETTINGS["inputs"]
stamps = Weighed()
stores: dict[int, Scope] = {}


def count(batch: Records, state: Scope, emit: Emit) -> None:
    """Add what a batch has of each key to the key's count."""
    if not stamps.began:
        stamps.begin()
    add(Counter(key or b"" for key in batch.keys), state)
    stores[id(state)] = state
    watch.counted(batch.topic.name, len(batch))


def in_memory(added: Counter[bytes], state: Scope) -> None:
    """The quickest form of state."""
    state.table("counts").add(added)


def on_disk(added: Counter[bytes], state: Scope) -> None:
    """An entry a key, which may be on disk."""
    for key, more in added.items():
        place = ("count", key.decode())
        state.put(place, (state.get(place) or 0) + more)


def pair(result: Matched | Unmatched) -> v.Pair:
    """The numbers of two events."""
    left, right = (result.members[side] for side in ("left", "right"))
    return v.Pair(result.key, left.value.n, right.value.n)  # type: ignore[union-attr]


def counting() -> Step:
    """The step of the case ``keys``."""
    topic = Topic(INPUTS["left"], "any", "to count", source=True, declared=False)
    return Step("count", (topic,), (), count)


def joining() -> Step:
    """The step of the case ``joins``: nothing of the input is out of the interval."""
    size = SETTINGS["size_ms"]
    join = joins.IntervalJoin(before=size, after=size, name="join", lateness=size)
    sides = {
        side: Topic(name, "any", side, v.FACT.name, source=True, declared=False)
        for side, name in INPUTS.items()
    }
    step = join_step(join, sides, Topic(SETTINGS["output"], "any", "pairs", v.PAIR.name), pair)
    for name in INPUTS.values():
        step = watch.watched(step, name)
    return step


def tell() -> None:
    """The state is there: weigh it, then show the counts."""
    stamps.weigh()
    stamps.tell(dict(found for state in stores.values() for found in counted(state)))


def counted(state: Scope) -> list[tuple[str, Any]]:
    """The counts of a task."""
    if add is in_memory:
        return [(key.decode(), count) for key, count in state.table("counts").items()]
    return [(str(key[-1]), count) for key, count in state.scan(("count",))]


add = on_disk if SETTINGS["store"] == "rocks" else in_memory
watch = Watch(stamps, {name: SETTINGS["counts"][name] for name in INPUTS.values()}, tell)
own = msgspec.structs.replace(
    settings, application=SETTINGS["application"], store=SETTINGS["store"], state_dir="state"
)
step = counting() if SETTINGS["case"] == "keys" else joining()
selection = whole(build([step]), own.application)
watch.changelogs = [own.changelog(name) for name in selection.names]
prepare(Admin(own), selection, create=True)
run(build_app(selection, own, teach(Codec())))
