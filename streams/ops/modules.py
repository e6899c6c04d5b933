"""A user's own steps: found by module or entry point, checked, made sub-topologies of their own."""

from __future__ import annotations

import difflib
import importlib
import os
import re
import sys
import traceback
from collections.abc import Iterable, Sequence
from importlib.metadata import entry_points
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from msgspec.structs import replace

from schemas.catalog import BY_NAME
from streams.agents.pipeline import topology
from streams.config import Config
from streams.engine.guard import attempt
from streams.engine.rerun import rerun
from streams.engine.selection import EXIT_USAGE, Selection, WrongSelection, beside, only, whole
from streams.engine.step import Step
from streams.engine.topology import build
from streams.topics import BY_TOPIC, Topic

GROUP = "streams.steps"
"""Entry points of this group are modules with steps, each under its name."""
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


class BadModule(WrongSelection):
    """A module cannot be run; the message names what is wrong in it, and the remedy."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause, remedy, EXIT_USAGE)


def select(config: Config, module: str | None = None, steps: str | None = None) -> Selection:
    """What a worker runs: the main job, or a module's steps beside it, or a part of either.

    ``steps`` are names with commas between them. Raises TopologyError (BadModule, WrongSelection).
    """
    main = topology(config)
    chosen = whole(main, config.id)
    if module is not None:
        own = build(load_steps(module))
        chosen = replace(beside(main, own, config.id, label_of(module)), called=module)
    chosen = rerun(chosen, config)
    if steps is None:
        return chosen
    return only(chosen, [name.strip() for name in steps.split(",")])


def label_of(module: str) -> str:
    """What a module's sub-topologies and application are named after.

    >>> label_of("my.steps")
    'my_steps'
    """
    return module.replace(".", "_").replace("-", "_")


def load_steps(name: str) -> tuple[Step, ...]:
    """The steps of an entry point or module, checked; raises BadModule."""
    found = _load(name)
    steps = _steps_of(found)
    if not steps:
        raise BadModule(
            f"module {name} has no steps",
            "give it `steps = (...)`, or a Step at its top level: docs/how-to/write-a-step.md",
        )
    for step in steps:
        _check(step, name)
    return steps


def topics_of(name: str) -> dict[str, Topic]:
    """By name, the topics that a module's steps read and write; its event types are known then.

    Raises BadModule.
    """
    return {t.name: t for step in load_steps(name) for t in (*step.reads, *step.writes)}


def _load(name: str) -> Any:
    installed = {point.name: point for point in entry_points(group=GROUP)}
    here = os.getcwd()
    if here not in sys.path:  # `streams` is a script: its folder is on the path, not this one
        sys.path.insert(0, here)
    if name in installed:
        return _guarded(name, installed[name].load)
    if not _MODULE.fullmatch(name):
        raise BadModule(
            f"{name!r} is not the name of a module",
            "write it as an import does, such as my.steps: no path, no .py",
        )
    if not _exists(name):
        raise _absent(name, installed)
    return _guarded(name, lambda: importlib.import_module(name))


def _exists(name: str) -> bool:
    """Whether there is such a module; imports the packages above it."""
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _absent(name: str, installed: Iterable[str]) -> BadModule:
    known = ", ".join(sorted(installed))
    others = f"; installed are {known}" if known else ""
    return BadModule(
        f"there is no module {name}",
        f"run in the folder that holds it, or install it{others}",
    )


def _guarded(name: str, load: Any) -> Any:
    """Import somebody's code: whatever it raises is an error of theirs, said in one line."""
    found: list[Any] = []
    error = attempt(lambda: found.append(load()))
    if error is None:
        return found[0]
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {frames[-1].filename}, line {frames[-1].lineno}" if frames else ""
    if isinstance(error, SyntaxError):
        where = f" in {error.filename}, line {error.lineno}"
    raise BadModule(
        f"module {name} cannot be imported ({type(error).__name__}: {error}){where}",
        "correct it; `--debug` shows the traceback",
    ) from error


def _steps_of(found: Any) -> tuple[Step, ...]:
    """Its ``steps``, else every Step at the top level of a module, in order."""
    if isinstance(found, ModuleType):
        named = getattr(found, "steps", None)
        if named is None:
            return tuple(v for v in vars(found).values() if isinstance(v, Step))
        found = named
    if isinstance(found, Step):
        return (found,)
    if isinstance(found, Iterable) and not isinstance(found, str | bytes):
        return _all_steps(tuple(found))
    raise BadModule(f"`steps` is a {type(found).__name__}", "make it a tuple of Steps")


def _all_steps(found: Sequence[Any]) -> tuple[Step, ...]:
    for one in found:
        if not isinstance(one, Step):
            raise BadModule(
                f"`steps` holds a {type(one).__name__}, not a Step",
                "make it a tuple of Steps: Step(name, reads=(...), writes=(...), process=...)",
            )
    return tuple(found)


def _check(step: Step, module: str) -> None:
    where = f"step {step.name} of module {module}"
    if not _NAME.fullmatch(step.name):
        raise BadModule(
            f"module {module} names a step {step.name!r}", "use letters, digits, _ and - only"
        )
    for field, found in (("reads", step.reads), ("writes", step.writes)):
        if not isinstance(found, tuple) or not all(isinstance(t, Topic) for t in found):
            raise BadModule(
                f"{where}: `{field}` is not a tuple of topics", f"write {field}=(topic,)"
            )
    if not step.reads:
        raise BadModule(f"{where} reads nothing", "name a topic that it reads")
    for topic in (*step.reads, *step.writes):
        _check_topic(topic, where)
    for topic in step.writes:
        if topic.name in BY_TOPIC:
            raise BadModule(
                f"{where} writes {topic.name}, a topic of the main job",
                "write to a topic of your own: who writes ours is part of what a watermark means",
            )


def _check_topic(topic: Topic, where: str) -> None:
    ours = BY_TOPIC.get(topic.name)
    if ours is not None and ours != topic:
        raise BadModule(
            f"{where} has a topic {topic.name} that is not ours",
            "import ours from streams.topics, or rename yours",
        )
    if not _TOPIC.fullmatch(topic.name) or topic.name.endswith("-changelog"):
        raise BadModule(
            f"{where} has a topic named {topic.name!r}",
            "use letters, digits, '.', '_' and '-', and no -changelog at the end",
        )
    if ours is None and topic.source and topic.declared:
        raise BadModule(
            f"{where}: topic {topic.name} is a source of yours whose watermark nobody declares",
            "add declared=False to it: time is then observed from its events",
        )
    if topic.event_type not in BY_NAME:
        near = difflib.get_close_matches(topic.event_type or "", BY_NAME, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise BadModule(
            f"{where}: topic {topic.name} carries {topic.event_type}, which no event type is",
            f"{hint}make one by streams.event_type: docs/how-to/write-a-step.md",
        )
