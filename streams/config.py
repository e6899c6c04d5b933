"""Configuration: flag > environment (``STREAMS_``) > file (TOML) > default, validated, with origin.

A nested setting is written ``STREAMS_ENGINE__CHECKPOINT_MS=100`` in the environment; a name that
ends in ``_FILE`` gives the path of a file that holds the value.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from schemas.addresses import http_address
from streams.chain.payments import PaymentSettings
from streams.tuning import DAY_MS, EngineTuning
from streams.wire.secrets import too_wide
from streams.wire.settings import WireSettings

PREFIX = "STREAMS_"
ORIGINAL = "original"
"""The run whose topics have the names of the code."""
DEFAULT_FILE = "streams.toml"
_SECRET = re.compile(r"password|secret|token|user_info|credential", re.IGNORECASE)
_PUBLIC = ("_location",)
"""Where a secret lies is none."""
_NOT_SETTINGS = ("STREAMS_BROKER", "STREAMS_CONFIG", "STREAMS_HOME", "STREAMS_DEEP")


def is_secret(name: str) -> bool:
    """Whether the value of a setting of this name is never shown nor logged.

    >>> is_secret("sasl.password"), is_secret("partitions")
    (True, False)
    """
    return _SECRET.search(name) is not None and not name.endswith(_PUBLIC)


class ConfigError(ValueError):
    """A setting is wrong; the message names it, where it came from, and the remedy."""


class RunSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which run of the topology is meant; what `streams replay start` recorded of it."""

    name: str = ""
    """Its name; empty: the one that `streams replay switch` made the current one. `original` is the
    first one, whose topics have the names of the code."""
    source_partitions: int = 0
    """Partitions of the sources, dead letters and late records, where the run has others; 0: the
    same. Filled in from the record of the run."""
    starts: list[str] = []
    """Where the run began: TOPIC/PARTITION=OFFSET of each source. Filled in likewise."""

    @property
    def offsets(self) -> dict[str, int]:
        """The same by topic/partition; raises ConfigError."""
        found = {}
        for text in self.starts:
            place, sign, offset = text.partition("=")
            if not (sign and "/" in place and offset.isascii() and offset.isdigit()):
                raise ConfigError(f"run.starts has {text!r}: write TOPIC/PARTITION=OFFSET")
            found[place] = int(offset)
        return found

    @property
    def beside(self) -> str:
        """The name of a run other than the original, else empty."""
        return "" if self.name == ORIGINAL else self.name


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set."""

    application: str = "streams"
    """Application id: consumer group, transactional ids, changelogs."""
    partitions: int = 4
    """Partitions of every topic but `streams.redrives` (2) and `<application>-runs` (1)."""
    kafka: WireSettings = WireSettings()
    engine: EngineTuning = EngineTuning()
    run: RunSettings = RunSettings()
    payments: PaymentSettings = PaymentSettings()
    entity_window_ms: int = 3_600_000
    """Size of the tumbling window in which an entity's activity, links and scores meet."""
    model_boundary_ms: int = 600_000
    """Event time between two model snapshots: labels inside one window are learned together."""
    label_tolerance_ms: int = DAY_MS
    """How long after a transaction a label still meets its features: they are kept that long."""
    schema_registry: str | None = None
    """Address of a schema registry (Confluent's interface); without it the committed ids are used.
    Several addresses of one registry are joined by commas."""
    schema_registry_user_info: str | None = None
    """``user:password`` of the registry, never shown: STREAMS_SCHEMA_REGISTRY_USER_INFO(_FILE)."""
    health_listen: str | None = None
    """``HOST:PORT`` at which a worker answers /livez, /readyz and /metrics; without it, nowhere.
    Port 0 is any free one, and is said in the log."""
    log_format: Literal["auto", "console", "json"] = "auto"
    """How a worker logs: ``auto`` is for people on a terminal, else JSON, one object a line."""
    log_level: Literal["debug", "info", "warn", "error"] = "info"
    """The least that a worker logs; of the libraries below ``debug``, warnings and errors only."""

    @property
    def id(self) -> str:
        """The application id of what runs: each run has one of its own."""
        beside = self.run.beside
        return f"{self.application}-{beside}" if beside else self.application

    def __repr__(self) -> str:
        """Without values: some are secret."""
        return f"Config(application={self.application!r})"


class Loaded(msgspec.Struct, frozen=True):
    """A configuration and where each value came from (dotted name to origin)."""

    config: Config
    origins: dict[str, str]
    warnings: tuple[str, ...] = ()
    """Files with secrets that others may read."""

    def __repr__(self) -> str:
        return "Loaded()"


def load(
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    path: Path | None = None,
) -> Loaded:
    """Build the configuration; raises ConfigError."""
    env = os.environ if environment is None else environment
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    file = _file(env, path)
    if file is not None:
        _merge(merged, _read(file), origins, f"file {file}")
    for variable, name, value in _from_environment(env):
        _set(merged, name, value, origins, f"environment {variable}")
    for name, value in (flags or {}).items():
        if value is not None:
            _refuse_secret(name)
            _set(merged, name, value, origins, f"flag --{name.replace('_', '-')}")
    try:
        config = msgspec.convert(merged, Config, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(str(error), origins)) from error
    _check(config)
    found = {n: origins.get(n, "default") for n in _names(config)}
    return Loaded(config, found, tuple(_open_files(config, found, env, file)))


def _refuse_secret(name: str) -> None:
    """What stands on a command line is seen by everybody on the machine."""
    if is_secret(name):
        variable = f"{PREFIX}{name.upper().replace('.', '__')}"
        raise ConfigError(
            f"{name} is secret and arguments are not: put it in {variable}, or in the file that "
            f"{variable}_FILE names"
        )


