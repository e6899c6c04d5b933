"""Timestamps for messages of our own: the wall clock, but always increasing."""

from __future__ import annotations

import time
from collections.abc import Callable

from schemas.dwn.encoding import timestamp


class Clock:
    """Gives DWN timestamps; two calls never give the same one (a DWN orders writes by them)."""

    def __init__(self, now_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._now_us = now_us
        self._last_us = 0

    def __call__(self) -> str:
        """The next timestamp."""
        self._last_us = max(self._now_us(), self._last_us + 1)
        return timestamp(self._last_us)
