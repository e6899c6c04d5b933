"""A node that is away for a while: how long to wait for it, and what is said meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random

from streams.sources.errors import SourceError

Say = Callable[[str], None]
"""Takes one line for the operator."""

_SLICE_S = 0.1


class NodeAway(SourceError):
    """The node cannot answer now, but may later: absent, starting, restarting, too slow, behind.

    Nobody ends for it; ``BitcoinSource`` waits and compares itself with the node afterwards.
    """


class Backoff:
    """Pauses in seconds that double up to ``most_s``; each is shortened at random by up to half.

    >>> backoff = Backoff(1, 4, Random(1))
    >>> [0.5 * full <= backoff.pause() <= full for full in (1, 2, 4, 4)]
    [True, True, True, True]
    """

    def __init__(
        self, first_s: float = 0.25, most_s: float = 15, random: Random | None = None
    ) -> None:
        self._first_s, self._most_s = first_s, most_s
        self._random = random or Random()
        self._next_s = first_s

    def pause(self) -> float:
        """How long to wait this time."""
        full, self._next_s = self._next_s, min(2 * self._next_s, self._most_s)
        return full * (1 - self._random.random() / 2)

    def reset(self) -> None:
        """Begin with the shortest pause again."""
        self._next_s = self._first_s


class Waiting:
    """Waits between attempts to reach one node, and says so at each of them."""

    def __init__(self, where: str, say: Say, backoff: Backoff | None = None) -> None:
        self._where, self._say = where, say
        self._backoff = backoff or Backoff()
        self._since: float | None = None

    def wait(self, cause: str, stop: Callable[[], bool]) -> None:
        """Say why and for how long already, then wait for the next attempt or for ``stop()``."""
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        self._say(f"waiting for the node at {self._where}: {cause}; {now - self._since:.0f} s")
        due = now + self._backoff.pause()
        while not stop() and (left := due - time.monotonic()) > 0:
            time.sleep(min(_SLICE_S, left))

    def over(self) -> None:
        """The node answers and has been compared: say how long it was away."""
        if self._since is not None:
            away = time.monotonic() - self._since
            self._say(f"the node at {self._where} is back after {away:.0f} s")
        self._since = None
        self._backoff.reset()
