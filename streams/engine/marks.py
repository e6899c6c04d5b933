"""How far each step of a task has come: fused steps share the task's ``W``, with one limit.

A step that reads what another one of the task writes must not be told a time below which that one
may still assert something. In a task of its own it would hear what the other declares; here::

    told = min(W, declared + grace)     declared = min(told - grace, holdback)   of each step

so its own grace covers that of the step before it, and where nothing is held back all have ``W``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from joins.clock import NEG_INF
from streams.engine.step import Step

if TYPE_CHECKING:
    from streams.engine.stores import Scope


class Marks:
    """The watermark that each step of a task was last told."""

    def __init__(self, steps: tuple[Step, ...], scopes: Mapping[str, Scope]) -> None:
        self._steps, self._scopes = steps, scopes
        self.told = {step.name: NEG_INF for step in steps}
        self._before = {step.name: [w for w in steps if _feeds(w, step)] for step in steps}

    def next(self, step: Step, watermark: int) -> int:
        """What to tell a step when the task's watermark is this (ms); it never goes back."""
        found = watermark
        for writer in self._before[step.name]:
            found = min(found, self.declared_by(writer) + (step.grace or 0))
        return max(found, self.told[step.name])

    def released(self, watermark: int) -> bool:
        """Whether a step that was told less than this may be told more: what held it has gone."""
        return any(
            self.told[step.name] < watermark and self.next(step, watermark) > self.told[step.name]
            for step in self._steps
        )

    def declares(self) -> int:
        """What the task may declare: the least that any of its steps would.

        A task is one writer of all its topics, so the step with the greatest grace decides: it may
        still assert something that much below ``W``.
        """
        return min(map(self.declared_by, self._steps))

    def declared_by(self, step: Step) -> int:
        """What one of its steps would declare by itself (ms)."""
        bound = self.told[step.name]
        if bound == NEG_INF:
            return NEG_INF
        bound -= step.grace or 0
        held = None if step.holdback is None else step.holdback(self._scopes[step.name])
        return bound if held is None else min(bound, held)

    def dump(self, watermark: int) -> dict[str, int]:
        """What of it does not follow from the task's watermark."""
        return {name: told for name, told in self.told.items() if told != watermark}

    def load(self, dumped: Mapping[str, int], watermark: int) -> None:
        """Stand where ``dump`` was taken."""
        for name in self.told:
            self.told[name] = dumped.get(name, watermark)


def _feeds(writer: Step, reader: Step) -> bool:
    return any(topic in writer.writes and not topic.broadcast for topic in reader.reads)
