"""What a registry said, in a file of the user's cache: one file a registry address.

``STREAMS_HOME`` moves it (``$STREAMS_HOME/registry``). The file holds no credentials. An id is used
again only for the very text that it was given for.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import msgspec
from platformdirs import user_cache_path

from schemas.registry import fingerprint
from streams.registry.subjects import MOST_ID


class Kept(msgspec.Struct, frozen=True):
    """The content of the file."""

    url: str
    ids: dict[str, Annotated[int, msgspec.Meta(ge=0, le=MOST_ID)]]
    """By the SHA-256 of the schema's canonical text."""


def place(url: str) -> Path:
    """The file of a registry."""
    home = os.environ.get("STREAMS_HOME")
    folder = Path(home).absolute() if home else user_cache_path("streams")
    return folder / "registry" / f"{sha256(url.encode()).hexdigest()[:16]}.json"


def read(url: str, texts: Mapping[str, str]) -> dict[str, int] | None:
    """Type name to id of every one of these schemas; None when one is not known here."""
    try:
        content = msgspec.json.decode(place(url).read_bytes(), type=Kept)
    except (OSError, ValueError, RecursionError):
        return None
    found = {name: content.ids.get(fingerprint(text)) for name, text in texts.items()}
    known = {name: number for name, number in found.items() if number is not None}
    return known if content.url == url and known.keys() == texts.keys() else None


def write(url: str, texts: Mapping[str, str], ids: Mapping[str, int]) -> str | None:
    """Keep the ids, whole or not at all; returns why that was not possible."""
    path = place(url)
    content = Kept(url, {fingerprint(text): ids[name] for name, text in texts.items()})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem)
        with open(number, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
        os.replace(name, path)
    except OSError as error:
        return f"{path}: {error.strerror}"
    return None
