"""What a consumer yields: records, changes of what is true, and what could not be read."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

import msgspec
from msgspec import structs

from schemas.envelope import Event

V_co = TypeVar("V_co", covariant=True)

Because = Literal["retracted", "replaced", "disconnected"]
"""Why a fact was withdrawn: its writer took it back, its id has another value now, or its block was
disconnected before the retract was read."""


class Record(msgspec.Struct, Generic[V_co], frozen=True):
    """One event and where it is."""

    topic: str
    partition: int
    offset: int
    append_ts: int
    """When the broker, or else its producer, stamped the record (ms)."""
    event: Event

    @property
    def value(self) -> V_co:
        """The typed value."""
        value: V_co = self.event.value
        return value

    @property
    def id(self) -> str:
        return self.event.id

    @property
    def key(self) -> str:
        return self.event.key

    @property
    def ts(self) -> int:
        """Event time (ms)."""
        return self.event.ts

    @property
    def op(self) -> str:
        """``assert`` or ``retract``."""
        return self.event.op


class Asserted(Record[V_co], Generic[V_co], frozen=True):
    """A fact is true from here on."""


class Withdrawn(Record[V_co], Generic[V_co], frozen=True):
    """A fact that was asserted is true no longer; ``event`` is what was asserted, as a retract.

    The place is that of the record which withdrew it, except where there is none
    (``disconnected``): then it is the fact's own.
    """

    because: Because


class Malformed(msgspec.Struct, frozen=True):
    """A record that is no event of its topic; nothing of it was used."""

    topic: str
    partition: int
    offset: int
    cause: str
    key: bytes | None
    raw: bytes | None
    """Its value, as it is."""
    headers: list[tuple[str, bytes]]


Change = Asserted[V_co] | Withdrawn[V_co]
Fact = tuple[str, str]
"""Topic and event id."""


def fact_of(record: Record[Any]) -> Fact:
    """What a record speaks about."""
    return record.topic, record.event.id


def asserted(record: Record[V_co]) -> Asserted[V_co]:
    """The record as the beginning of its fact."""
    r = record
    return Asserted(r.topic, r.partition, r.offset, r.append_ts, r.event)


def withdrawn(old: Record[V_co], by: Record[Any], because: Because) -> Withdrawn[V_co]:
    """The end of the fact ``old``, told by the record ``by``."""
    event = structs.replace(old.event, op="retract", correction=True)
    return Withdrawn(by.topic, by.partition, by.offset, by.append_ts, event, because)
