"""A step that fails on everything: not the records are wrong, so they are no dead letters.

One record that a step fails on is poison, and goes to the dead letters. When a step fails on one
record after the other, of those that come to it, it lacks something that it needs (a file, memory,
a service, in whatever words that may fail), or its code is wrong. Then its task stops at the first
of them that can still be taken back, reads nothing more, keeps everything, says so, and tries again
from time to time.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from streams.engine.guard import Message

RETRY_SECONDS = 10.0
SAY_SECONDS = 60.0
"""How often it is said that nothing has changed."""


class Broken(RuntimeError):
    """A step fails on every record: nothing from the record at ``offset`` on was processed."""

    def __init__(self, step: str, detail: str, topic: str, offset: int, length: int) -> None:
        super().__init__(
            f"step {step} failed on {length} records in a row, the first at {topic}, offset "
            f"{offset}: {detail}; mend what it needs, or its code (engine.breaker)"
        )
        self.offset = offset
        self.facts = {
            "step": step,
            "error": detail,
            "topic": topic,
            "offset": offset,
            "remedy": "mend what the step needs, or its code",
        }


class Streaks:
    """Each step's failures in a row, and how to go back to before the first of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lengths: Counter[str] = Counter()
        self.first: int | None = None
        """Offset of the first of them that can still be taken back."""
        self.mark: Any = None
        """What the task was like before it."""

    def passed(self, steps: Iterable[str]) -> None:
        """Records went through these steps: they work. What others failed on is still a streak."""
        for step in steps:
            self._lengths.pop(step, None)
            self.settle()

    def settle(self) -> None:
        """What was done so far stays."""
        self.first = self.mark = None

    def add(self, step: str, offset: int, mark: Callable[[], Any]) -> int:
        """Count a record that was given up; how many it were, once there are too many."""
        self._lengths[step] += 1
        if self.first is None:
            self.first, self.mark = offset, mark()
        length = self._lengths[step]
        return length if 0 < self._limit <= length else 0

    def clear(self) -> None:
        """Those that failed are tried again."""
        self._lengths.clear()
        self.settle()


class Part(NamedTuple):
    """Records of one input, from position ``after`` to position ``next``."""

    topic: str
    messages: Sequence[Message]
    after: int
    next: int


class Breaker:
    """What a task was given and could not process, until it can."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.broken: Broken | None = None
        """Why it is open; None: it is closed."""
        self.parts: list[Part] = []
        """What waits, in order."""
        self._again_at = self._say_at = 0.0

    def open(self, broken: Broken, part: Part) -> bool:
        """Keep what is left of a part; whether somebody should be told."""
        now, left = self._clock(), [m for m in part.messages if (m.offset() or 0) >= broken.offset]
        self.parts.insert(0, Part(part.topic, left, broken.offset, part.next))
        say = self.broken is None or now >= self._say_at
        self.broken, self._again_at = broken, now + RETRY_SECONDS
        if say:
            self._say_at = now + SAY_SECONDS
        return say

    @property
    def due(self) -> bool:
        """Whether it is time to try again."""
        return self.broken is not None and self._clock() >= self._again_at

    def close(self) -> None:
        """Everything went through, or belongs to somebody else now."""
        self.broken, self.parts = None, []
