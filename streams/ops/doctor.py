"""Check what the system needs; every check says what is wrong and what to do about it."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from confluent_kafka import KafkaException

from schemas.compat import breaks
from schemas.registry import locked_ids
from schemas.release import RELEASED_DIR, load, versions
from streams.broker.errors import BrokerError
from streams.broker.java import java_binary
from streams.broker.lock import load_lock
from streams.broker.paths import cache_home, data_home
from streams.config import Config
from streams.engine.durability import copied
from streams.engine.settings import settings_of
from streams.ops.admin import Admin, OpsError, Planned
from streams.ops.own_topics import needed, shares
from streams.ops.runs import Runs, topic_of
from streams.ops.target import require_broker, require_listener
from streams.wire.errors import WireError, no_right
from streams.wire.mapping import librdkafka
from streams.wire.settings import WireSettings

if TYPE_CHECKING:
    from streams.ops.cluster import State

NOTHING = "nothing to do"
FREE_BYTES = 2 << 30
"""Below it, topics of a few blocks and their changelogs may not fit."""
_PINNED = re.compile(r"([A-Za-z0-9._-]+)(\[[^]]*\])?(==|>=)([0-9.]+)$")


class Check(NamedTuple):
    """One line of the report."""

    check: str
    state: State
    found: str
    remedy: str = NOTHING


def checks(config: Config, bootstrap: str | None, warnings: Sequence[str] = ()) -> Iterator[Check]:
    """All checks, in the order in which one thing needs another."""
    yield python()
    yield packages()
    yield schema_ids()
    yield schema_release()
    yield java()
    yield jars()
    yield disk(data_home())
    yield secrets(warnings)
    yield encryption(config.kafka)
    found = broker(bootstrap, lambda address: require_broker(address, librdkafka(config.kafka)))
    yield found
    if bootstrap is not None and found.state == "ok":
        kafka = {**librdkafka(config.kafka), "bootstrap.servers": bootstrap}
        yield from brokers(kafka, config.engine.transaction_timeout_ms)
        yield from topics(config, bootstrap)


def python(found: tuple[int, ...] = sys.version_info[:3]) -> Check:
    """The interpreter's version."""
    words = ".".join(map(str, found))
    if (3, 11) <= found[:2] < (3, 14):
        return Check("python", "ok", words)
    return Check("python", "fail", words, "use Python 3.11, 3.12 or 3.13")


def packages(wanted: list[str] | None = None) -> Check:
    """What the package needs is installed, in the versions that it was tested with."""
    named = requires("streams") if wanted is None else wanted
    wrong = [words for text in named or [] if (words := _missing(text)) is not None]
    if not wrong:
        return Check("packages", "ok", "all installed")
    return Check("packages", "fail", "; ".join(wrong), "install again: pip install streams")


def _missing(requirement: str) -> str | None:
    match = _PINNED.match(requirement)
    if match is None:
        return None
    name, _, sign, wanted = match.groups()
    try:
        have = version(name)
    except PackageNotFoundError:
        return f"{name} is not installed"
    fits = have == wanted if sign == "==" else _numbers(have) >= _numbers(wanted)
    return None if fits else f"{name} is {have}, not {sign}{wanted}"


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)))


def schema_ids() -> Check:
    """Every event type has its id, and no schema was edited after it had one."""
    try:
        return Check("schema ids", "ok", f"{len(locked_ids())} types")
    except ValueError as error:
        cause, _, remedy = str(error).partition(": ")
        return Check("schema ids", "fail", cause, remedy)


def schema_release() -> Check:
    """Schemas are compatible with the last release."""
    released = versions()
    if not released:
        remedy = "keep one with `streams schemas release`"
        return Check("schema release", "warn", "no release yet", remedy)
    found = breaks(load(RELEASED_DIR / released[-1]), load())
    if found:
        words = f"{len(found)} incompatible changes since {released[-1]}"
        return Check("schema release", "fail", words, "`streams schemas check` names them")
    return Check("schema release", "ok", f"compatible with {released[-1]}")


def java() -> Check:
    """There is a Java for the embedded broker; a broker of your own needs none."""
    try:
        return Check("java", "ok", str(java_binary()))
    except BrokerError as error:
        return Check("java", "warn", error.cause, error.remedy)


def jars(home: Path | None = None) -> Check:
    """The embedded Kafka's parts lie in the cache; their digests are checked at each start."""
    lock, folder = load_lock(), (home or cache_home()) / "jars"
    missing = sum(1 for jar in lock.jars if not _has(folder / jar.name, jar.size))
    words = f"Kafka {lock.kafka}, {len(lock.jars)} files"
    if not missing:
        return Check("embedded kafka", "ok", words)
    remedy = f"`streams broker start` fetches them once ({lock.size >> 20} MiB in all)"
    return Check("embedded kafka", "warn", f"{words}, {missing} not fetched yet", remedy)


