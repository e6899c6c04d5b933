"""Ends a process that lives and does nothing: its event loop stands still, or it does not stop.

A thread, since a loop that stands still cannot look at itself. It counts its own looks, not
seconds: a process that was halted as a whole (SIGSTOP, a suspended machine) gets all its time when
it goes on.

A C function that never gives the interpreter's lock back, such as a regular expression that
backtracks for ever, stops this thread too. So each look sets anew a timer of the kernel, which
counts the CPU of this process (``ITIMER_PROF``: a process that is halted uses none). When nobody
sets it any more, SIGPROF ends the process, and ``faulthandler``, which needs no lock, first writes
where each thread was.
"""

from __future__ import annotations

import faulthandler
import signal
import sys
import threading
from collections.abc import Callable
from traceback import StackSummary, walk_stack

from streams.engine.mover import EXIT_STALLED, end_process

LOOK_SECONDS = 1.0
STOP_SECONDS = 10.0
"""How long an orderly end may take."""
NOTICE_SECONDS = 2.0
"""What is lost until a stall is noticed, and the process is gone."""
STDERR = 2
HELD_SECONDS = 5.0
"""The least CPU that the process may use between two looks, however short the limit is."""

TOO_SLOW = (
    "it did not stop within {:.0f} s{}: what is not committed is done again by whoever takes over"
)
STANDS_STILL = (
    "nothing has moved for {:.0f} s{}: a step that hangs has to be mended, one that is slow needs "
    "a greater engine.stall_ms"
)


def nothing() -> str:
    """What is being done, where nobody knows."""
    return ""


class Watchdog(threading.Thread):
    """Told by the event loop that it turns; ``doing`` names what it does meanwhile."""

    def __init__(
        self,
        limit: float,
        doing: Callable[[], str] = nothing,
        end: Callable[[int, str], None] = end_process,
        look_seconds: float = LOOK_SECONDS,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        """``limit``: seconds until the process is gone after the loop's last turn."""
        super().__init__(name="watchdog", daemon=True)
        self._doing, self._end, self._look_seconds = doing, end, look_seconds
        self._looks = max(1, int((limit - NOTICE_SECONDS) / look_seconds))
        self._stop_looks = max(1, int((stop_seconds - NOTICE_SECONDS) / look_seconds))
        self._stop_seconds = stop_seconds
        self._turns = 0
        self._leaving = threading.Event()
        self._watched = threading.get_ident()
        self._done = threading.Event()

    def beat(self) -> None:
        """The loop turns."""
        self._turns += 1

    def leave(self) -> None:
        """The process is to end in an orderly way, soon."""
        self._leaving.set()

    def dismiss(self) -> None:
        """There is nothing to watch any more."""
        self._done.set()

    def run(self) -> None:
        """Look, until the process ends or is ended."""
        faulthandler.register(signal.SIGPROF, STDERR, chain=True)
        try:
            self._watch()
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    def _watch(self) -> None:
        turns, still, left = 0, 0, 0
        held = max(HELD_SECONDS, self._looks * self._look_seconds)
        while not self._done.wait(self._look_seconds):
            signal.setitimer(signal.ITIMER_PROF, held)
            still = 0 if self._turns != turns else still + 1
            turns, left = self._turns, left + self._leaving.is_set()
            if left >= self._stop_looks:
                self._end(EXIT_STALLED, TOO_SLOW.format(self._stop_seconds, self._at()))
                return
            if still >= self._looks:
                seconds = still * self._look_seconds
                self._end(EXIT_STALLED, STANDS_STILL.format(seconds, self._at()))
                return

    def _at(self) -> str:
        """What the watched thread does, and where."""
        frame = sys._current_frames().get(self._watched)
        if frame is None:
            return ""
        doing = self._doing()
        here = StackSummary.extract(walk_stack(frame), limit=1)[0]
        place = f"{here.filename}:{here.lineno} in {here.name}"
        return f", {doing} ({place})" if doing else f" ({place})"
