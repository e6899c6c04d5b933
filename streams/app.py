"""The main job's application: ``faust -A streams.app worker`` and ``streams worker`` run it."""

from __future__ import annotations

from streams.agents.pipeline import topology
from streams.broker import default_bootstrap
from streams.config import Config, load
from streams.engine.application import build_app, no_report, say
from streams.engine.runner import Report
from streams.engine.settings import settings_of
from streams.engine.topology import Topology
from streams.registry import codec_for

FALLBACK_BOOTSTRAP = "127.0.0.1:9092"


def make_app(config: Config, bootstrap: str, report: Report = no_report) -> object:
    """The main job's Faust application; raises RegistryError when it cannot know its schema ids."""
    codec = codec_for(config, lambda words: report("schema_ids", {"note": words}))
    return build_app(make_topology(config), settings_of(config, bootstrap), codec, report)


def make_topology(config: Config) -> Topology:
    """The main job's topology under this configuration."""
    return topology(config)


def __getattr__(name: str) -> object:
    """Build ``app`` when Faust asks for it: importing this module does not need a broker."""
    if name != "app":
        raise AttributeError(name)
    config = load().config
    built = make_app(config, default_bootstrap() or FALLBACK_BOOTSTRAP, say)
    globals()["app"] = built
    return built
