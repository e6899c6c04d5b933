"""The committed lock: exactly which jars the embedded Kafka consists of, by digest."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

import msgspec

LOCK_NAME = "kafka.lock.toml"


class Jar(msgspec.Struct, frozen=True):
    """One file of the class path: Maven coordinates, size in bytes, SHA-256 in hex."""

    group: str
    artifact: str
    version: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """File name, unique in the lock."""
        return f"{self.artifact}-{self.version}.jar"


class Lock(msgspec.Struct, frozen=True):
    """The version of Kafka and its jars, in the order of the class path."""

    kafka: str
    jars: tuple[Jar, ...]

    @property
    def size(self) -> int:
        """Size of all jars in bytes."""
        return sum(jar.size for jar in self.jars)


def load_lock() -> Lock:
    """Read the lock that this package carries."""
    text = files("streams.broker").joinpath(LOCK_NAME).read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), Lock)


def dump_lock(lock: Lock) -> str:
    """Write a lock as TOML.

    >>> print(dump_lock(Lock("4.3.1", (Jar("org.a", "b", "1", 7, "00"),))))
    # Written by `python -m streams.broker.relock`; read before each start of the embedded broker.
    kafka = "4.3.1"
    <BLANKLINE>
    [[jars]]
    group = "org.a"
    artifact = "b"
    version = "1"
    size = 7
    sha256 = "00"
    <BLANKLINE>
    """
    head = (
        "# Written by `python -m streams.broker.relock`; "
        "read before each start of the embedded broker.\n"
        f'kafka = "{lock.kafka}"\n'
    )
    return head + "".join(_table(msgspec.to_builtins(jar)) for jar in lock.jars)


def _table(fields: dict[str, Any]) -> str:
    lines = (f"{key} = {_value(value)}\n" for key, value in fields.items())
    return "\n[[jars]]\n" + "".join(lines)


def _value(value: str | int) -> str:
    return str(value) if isinstance(value, int) else f'"{value}"'
