"""A broker that is away: said once when it goes and once when it is back, by whoever notices."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import Any

import structlog

_TROUBLE = re.compile(
    r"unable connect|unable to (update|request|fetch) metadata|connect(ion)? ?"
    r"(call|at|to|failed|refused|reset|closed|lost|error)|time(d)? ?out|not ?ready"
    r"|unavailable",
    re.IGNORECASE,
)
"""What aiokafka's warnings and errors have in them when the broker is away."""
_FLOODS = ("aiokafka", "faust.transport", "kafka")


class Outage:
    """Whether the broker answers, and what was left out of the log while it did not."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.since: float | None = None
        """When the broker was first missed (monotonic seconds); None: it answers."""
        self.left_out = 0
        self._log = structlog.stdlib.get_logger("streams")

    @property
    def away(self) -> bool:
        """Whether the broker is away."""
        return self.since is not None

    def missed(self, detail: str) -> None:
        """Somebody could not reach the broker."""
        if self.since is None:
            self.since, self.left_out = self._clock(), 0
            self._log.warning("broker_away", detail=detail)

    def answered(self) -> None:
        """The broker answered."""
        if self.since is not None:
            seconds = round(self._clock() - self.since, 1)
            self.since = None
            self._log.warning("broker_back", away_s=seconds, lines_left_out=self.left_out)


class Flood(logging.Filter):
    """Lets one line a change through where libraries would repeat themselves every second."""

    def __init__(self, outage: Outage) -> None:
        super().__init__()
        self.outage = outage

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be written."""
        if not record.name.startswith(_FLOODS) or record.levelno < logging.WARNING:
            return True
        words = _words(record)
        if not self.outage.away and not _TROUBLE.search(words):
            return True
        self.outage.missed(words)
        self.outage.left_out += 1
        return False


def _words(record: logging.LogRecord) -> str:
    words: Any = record.msg if isinstance(record.msg, dict) else record.getMessage()
    return " ".join(str(words).split())
