"""Ours: a step over the records of a topic of original bytes, with a plain table.

Durable by the engine: one transaction a task and checkpoint holds the changed counts and the
position, every 30 ms and, while a task is behind, every second (the default). Its one variant has
``delivery = "at_least_once"``: a job without results is the same by both. The end is when the
position records on the changelog, read committed, cover the whole input.
"""

from __future__ import annotations

from running import Watch, changelogs, run, settings
from stamps import SETTINGS, Stamps

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
stamps = Stamps()
stores: dict[int, Scope] = {}


def count(batch: Records, state: Scope, emit: Emit) -> None:
    """Add what a batch has of each key to the key's count."""
    if not stamps.began:
        stamps.begin()
    counts = state.table("counts")
    counts.count(batch.keys)
    stores[id(state)] = state
    watch.counted(events.name, len(batch))
    stamps.reached(SETTINGS["events"] - watch.left[events.name])


def tell() -> None:
    """The state is the result."""
    tables = [state.table("counts") for state in stores.values()]
    stamps.tell({key.decode(): count for table in tables for key, count in table.items()})


watch = Watch(stamps, {events.name: SETTINGS["events"]}, tell)
selection = whole(build([Step("count", (events,), (), count)]), settings.application)
watch.changelogs = changelogs(selection)
prepare(Admin(settings), selection, create=True)
run(build_app(selection, settings, Codec(), watch.report))
