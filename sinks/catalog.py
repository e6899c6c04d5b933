"""The sinks that can be named in settings: ours, and those that other packages bring.

A package adds a sink by an entry point of the group ``streams.sinks`` that names its class. The
class has a ``summary``, a ``Config`` (a msgspec Struct with a description for each field, from
which documentation and checks are derived) and takes one ``Config`` when it is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, cast

import msgspec
from msgspec import inspect

from sinks.base import Permanent, Sink

GROUP = "streams.sinks"
"""The entry point group."""

BUILT_IN = {
    "duckdb": "sinks.duckdb:DuckDBSink",
    "memory": "sinks.memory:MemorySink",
    "ndjson": "sinks.ndjson:NdjsonSink",
    "parquet": "sinks.parquet:ParquetSink",
    "postgres": "sinks.postgres:PostgresSink",
    "webhook": "sinks.webhook:WebhookSink",
}
"""Our own sinks; an entry point cannot take their names."""


class SinkType(Protocol):
    """A sink's class."""

    Config: type[msgspec.Struct]
    summary: str

    def __call__(self, config: msgspec.Struct, /) -> Sink:
        """Open the sink."""


class Setting(msgspec.Struct, frozen=True):
    """One described setting of a sink."""

    name: str
    type: str
    required: bool
    default: object
    description: str


def names() -> list[str]:
    """Return the names of all sinks, sorted; none is imported."""
    return sorted({*BUILT_IN, *_entries()})


def load(name: str) -> SinkType:
    """Return the class of a sink; raises Permanent for a name that nobody has."""
    if name in BUILT_IN:
        module, _, cls = BUILT_IN[name].partition(":")
        return cast(SinkType, getattr(import_module(module), cls))
    entry = _entries().get(name)
    if entry is None:
        raise Permanent(f"there is no sink {name!r}", f"choose one of: {', '.join(names())}")
    return cast(SinkType, entry.load())


def open_sink(name: str, settings: Mapping[str, object]) -> Sink:
    """Open a sink; raises Permanent that names the setting that is wrong.

    >>> open_sink("memory", {}).positions()
    {}
    """
    sink = load(name)
    try:
        config = msgspec.convert(dict(settings), sink.Config, strict=False)
    except msgspec.ValidationError as error:
        known = ", ".join(setting.name for setting in describe(name)) or "none"
        raise Permanent(f"sink {name!r}: {error}", f"its settings are: {known}") from error
    return sink(config)


def describe(name: str) -> list[Setting]:
    """Return the settings of a sink, for documentation; its driver need not be installed.

    >>> [(s.name, s.required) for s in describe("duckdb")]
    [('path', True), ('threads', False)]
    """
    info = inspect.type_info(load(name).Config)
    assert isinstance(info, inspect.StructType)
    return [_setting(field) for field in info.fields]


def _setting(field: inspect.Field) -> Setting:
    described = field.type
    schema = described.extra_json_schema if isinstance(described, inspect.Metadata) else None
    bare = described.type if isinstance(described, inspect.Metadata) else described
    return Setting(
        name=field.name,
        type=_words(bare),
        required=field.required,
        default=None if field.required else field.default,
        description=(schema or {}).get("description", ""),
    )


def _words(info: inspect.Type) -> str:
    if isinstance(info, inspect.LiteralType):
        return " | ".join(map(str, info.values))
    return type(info).__name__.removesuffix("Type").lower()


def _entries() -> dict[str, EntryPoint]:
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    return {name: entry for name, entry in found.items() if name not in BUILT_IN}
