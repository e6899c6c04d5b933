"""Where a contender's time goes: py-spy's samples of all its threads, summed up by function."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from bench.harness.envs import ENVS, ROOT

TOOL = "profiler"
"""The environment that has py-spy."""
RATE = 100
"""Samples a second."""
WAITING = {"EpollSelector.select", "Condition.wait", "_worker", "Event.wait", "sleep"}
"""Innermost functions of threads that have nothing to do."""
_FRAME = re.compile(r"^(?P<name>.*) \((?P<file>.*?)(:\d+)?\)$")


def command(output: Path) -> list[str]:
    """What stands before a command so that it is sampled from its start to its end."""
    spy = str(ENVS / TOOL / "bin" / "py-spy")
    return [
        spy,
        "record",
        "-f",
        "raw",
        "--nonblocking",
        "-t",
        "-r",
        str(RATE),
        "-o",
        str(output),
        "--",
    ]


def shares(raw: str, most: int = 12) -> list[tuple[float, str]]:
    """The functions in which most samples were taken, with their percentage.

    ``raw`` is py-spy's: frames from the outermost to the innermost, and a count. Imports are left
    out, they are start-up, and so is waiting.

    >>> shares("thread (1);a (x.py:1);b (y.py:2) 3\\nthread (1);a (x.py:9) 1")
    [(75.0, 'b (y.py)'), (25.0, 'a (x.py)')]
    """
    found: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        frame = _short(stack.rpartition(";")[2])
        if "importlib" in stack or frame.partition(" (")[0] in WAITING or not count.isdigit():
            continue
        found[frame] += int(count)
    total = found.total()
    return [(round(100 * n / total, 1), name) for name, n in found.most_common(most)]


def _short(frame: str) -> str:
    parts = _FRAME.match(frame)
    if parts is None:
        return frame
    file = parts["file"].rpartition("site-packages/")[2].replace(f"{ROOT}/", "")
    return f"{parts['name']} ({file})"


def rows(shares_of: dict[str, list[tuple[float, str]]]) -> list[list[str]]:
    """A table of all that was sampled."""
    head = ["of", "% of samples", "function"]
    body = [[of, f"{share:.1f}", name] for of, found in shares_of.items() for share, name in found]
    return [head, *body]