def _open_files(
    config: Config, origins: Mapping[str, str], env: Mapping[str, str], file: Path | None
) -> Iterator[str]:
    """What to say of files that hold secrets."""
    named = [Path(v) for n, v in env.items() if v and n.startswith(PREFIX) and n.endswith("_FILE")]
    wire = config.kafka
    named += [Path(p) for p in (wire.key_location, wire.oauth_token_location) if p is not None]
    if file is not None and any(is_secret(n) and o.startswith("file ") for n, o in origins.items()):
        named.append(file)
    yield from (words for path in named if (words := too_wide(path)) is not None)


def _file(env: Mapping[str, str], path: Path | None) -> Path | None:
    if path is None and env.get("STREAMS_CONFIG"):
        path = Path(env["STREAMS_CONFIG"])
    if path is not None and not path.is_file():
        raise ConfigError(f"there is no configuration file {path}: name one that exists")
    if path is None and Path(DEFAULT_FILE).is_file():
        return Path(DEFAULT_FILE)
    return path


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error


def _from_environment(env: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Variable, setting and value of each variable that is ours."""
    for variable, value in env.items():
        name = variable
        if not name.startswith(PREFIX) or name in _NOT_SETTINGS or name.startswith("STREAMS_TEST"):
            continue
        if not value:  # as good as not set: compose files cannot leave one out
            continue
        if name.endswith("_FILE"):
            name, value = name.removesuffix("_FILE"), _text(variable, Path(value))
        yield variable, name.removeprefix(PREFIX).lower().replace("__", "."), value


def _text(variable: str, path: Path) -> str:
    try:
        return path.read_text().strip()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} ({variable}) is not text: {error}") from error


def _merge(
    into: dict[str, Any], what: dict[str, Any], origins: dict[str, str], origin: str
) -> None:
    for name, value in _flatten(what):
        _set(into, name, value, origins, origin)


def _flatten(what: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in what.items():
        found += (
            _flatten(value, f"{prefix}{name}.")
            if isinstance(value, dict)
            else [(prefix + name, value)]
        )
    return found


def _set(into: dict[str, Any], name: str, value: Any, origins: dict[str, str], origin: str) -> None:
    *path, last = name.split(".")
    for place, part in enumerate(path, 1):
        into = into.setdefault(part, {})
        if not isinstance(into, dict):
            outer = ".".join(path[:place])
            raise ConfigError(
                f"{name} ({origin}) cannot be set where {outer} has a value: drop one"
            )
    into[last] = value
    origins[name] = origin


def _names(struct: msgspec.Struct, prefix: str = "") -> list[str]:
    names: list[str] = []
    for field in struct.__struct_fields__:
        value = getattr(struct, field)
        if isinstance(value, msgspec.Struct):
            names += _names(value, f"{prefix}{field}.")
        else:
            names.append(prefix + field)
    return names


def _explain(message: str, origins: Mapping[str, str]) -> str:
    name = message.rpartition("$.")[2].rstrip("`") if "$." in message else ""
    origin = f" (from {origins[name]})" if name in origins else ""
    if "unknown field" in message:
        wrong = message.split("`")[1]
        near = difflib.get_close_matches(wrong, [*_names(Config()), *Config.__struct_fields__])
        hint = f": did you mean {near[0]}?" if near else ": `streams config show` lists all"
        return f"unknown setting {wrong!r}{hint}"
    return f"{message}{origin}"


def _check(config: Config) -> None:
    if config.partitions < 1:
        raise ConfigError(f"partitions must be at least 1, not {config.partitions}")
    if config.engine.retract_grace_ms < config.engine.grace_ms:
        raise ConfigError("engine.retract_grace_ms must not be less than engine.grace_ms")
    if config.engine.retract_grace_ms > DAY_MS:
        raise ConfigError(
            f"engine.retract_grace_ms must not be above {DAY_MS}: steps keep what can be undone "
            "for one day"
        )
    if config.entity_window_ms < 1 or config.model_boundary_ms < 1:
        raise ConfigError("entity_window_ms and model_boundary_ms must be at least 1")
    if config.label_tolerance_ms < 0:
        raise ConfigError("label_tolerance_ms must not be negative")
    if config.health_listen is not None:
        host_and_port(config.health_listen)
    for address in config.schema_registry.split(",") if config.schema_registry is not None else ():
        _check_address(address.strip())
    if config.schema_registry_user_info is not None and ":" not in config.schema_registry_user_info:
        raise ConfigError("schema_registry_user_info has no colon: write user:password")


def host_and_port(address: str) -> tuple[str, int]:
    """The parts of ``health_listen``; raises ConfigError.

    >>> host_and_port("127.0.0.1:8080"), host_and_port("[::1]:0")
    (('127.0.0.1', 8080), ('::1', 0))
    """
    host, sign, port = address.rpartition(":")
    if not (sign and host and port.isascii() and port.isdigit() and int(port) < 65536):
        raise ConfigError(f"health_listen is no address ({address!r}): write 127.0.0.1:8080")
    return host.strip("[]"), int(port)


def _check_address(address: str) -> None:
    """No message shows an address that holds a password."""
    if "@" in address:
        raise ConfigError(
            "schema_registry holds credentials, which are shown: "
            "put user:password in STREAMS_SCHEMA_REGISTRY_USER_INFO"
        )
    if http_address(address) is None:
        raise ConfigError(
            f"schema_registry is no address ({address!r}): write http://HOST:PORT/PATH"
        )
