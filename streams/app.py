"""The main job's application: ``faust -A streams.app worker`` and ``streams worker`` run it.

Faust's own command has no health endpoints and no logs of ours; what ends a worker that does
nothing is the same.
"""

from __future__ import annotations

from collections.abc import Iterable

from streams.agents.pipeline import topology
from streams.broker import default_bootstrap
from streams.config import Config, load
from streams.engine.application import Companion, build_app, no_report, say
from streams.engine.own_types import teach
from streams.engine.rerun import rerun
from streams.engine.runner import Report
from streams.engine.selection import Selection, whole
from streams.engine.settings import settings_of
from streams.ops.health import companions as lookout
from streams.ops.outage import Outage
from streams.ops.watching import Watch
from streams.registry import codec_for

FALLBACK_BOOTSTRAP = "127.0.0.1:9092"


def make_app(
    config: Config,
    bootstrap: str,
    report: Report = no_report,
    selection: Selection | None = None,
    companions: Iterable[Companion] = (),
) -> object:
    """The Faust application of the main job, or of what is selected.

    Raises RegistryError when it cannot know its schema ids.
    """
    codec = teach(codec_for(config, lambda words: report("schema_ids", {"note": words})))
    chosen = selection or rerun(whole(topology(config), config.id), config)
    return build_app(chosen, settings_of(config, bootstrap), codec, report, companions)


def __getattr__(name: str) -> object:
    """Build ``app`` when Faust asks for it: importing this module does not need a broker."""
    if name != "app":
        raise AttributeError(name)
    config, bootstrap = load().config, default_bootstrap() or FALLBACK_BOOTSTRAP
    outage = Outage()
    watch = Watch(say, outage)
    beside = lookout(None, watch, outage, settings_of(config, bootstrap))
    built = make_app(config, bootstrap, watch, companions=beside)
    globals()["app"] = built
    return built
