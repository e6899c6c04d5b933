"""Where the tests keep the servers that they fetch."""

from __future__ import annotations

import os
from pathlib import Path


def cache() -> Path:
    """``STREAMS_TEST_HOME``, else a folder in the user's cache."""
    named = os.environ.get("STREAMS_TEST_HOME")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "streams-tests"
