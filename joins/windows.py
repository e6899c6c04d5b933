"""Windows over event time: half-open ``[start, end)``, aligned to 0, in ms (SEMANTICS 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from joins.errors import JoinError


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """``start <= ts < end``."""

    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Tumbling:
    """Windows of one size, side by side: each time is in exactly one.

    >>> Tumbling(size=10).containing(20)
    [Window(start=20, end=30)]
    >>> Tumbling(size=10).containing(-1)
    [Window(start=-10, end=0)]
    """

    size: int

    def __post_init__(self) -> None:
        _positive("size", self.size)

    def starts(self, ts: int) -> Sequence[int]:
        """Where the window that ``ts`` is in starts."""
        return (ts // self.size * self.size,)

    def containing(self, ts: int) -> list[Window]:
        """The window that ``ts`` is in."""
        return [Window(start, start + self.size) for start in self.starts(ts)]

    def last_end(self, ts: int) -> int:
        """The end of the last window that ``ts`` is in."""
        return ts // self.size * self.size + self.size


@dataclass(frozen=True, kw_only=True)
class Hopping:
    """Windows of one size that start every ``advance``: an event is in each that contains it.

    ::

        size 10, advance 5:   [0 ....... 10)
                                   [5 ....... 15)
                                        [10 ....... 20)

    >>> Hopping(size=10, advance=5).containing(12)
    [Window(start=5, end=15), Window(start=10, end=20)]

    With ``advance`` greater than ``size`` some times are in no window.
    """

    size: int
    advance: int

    def __post_init__(self) -> None:
        _positive("size", self.size)
        _positive("advance", self.advance)

    def starts(self, ts: int) -> Sequence[int]:
        """Where the windows that ``ts`` is in start, the earliest first."""
        first = (ts - self.size) // self.advance + 1
        return range(first * self.advance, ts + 1, self.advance)

    def containing(self, ts: int) -> list[Window]:
        """The windows that ``ts`` is in, the earliest first."""
        return [Window(start, start + self.size) for start in self.starts(ts)]

    def last_end(self, ts: int) -> int:
        """The end of the last window that starts no later than ``ts``."""
        return ts // self.advance * self.advance + self.size


@dataclass(frozen=True, kw_only=True)
class Session:
    """Events of a key that follow each other by at most ``gap``, transitively, whatever the side.

    The window is ``[first, last + 1)``; it closes when nothing can join it any more, that is when
    ``W - grace > last + gap``. A retract may split one, a new event may join two.
    """

    gap: int

    def __post_init__(self) -> None:
        if self.gap < 0:
            raise JoinError(f"gap is a number of ms from 0, not {self.gap}")


Fixed = Tumbling | Hopping
Windows = Tumbling | Hopping | Session


def _positive(name: str, value: int) -> None:
    if value <= 0:
        raise JoinError(f"{name} is a number of ms greater than 0, not {value}")
