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


def own_topics(module: str | None) -> dict[str, Topic]:
    """By name, the topics of a module's steps; of no module none. Raises BadModule."""
    if module is None:
        return {}
    from streams.ops.modules import topics_of  # noqa: PLC0415

    return topics_of(module)


def find_typed(name: str, module: str | None = None) -> Topic:
    """The topic of events of this name, ours or of a module's steps; raises UserError."""
    from streams.topics import BY_TOPIC, STORED  # noqa: PLC0415

    own = own_topics(module)
    topic = BY_TOPIC.get(name) or own.get(name)
    if topic is None:
        raise unknown_topic(name, [*own, *(t.name for t in STORED)])
    if topic.event_type is None or not topic.stored:
        what = "is passed in memory" if topic.event_type else "holds original bytes, not events"
        raise UserError(
            f"topic {name} {what}", "`streams topics list` shows the types of the others"
        )
    return topic


def find_in_run(name: str, module: str | None, run: str) -> Topic:
    """The same as a run writes it; ``v2.alerts`` is that of run v2, whichever run is meant."""
    from msgspec.structs import replace  # noqa: PLC0415

    from streams.engine.rerun import topic_in  # noqa: PLC0415
    from streams.ops.runs import check_name  # noqa: PLC0415
    from streams.topics import BY_TOPIC  # noqa: PLC0415

    known = {*BY_TOPIC, *own_topics(module)}
    beside, _, bare = name.partition(".")
    if name in known or bare not in known:
        return topic_in(run, find_typed(name, module))
    check_name(beside)
    return replace(find_typed(bare, module), name=name)


def unknown_topic(name: str, known: Iterable[str]) -> UserError:
    """The error for a topic that nobody knows, with the nearest name."""
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}? " if near else ""
    return UserError(
        f"there is no topic {name}",
        f"{hint}`streams topics list` names ours, --module MODULE adds those of your own steps",
        ExitCode.USAGE,
    )
