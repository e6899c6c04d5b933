"""Where the embedded broker keeps things: what can be fetched again, and what cannot.

``STREAMS_HOME`` moves both below one folder (``$STREAMS_HOME/kafka`` and
``$STREAMS_HOME/broker``); without it they follow the platform's rules for caches and data.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from platformdirs import user_cache_path, user_data_path

Progress = Callable[[str], None]
"""Receives one line of text, without a line end, for a person to read."""

HOME_VARIABLE = "STREAMS_HOME"


def cache_home() -> Path:
    """The folder of jars, format template and AOT caches: safe to delete, fetched again."""
    base = os.environ.get(HOME_VARIABLE)
    return Path(base).absolute() / "kafka" if base else user_cache_path("streams") / "kafka"


def data_home() -> Path:
    """The folder of the detached broker: its record, its lock, and by default its data."""
    base = os.environ.get(HOME_VARIABLE)
    return Path(base).absolute() / "broker" if base else user_data_path("streams") / "broker"


def no_progress(line: str) -> None:
    """Report nothing."""
