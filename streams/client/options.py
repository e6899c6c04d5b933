"""The options of a consumer, and what becomes of them."""

from __future__ import annotations

import logging
from typing import Any, Literal, TypedDict

import msgspec

from streams.client.errors import BadOption
from streams.client.start import Start, checked
from streams.topics import BY_TOPIC, Topic

LOG = logging.getLogger("streams.client")
View = Literal["events", "net"]


class Common(TypedDict, total=False):
    """What a consumer can be told; every option by name."""

    start: Start
    """From where to yield; with ``group`` only where the group has no position yet."""
    until: Literal["end"] | None
    """``end``: stop at the end that the log had at the start. None: never stop."""
    group: str | None
    """A consumer group: partitions are shared with its other members, positions are stored."""
    commit: Literal["auto", "manual"]
    """``auto``: what was processed is committed every ``commit_seconds`` and at the close."""
    commit_seconds: float
    unanchored: bool
    """With ``confirmations``: yield facts without a block (mempool, labels) at once."""
    horizon_ms: int | None
    """Bounds the memory of ``net`` and ``confirmations``: facts older than that are let go."""
    timeout: float
    """Seconds without progress after which a request, or ``until="end"``, raises TimedOut."""
    registry: str | None
    """Address of a schema registry; without it the ids of the package's lock are used."""
    registry_user_info: str | None
    """``user:password`` of the registry."""
    kafka: dict[str, Any]
    """More librdkafka settings: TLS, SASL, fetch sizes."""


class Options(Common, total=False):
    """The options, with those that decide what is yielded."""

    view: View
    """``events``: every record; ``net``: the changes that they make to what is true."""
    confirmations: int | None
    """Only facts whose block is buried so deep, 1 is the tip; implies the net view."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The options with their defaults."""

    bootstrap: str
    topics: tuple[Topic | str, ...]
    start: Start = "beginning"
    until: Literal["end"] | None = None
    group: str | None = None
    commit: Literal["auto", "manual"] = "auto"
    commit_seconds: float = 5.0
    view: View = "events"
    confirmations: int | None = None
    unanchored: bool = False
    horizon_ms: int | None = None
    timeout: float = 60.0
    registry: str | None = None
    registry_user_info: str | None = None
    malformed: Literal["skip", "yield"] = "skip"
    kafka: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The topics by name."""
        return tuple(dict.fromkeys(t if isinstance(t, str) else t.name for t in self.topics))

    @property
    def folds(self) -> bool:
        """Whether what is yielded depends on what came before."""
        return self.view == "net" or self.confirmations is not None


_CHOICES = {
    "until": ("end", None),
    "commit": ("auto", "manual"),
    "view": ("events", "net"),
    "malformed": ("skip", "yield"),
}


def settings_of(
    bootstrap: str, topics: tuple[Topic | str, ...], options: dict[str, Any]
) -> Settings:
    """Check the options; raises BadOption, or TypeError for one that does not exist."""
    made = Settings(bootstrap=bootstrap, topics=topics, **options)
    for name, choices in _CHOICES.items():
        if getattr(made, name) not in choices:
            words = " or ".join(repr(choice) for choice in choices)
            raise BadOption(f"{name}={getattr(made, name)!r} does not exist", f"write {words}")
    if not topics:
        raise BadOption("no topic is named", "name one of streams.topics, or several")
    for name in made.names:
        _check_topic(name)
    if made.horizon_ms is not None and not made.folds:
        raise BadOption("horizon_ms bounds what a view remembers", 'add view="net"')
    if made.unanchored and made.confirmations is None:
        raise BadOption("unanchored says what confirmations do", "add confirmations=n")
    _check_kafka(made.kafka)
    return msgspec.structs.replace(made, start=checked(made.start))


def _check_topic(name: str) -> None:
    known = BY_TOPIC.get(name)
    if known is not None and not known.stored:
        raise BadOption(f"{name} is passed in memory between steps", "read what follows from it")
    if known is not None and known.event_type is None:
        raise BadOption(
            f"{name} holds original bytes, not events", "read it with `streams dlq` or Reader"
        )


_OURS = {
    "bootstrap.servers": "the first argument",
    "group.id": "group=",
    "auto.offset.reset": "start=",
    "enable.auto.commit": "commit=",
    "enable.auto.offset.store": "commit=",
    "isolation.level": "nothing: uncommitted records are no facts",
    "enable.partition.eof": "until=",
    "partition.assignment.strategy": "nothing: the client needs an eager one",
}


def _check_kafka(kafka: dict[str, Any]) -> None:
    for name in kafka:
        if name in _OURS:
            raise BadOption(f"kafka={{{name!r}: ...}} is the client's own setting",
                            f"use {_OURS[name]}")  # fmt: skip
