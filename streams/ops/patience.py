"""Wait for a target that is away: try again for as long as it takes, and let the caller live on."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from sinks.base import Permanent, Retryable

T = TypeVar("T")

QUICK_SECONDS = 0.5
"""A call that takes longer is waited for with ``meanwhile``."""
FIRST_SECONDS = 0.2
LONGEST_SECONDS = 3.0
"""Longest pause between two attempts, unless the target asks for a longer one."""


class Patience:
    """Runs calls of a sink in one thread of their own, one at a time."""

    def __init__(
        self,
        meanwhile: Callable[[float], None],
        say: Callable[[str], None],
        give_up_after: float | None = None,
    ) -> None:
        self._meanwhile, self._say, self._give_up_after = meanwhile, say, give_up_after
        self._pool = ThreadPoolExecutor(1, "sink")

    def run(self, action: Callable[[], T], enough: Callable[[], bool]) -> T:
        """Return what ``action`` returns; a Retryable error is told once, and then waited out.

        While it lasts, ``meanwhile(seconds)`` is called over and over. Raises every other error,
        Retryable once ``enough()``, and Permanent when ``give_up_after`` seconds have passed.
        """
        began, pause = 0.0, FIRST_SECONDS
        while True:
            future = self._pool.submit(action)
            error = self._error(future)
            if not isinstance(error, Retryable):
                if began and error is None:
                    self._say(f"it works again after {time.monotonic() - began:.1f} s; going on")
                return future.result()
            if enough():
                raise error
            began = began or self._tell(error)
            self._check(error, time.monotonic() - began)
            pause = self._rest(max(pause, getattr(error, "seconds", 0.0)), enough)

    def _error(self, future: Future[T]) -> BaseException | None:
        wait([future], QUICK_SECONDS)
        while not future.done():
            self._meanwhile(0.1)
        return future.exception()

    def _tell(self, error: Retryable) -> float:
        self._say(f"{error.cause}; reading is paused until this is over: {error.remedy}")
        return time.monotonic()

    def _check(self, error: Retryable, seconds: float) -> None:
        if self._give_up_after is not None and seconds >= self._give_up_after:
            raise Permanent(f"{error.cause} (for {seconds:.0f} s)", error.remedy) from error

    def _rest(self, seconds: float, enough: Callable[[], bool]) -> float:
        """Let about ``seconds`` pass; return how long to wait the next time."""
        until = time.monotonic() + seconds * random.uniform(1.0, 1.5)
        while time.monotonic() < until and not enough():
            self._meanwhile(min(0.1, seconds))
        return min(seconds * 2, LONGEST_SECONDS)

    def close(self) -> None:
        """Begin no further call."""
        self._pool.shutdown(wait=False)
