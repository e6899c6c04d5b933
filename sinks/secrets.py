"""Secrets of sinks: read from the environment or a file, and kept out of every message."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from sinks.base import Permanent


def reveal(setting: str, text: str) -> str:
    """Return what ``env:NAME`` or ``file:PATH`` holds, without white space around it.

    Any other text is itself the value. Raises Permanent that names ``setting`` and the place.
    """
    kind, sign, place = text.partition(":")
    if sign and kind == "env":
        return _found(setting, os.environ.get(place), f"the environment has no {place!r}")
    if sign and kind == "file":
        return _found(setting, _read(place), f"the file {place} cannot be read or is empty")
    return text


def required(setting: str, text: str) -> str:
    """Return what ``env:NAME`` or ``file:PATH`` holds; a secret written out is refused.

    What stands on a command line, every user of the machine can read.
    """
    if not text.startswith(("env:", "file:")):
        raise Permanent(
            f"the setting {setting!r} is written out",
            f"write {setting}=env:NAME or {setting}=file:PATH, and put the secret there",
        )
    return reveal(setting, text)


def _found(setting: str, value: str | None, cause: str) -> str:
    if value is None or not value.strip():
        raise Permanent(
            f"setting {setting!r}: {cause}", "put the value there, or name another place"
        )
    return value.strip()


def _read(place: str) -> str | None:
    try:
        return Path(place).read_text()
    except (OSError, UnicodeDecodeError):
        return None


def hidden(text: str, secrets: Iterable[str]) -> str:
    """Return ``text`` with every secret in it covered.

    >>> hidden("no login with hunter2 as hunter2", ["hunter2", ""])
    'no login with *** as ***'
    """
    for secret in secrets:
        text = text.replace(secret, "***") if secret else text
    return text
