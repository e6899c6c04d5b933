"""Ours: the main job's steps keyed by txid, or the whole main job, run as by ``streams worker``.

Exactly once: one transaction a task and checkpoint, every 0.3 s (the default), holds outputs, state
and position. The first batch was decoded before its step sees it, so it is left out of both events
and time. The end is when the position records on the changelogs, read committed, cover the input.
"""

from __future__ import annotations

from running import Watch, changelogs, run, settings
from stamps import SETTINGS, Stamps

from schemas.wire import Codec
from streams.agents.pipeline import steps
from streams.config import Config
from streams.engine.application import build_app
from streams.engine.selection import only, whole
from streams.engine.step import Step
from streams.engine.topology import build
from streams.ops.admin import Admin

watch = Watch(Stamps(), SETTINGS["until"])


def readers() -> dict[str, str]:
    """The first step that reads each input that is waited for."""
    found: dict[str, str] = {}
    for step in steps(Config()):
        for topic in step.reads:
            if topic.name in SETTINGS["until"]:
                found.setdefault(topic.name, step.name)
    return found


def watched() -> list[Step]:
    """The main job's steps, those among them that are waited for being watched."""
    by_step = {step: topic for topic, step in readers().items()}
    return [
        watch.watched(step, by_step[step.name]) if step.name in by_step else step
        for step in steps(Config())
    ]


selection = whole(build(watched()), settings.application)
if SETTINGS["steps"]:
    selection = only(selection, SETTINGS["steps"])
watch.changelogs = changelogs(selection)
Admin(settings).apply(selection.part)
run(build_app(selection, settings, Codec()))
