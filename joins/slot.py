"""Where the partners of an event lie."""

from __future__ import annotations

from typing import NamedTuple


class Slot(NamedTuple):
    """Where partners of an event lie: ``low <= ts <= high``, none after ``high``."""

    tag: int
    """Tells the slots of an event apart: the start of the window."""
    low: int
    high: int
