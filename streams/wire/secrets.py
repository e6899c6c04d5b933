"""Secrets: text that is not shown by accident, and files that others should not read."""

from __future__ import annotations

import stat
from pathlib import Path

ORCHESTRATED = ("/run/secrets/", "/run/credentials/")
"""Where containers and systemd put secrets; who may read them there is their business."""
_WIDE = stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH


class Secret(str):
    """Text whose representation hides it: in dicts, in structs, in tracebacks.

    >>> {"sasl.password": Secret("p")}
    {'sasl.password': '[hidden]'}
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'[hidden]'"


def too_wide(path: Path) -> str | None:
    """What to say of a secret's file that others may read, or may put another one into."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return None
    if not mode & _WIDE or str(path).startswith(ORCHESTRATED):
        return None
    return f"{path} holds a secret and is open to others ({stat.filemode(mode)}): chmod 600 {path}"
