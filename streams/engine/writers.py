"""Declared watermarks: what the writers of one input partition have promised (SEMANTICS 2).

A writer is ``step/generation/task/count``: task ``task`` of the ``count`` tasks of a step, or a
source (count 1). It declares by a control record, a record with neither key nor value, in every
partition of its topics; the record counts when the transaction that holds it is committed. One in
no transaction (``UNFENCED``) may be from a former owner of the task: it is only a watermark, which
may be old, and says nothing about whether the writer is idle.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from joins.clock import NEG_INF
from schemas.errors import BadHeaders
from schemas.headers import UNFENCED, WATERMARK, WRITER, Headers, number, texts

IDLE = "idle"
NOTHING = "-inf"
"""Declares that nothing is promised yet: the writer is there, or there again after idleness."""


class Writer(msgspec.Struct, frozen=True):
    """Who declares."""

    step: str
    generation: int
    task: int
    count: int

    def __str__(self) -> str:
        return f"{self.step}/{self.generation}/{self.task}/{self.count}"

    @classmethod
    @lru_cache(maxsize=8192)
    def parse(cls, text: str) -> Writer:
        """Read the header's text; raises BadHeaders."""
        parts = text.rsplit("/", 3)
        if len(parts) != 4 or not parts[0]:
            raise BadHeaders(f"header {WRITER} is not step/generation/task/count: {text[:80]!r}")
        step, *numbers = parts
        generation, task, count = (number(n, WRITER) for n in numbers)
        if not 0 <= task < count:
            raise BadHeaders(f"header {WRITER} names task {task} of {count}")
        return cls(step, generation, task, count)


def control_headers(
    writer: Writer, watermark: int | None, unfenced: bool = False
) -> list[tuple[str, bytes]]:
    """Headers of a control record; ``None`` declares the writer idle, NEG_INF that it is there."""
    text = IDLE if watermark is None else NOTHING if watermark <= NEG_INF else str(watermark)
    headers = [(WRITER, str(writer).encode()), (WATERMARK, text.encode())]
    return [*headers, (UNFENCED, b"1")] if unfenced else headers


class Said(NamedTuple):
    """What a control record says."""

    writer: Writer
    text: str
    """``idle``, ``-inf``, or a watermark (ms)."""
    unfenced: bool = False


def spoken(headers: Headers | None) -> Said:
    """Read a control record; raises BadHeaders."""
    found = texts(headers)
    return Said(Writer.parse(found.get(WRITER, "")), found[WATERMARK], UNFENCED in found)


def said_ts(text: str) -> int | None:
    """What a control record declares (ms), None for idleness; raises BadHeaders."""
    if text in (IDLE, NOTHING):
        return None if text == IDLE else NEG_INF
    return number(text, WATERMARK)


def _bounds(known: dict[str, Any]) -> list[int]:
    """What the tasks of a generation promise, the idle ones left out."""
    floor = known.get("floor", NEG_INF)
    return [max(ts, floor) for ts in known["tasks"].values() if ts is not None]


def _stood(known: dict[str, Any]) -> int:
    """How far a generation had come as a whole."""
    floor: int = known.get("floor", NEG_INF)
    whole = len(known["tasks"]) == known["count"]
    return min(_bounds(known), default=floor) if whole else floor


class Declared:
    """The watermark of one input partition, from what its writers declared."""

    def __init__(self, expected: tuple[str, ...] = ()) -> None:
        self.expected = expected
        """Steps of the topology that write the topic: none of them may be missing."""
        self._said: dict[str, dict[str, Any]] = {}
        self._bound: int | None = None
        self._holders = 0
        """How many tasks have declared no more than that."""
        self._fresh = False
        """Whether ``_bound`` is what they have declared together."""

    def declare(self, writer: Writer, text: str, unfenced: bool = False) -> None:
        """Take one control record over; a newer generation replaces the older one.

        It starts where the older one stood, whatever its tasks declare at first. What is not
        ``unfenced`` ends idleness, too.
        """
        said = said_ts(text)
        known = self._said.get(writer.step)
        if known is not None and known["generation"] > writer.generation:
            return
        if known is None or known["generation"] < writer.generation:
            floor = NEG_INF if known is None else _stood(known)
            known = {"generation": writer.generation, "count": writer.count, "tasks": {}}
            known["floor"] = floor
            self._said[writer.step] = known
            self._fresh = False
        tasks, task = known["tasks"], str(writer.task)
        before = tasks.get(task)
        if unfenced and before is None and task in tasks:
            return
        after = said if said is None or before is None else max(said, before)
        tasks[task] = after
        self._fresh = self._fresh and self._still(known, before, after)

    def _still(self, known: dict[str, Any], before: int | None, after: int | None) -> bool:
        """Whether the least stays what it was: mostly another task is there, too."""
        least = self._bound
        if before is None or after is None or least is None or least == NEG_INF:
            return False
        floor = known.get("floor", NEG_INF)
        if max(before, floor) == least < max(after, floor):
            self._holders -= 1
        return self._holders > 0

    def watermark(self) -> int | None:
        """The least of what the writers that are not idle declared; None when all are idle."""
        if not self._fresh:
            self._bound, self._fresh = self._least(), True
        return self._bound

    def _least(self) -> int | None:
        if not self._said:
            return NEG_INF if self.expected else None
        if any(step not in self._said for step in self.expected):
            return NEG_INF
        bounds = []
        for known in self._said.values():
            if len(known["tasks"]) < known["count"]:
                return NEG_INF
            bounds += _bounds(known)
        least = min(bounds, default=None)
        self._holders = bounds.count(least) if least is not None else 0
        return least

    def dump(self) -> dict[str, Any]:
        """Plain data for the checkpoint."""
        return {
            step: {**known, "tasks": dict(known["tasks"])} for step, known in self._said.items()
        }

    def load(self, said: dict[str, Any]) -> None:
        """Take over what ``dump`` gave."""
        self._fresh = False
        self._said = {
            step: {**known, "tasks": dict(known["tasks"])} for step, known in said.items()
        }
