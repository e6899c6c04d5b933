"""What is going on, on standard error: standard output is for results."""

from __future__ import annotations

import sys


def say(words: str) -> None:
    """One line for whoever waits."""
    print(words, file=sys.stderr, flush=True)