def _has(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def disk(folder: Path, least: int = FREE_BYTES) -> Check:
    """Room for the embedded broker's data."""
    present = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(present).free
    words = f"{free >> 30} GiB free for {folder}"
    if free >= least:
        return Check("disk", "ok", words)
    return Check("disk", "warn", words, "free some space, or move it by STREAMS_HOME")


def broker(bootstrap: str | None, listens: Callable[[str], None] = require_listener) -> Check:
    """A broker is named and lets us in."""
    if bootstrap is None:
        return Check(
            "broker",
            "fail",
            "none is named and no embedded one runs",
            "start one with `streams broker start`, or name yours by --broker or STREAMS_BROKER",
        )
    try:
        listens(bootstrap)
    except (OpsError, WireError) as error:
        return Check("broker", "fail", error.cause, error.remedy)
    return Check("broker", "ok", bootstrap)


def brokers(kafka: Mapping[str, Any], ours_ms: int) -> Iterator[Check]:
    """The brokers can do what exactly-once delivery needs, and are set up for it."""
    from streams.ops.cluster import findings, look  # noqa: PLC0415

    try:
        cluster = look(kafka)
    except KafkaException as error:
        yield Check("brokers", "fail", error.args[0].str(), "see why they do not answer")
        return
    for said in findings(cluster, ours_ms):
        yield Check(said.check, said.state, said.found, said.remedy or NOTHING)


def secrets(warnings: Sequence[str]) -> Check:
    """Files that hold secrets are for us alone."""
    if not warnings:
        return Check("secrets", "ok", "no file is open to others")
    causes, _, remedy = "; ".join(warnings).rpartition(": ")
    return Check("secrets", "warn", causes, remedy)


def encryption(wire: WireSettings) -> Check:
    """Nobody between us and the broker can read along, or pass for it."""
    words = wire.protocol + (f", {wire.mechanism}" if wire.sasl else "")
    if wire.protocol == "SASL_PLAINTEXT":
        plain = "the password" if wire.mechanism == "PLAIN" else "everything but the password"
        return Check("wire", "warn", f"{words}: {plain} is in the clear", "use SASL_SSL")
    if wire.tls and not wire.check_hostname:
        words = f"{words}: a broker may have any name that the CA signed"
        return Check("wire", "warn", words, "set kafka.check_hostname to true")
    return Check("wire", "ok", words)


def topics(config: Config, bootstrap: str) -> Iterator[Check]:
    """Every topic of the current run is there, with the right partition count and settings."""
    try:
        admin = Admin(settings_of(config, bootstrap))
        known = Runs(admin, config.application).read()
        plan = admin.plan(needed(shares(config, known, bootstrap)))
    except (OpsError, WireError) as error:
        yield Check("topics", "fail", error.cause, error.remedy)
        return
    except KafkaException as error:
        refused = no_right(error, "see which run is the current one")
        words = error.args[0].str() if refused is None else refused.cause
        remedy = "see why the brokers do not answer" if refused is None else refused.remedy
        yield Check("topics", "fail", words, remedy)
        return
    wrong = [planned for planned in plan if planned.state != "ok"]
    yield from map(_topic, wrong)
    if not wrong:
        yield Check("topics", "ok", f"{len(plan)} topics as planned")
    yield from copies(config, bootstrap, [planned.topic for planned in plan])


def copies(config: Config, bootstrap: str, names: Iterable[str]) -> Iterator[Check]:
    """Each of our topics outlasts the loss of a broker, where there are several."""
    names = [*names, topic_of(config.application)]
    try:
        found = copied(settings_of(config, bootstrap), names)
    except KafkaException as error:
        yield Check("copies", "fail", error.args[0].str(), "see why the brokers do not answer")
        return
    for one in found:
        yield Check(
            f"copies of {one.topic}", "fail" if one.fatal else "warn", one.cause, one.remedy
        )
    if not found:
        yield Check("copies", "ok", "every topic has what the brokers can give")


def _topic(planned: Planned) -> Check:
    name = f"topic {planned.topic}"
    if planned.state.startswith("has "):
        remedy = "set `partitions` to what the topics have, or replay into new topics"
        return Check(name, "fail", planned.state, remedy)
    state: State = "fail" if planned.state == "missing" else "warn"
    return Check(name, state, planned.state, "`streams topics apply`")
