"""Under which name each kind of source writes: its cursor, its watermark and its transactional id
have it, ``streams lag`` shows it, and ``streams source retire`` takes it."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Final

NETWORK: Final = "main"
BITCOIN, DWN = "node", "dwn"
"""What a source of this kind is called where its command is given no name."""


def of_archive(network: str, name: str | None = None) -> str:
    """Of ``streams source archive``: what it is called, or one for each network.

    >>> of_archive("signet")
    'archive-signet'
    """
    return name or f"archive-{network}"


def of_bitcoin(network: str, name: str = BITCOIN) -> str:
    """Of ``streams source bitcoin``: nodes of two networks are two sources.

    >>> of_bitcoin("main")
    'bitcoin-main-node'
    """
    return f"bitcoin-{network}-{name}"


def of_dwn(name: str = DWN) -> str:
    """Of ``streams source dwn``.

    >>> of_dwn()
    'dwn-dwn'
    """
    return f"dwn-{name}"


def of_recording(file: str) -> str:
    """Of ``streams source recording``: what its file is called.

    >>> of_recording("stories/demo.ndjson")
    'recording-demo'
    """
    stem = PurePath(file).name.split(".")[0]
    return "recording-" + re.sub(r"[^A-Za-z0-9_-]", "_", stem)


def transactional_id(application: str, name: str) -> str:
    """Which a source that writes under this name takes.

    >>> transactional_id("streams", of_bitcoin("main"))
    'streams-source-bitcoin-main-node'
    """
    return f"{application}-source-{name}"
