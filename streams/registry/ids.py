"""The ids that a program uses: the lock's, a registry's, or what that registry said before."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from schemas.catalog import TYPES
from schemas.registry import schema_text
from schemas.wire import Codec
from streams.config import Config
from streams.registry import kept
from streams.registry.errors import RegistryAway
from streams.registry.subjects import Registry

Say = Callable[[str], None]
"""Receives one line for a person to read."""


def no_word(line: str) -> None:
    """Say nothing."""


def codec_for(config: Config, say: Say = no_word) -> Codec:
    """A codec with the ids of the configured registry, or of the lock where there is none.

    While the registry is away, its ids are taken from the file that an earlier start on this
    machine left, and ``say`` is told. Raises RegistryError.
    """
    if config.schema_registry is None:
        return Codec()
    return Codec(_ids(config.schema_registry, config.schema_registry_user_info, say))


def _ids(url: str, user_info: str | None, say: Say) -> Mapping[str, int]:
    texts = {event_type.name: schema_text(event_type) for event_type in TYPES}
    try:
        with Registry(url, user_info) as registry:
            ids = {name: registry.register(name, text).id for name, text in texts.items()}
    except RegistryAway as away:
        found = kept.read(url, texts)
        if found is None:
            raise _not_kept(away) from away
        say(f"{away.cause}; using the schema ids that it gave before ({kept.place(url)})")
        return found
    before = kept.read(url, texts)
    if before is not None and before != ids:
        say(f"the schema registry at {url} gives other ids than before: records framed with the "
            "old ones may be unreadable")  # fmt: skip
    fault = kept.write(url, texts, ids)
    if fault:
        say(f"cannot keep the schema ids of {url}: {fault}; a start needs the registry then")
    return ids


def _not_kept(away: RegistryAway) -> RegistryAway:
    return RegistryAway(
        f"{away.cause}, and this machine has not kept all its ids",
        "check the address in schema_registry and start again when the registry is back; without "
        "the setting the committed ids are used, which other readers of these topics do not know",
    )
