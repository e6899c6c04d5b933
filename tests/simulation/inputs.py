"""What a run computes: a step with state that is written, replaced and deleted, and its truth."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from schemas.envelope import Event
from schemas.events import Label
from schemas.wire import Codec
from streams.engine.plan import planned
from streams.engine.records import Records
from streams.engine.settings import EngineSettings
from streams.engine.step import Emit, Step
from streams.engine.stores import Scope
from streams.engine.topology import build
from streams.topics import Topic

ONE = Topic("one", "any", "an input", source=True, declared=False)
OTHER = Topic("other", "any", "another input", source=True, declared=False)
OUT = Topic("out", "any", "each record with what its key counts", "ml.label.v1")
FORGETS = 3
"""At so many records of a key its entry is deleted, and counted from the beginning again."""
CODEC = Codec()


def count(batch: Records, state: Scope, emit: Emit) -> None:
    """Count each key in two ways, one of which forgets; say both with each record."""
    totals = state.table("all")
    for record in batch:
        key, number = (record.key or b"").decode(), (record.value or b"").decode()
        n, total = (state.get(("n", key)) or 0) + 1, totals.get(key, 0) + 1
        totals[key] = total
        if n == FORGETS:
            state.delete(("n", key))
        else:
            state.put(("n", key), n, due=n)
        emit(OUT, said(batch.topic.name, key, number, n, total, record.ts))


def said(topic: str, key: str, number: str, n: int, total: int, ts: int) -> Event:
    """The result of one record."""
    value = Label(key, n == FORGETS, topic, float(100 * total + n))
    return Event(f"{topic}/{key}/{number}", key, ts, "assert", value, type="ml.label.v1")


SETTINGS = EngineSettings(application="sim", partitions=2, checkpoint_ms=0)
TOPOLOGY = planned(build([Step("count", (ONE, OTHER), (OUT,), count)]), SETTINGS)
(SUB,) = TOPOLOGY.subs
INPUTS = (ONE.name, OTHER.name)

State = dict[tuple[Any, ...], int]
Said = tuple[str, bytes]
"""A result: the id of its event and its encoded value."""


def truth(records: Iterable[tuple[str, str, str]]) -> tuple[State, dict[str, list[Said]]]:
    """State, and results by key, of records (topic, key, number) in their order; by itself."""
    totals: dict[str, int] = {}
    state: State = {}
    results: dict[str, list[Said]] = {}
    for topic, key, number in records:
        totals[key] = totals.get(key, 0) + 1
        n = (totals[key] - 1) % FORGETS + 1
        value = Label(key, n == FORGETS, topic, float(100 * totals[key] + n))
        encoded = CODEC.encode("ml.label.v1", value)
        results.setdefault(key, []).append((f"{topic}/{key}/{number}", encoded))
    for key, total in totals.items():
        state["all", key] = total
        if total % FORGETS:
            state["n", key] = total % FORGETS
    return state, results
