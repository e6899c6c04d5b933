"""Ours, until it is told to stop: a step with a plain table that writes an event for each record.

Checkpoints are 30 ms apart and, while a task is behind, 1 s (the default): results, state and
position are one transaction; with ``delivery = "at_least_once"`` results go before it. Results have
the whole envelope, as all of ours; nobody asks for their watermark, so none is declared.
"""

from __future__ import annotations

from running import run, settings
from stamps import SETTINGS

from bench.contenders.ours.join_values import COUNT, Count
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

records = Topic(SETTINGS["topic"], "any", "records to count", source=True, declared=False)
results = Topic(SETTINGS["output"], "any", "a count a record", COUNT.name, declared=False)


def count(batch: Records, state: Scope, emit: Emit) -> None:
    """Add one to the count of each record's key, and say the new count."""
    counts = state.table("counts")
    for raw, ts in zip(batch.keys, batch.times, strict=True):
        key = (raw or b"").decode()
        number = counts[key] = counts.get(key, 0) + 1
        value = Count(key, number)
        emit(results, Event(f"{key}/{number}", key, ts, "assert", value, type=COUNT.name))


selection = whole(build([Step("count", (records,), (results,), count)]), settings.application)
prepare(Admin(settings), selection, create=True)
run(build_app(selection, settings, teach(Codec())))
