"""How long a task waits from one checkpoint to the next, where no setting says it.

Short enough that results are fresh, long enough that writing checkpoints never is most of the work:

- A worker's checkpoints share its one core: the more tasks it has, the longer each waits.
- A checkpoint that took long says that brokers, or the worker, are busy: so it comes less often.

Pure: it is told how long checkpoints took.
"""

from __future__ import annotations

LEAST_SECONDS = 0.03
"""For a worker with up to ``TASKS`` tasks."""
LEAST_REPEATING_SECONDS = 0.2
"""The same where results do not wait for checkpoints, only watermarks do: results that come while
one is written are a little later, so fewer of them are."""
MOST_SECONDS = 0.3
"""For one with 40 tasks and more."""
LONGEST_SECONDS = 1.0
"""Where checkpoints take long."""
TASKS = 4
SHARE = 3
"""A task waits at least so many times as long as its checkpoints take."""
SMOOTH = 0.2
"""How much of the mean the newest checkpoint is."""


class Pace:
    """The pause of one task between its checkpoints."""

    def __init__(self, fixed_ms: int = 0, repeating: bool = False) -> None:
        """``fixed_ms``: the pause in milliseconds; 0: what is measured says it.

        ``repeating``: results are written as they come, at least once.
        """
        self._fixed = fixed_ms / 1000
        self._least = LEAST_REPEATING_SECONDS if repeating else LEAST_SECONDS
        self._mean = 0.0

    def took(self, seconds: float) -> None:
        """A checkpoint was written; it took so long."""
        self._mean += SMOOTH * (seconds - self._mean)

    def pause(self, tasks: int) -> float:
        """Seconds until the next one is due, in a worker with so many tasks."""
        if self._fixed:
            return self._fixed
        of_tasks = min(max(self._least, LEAST_SECONDS * tasks / TASKS), MOST_SECONDS)
        return min(max(of_tasks, SHARE * self._mean), LONGEST_SECONDS)
