"""Topic names on the command line: completion, and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from streams.cli.errors import ExitCode, UserError

if TYPE_CHECKING:
    from streams.topics import Topic


def complete_topic(incomplete: str) -> list[tuple[str, str]]:
    """Names of topics that begin so, each with what it holds; for the shell."""
    from streams.topics import STORED  # noqa: PLC0415

    return [(t.name, t.about) for t in STORED if t.name.startswith(incomplete)]


def complete_typed(incomplete: str) -> list[tuple[str, str]]:
    """Names of topics of events, for the shell."""
    from streams.topics import STORED  # noqa: PLC0415

    return [
        (t.name, t.about)
        for t in STORED
        if t.event_type is not None and t.name.startswith(incomplete)
    ]


def find_typed(name: str) -> Topic:
    """The topic of events of this name; raises UserError."""
    from streams.topics import BY_TOPIC, STORED  # noqa: PLC0415

    topic = BY_TOPIC.get(name)
    if topic is None:
        raise unknown_topic(name, [t.name for t in STORED])
    if topic.event_type is None or not topic.stored:
        what = "is passed in memory" if topic.event_type else "holds original bytes, not events"
        raise UserError(
            f"topic {name} {what}", "`streams topics list` shows the types of the others"
        )
    return topic


def unknown_topic(name: str, known: Iterable[str]) -> UserError:
    """The error for a topic that nobody knows, with the nearest name."""
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}? " if near else ""
    return UserError(
        f"there is no topic {name}", f"{hint}`streams topics list` names them all", ExitCode.USAGE
    )
