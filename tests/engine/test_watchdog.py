"""The watchdog ends a process whose event loop stands still, or which does not stop."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from streams.engine.mover import EXIT_STALLED
from streams.engine.watchdog import Watchdog

LOOK_S = 0.01
WAIT_S = 10
HOLDS = """
import re, time
from streams.engine import watchdog

def step():
    re.match("(a+)+$", "a" * 64 + "b")  # backtracks for longer than the sun shines

watchdog.HELD_SECONDS = 0.3
watchdog.Watchdog(2.5, look_seconds=0.05).start()
time.sleep(0.2)
step()
"""
"""A step that never gives the interpreter's lock back."""


class Ended:
    """What the watchdog did to the process."""

    def __init__(self) -> None:
        self.said: list[tuple[int, str]] = []
        self.event = threading.Event()

    def __call__(self, code: int, words: str) -> None:
        self.said.append((code, words))
        self.event.set()


def watchdog(ended: Ended, doing: Callable[[], str] = lambda: "step count of task t/0") -> Watchdog:
    """One that looks a hundred times a second, and ends after three looks without a turn."""
    return Watchdog(2 + 3 * LOOK_S, doing, ended, LOOK_S)


def test_a_loop_that_stands_still_ends_the_process() -> None:
    """The exit code is that of a stall; the words name the step and the line that hangs."""
    ended = Ended()
    dog = watchdog(ended)
    dog.start()
    assert ended.event.wait(WAIT_S)
    code, words = ended.said[0]
    assert EXIT_STALLED == code
    assert "step count of task t/0" in words
    assert f"{threading.__file__}:" in words


def test_a_loop_that_turns_is_left_alone() -> None:
    """As long as turns are told, nothing ends, however many looks there are."""
    ended = Ended()
    dog = watchdog(ended)
    dog.start()
    for _ in range(100):
        dog.beat()
        time.sleep(LOOK_S / 2)
    dog.dismiss()
    dog.join(WAIT_S)
    assert ([], False) == (ended.said, dog.is_alive())


def test_an_orderly_end_that_takes_too_long_is_cut_short() -> None:
    """Once it is to end, a process has ten seconds (2 here), be its loop alive or not."""
    ended = Ended()
    dog = Watchdog(60, end=ended, look_seconds=LOOK_S, stop_seconds=2.1)
    dog.start()
    dog.leave()
    while not ended.event.wait(LOOK_S / 2):
        dog.beat()
    code, words = ended.said[0]
    assert (EXIT_STALLED, True) == (code, "did not stop within 2 s" in words)


def test_a_step_that_keeps_the_interpreter_for_itself_ends_the_process() -> None:
    """No thread of ours can run then: the kernel ends it, and the traceback names the step."""
    process = subprocess.Popen([sys.executable, "-c", HOLDS], stderr=subprocess.PIPE, text=True)
    said = process.communicate(timeout=60)[1]
    assert (-signal.SIGPROF, True) == (process.returncode, '"<string>", line 6 in step' in said)


def test_a_process_that_was_halted_is_not_taken_for_one_that_holds_the_interpreter() -> None:
    """The timer counts the CPU of the process, which has none while it is stopped (SIGSTOP)."""
    sleeps = HOLDS.replace('re.match("(a+)+$", "a" * 64 + "b")', "time.sleep(2)")
    process = subprocess.Popen([sys.executable, "-c", sleeps.replace("2.5", "60")])
    time.sleep(0.5)
    process.send_signal(signal.SIGSTOP)
    time.sleep(1)
    process.send_signal(signal.SIGCONT)
    assert 0 == process.wait(WAIT_S)
