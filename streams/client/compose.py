"""From a typed value to the record that carries it: id, key, headers and frame from its type."""

from __future__ import annotations

from typing import Any, NamedTuple, TypedDict

import msgspec

from schemas.catalog import BY_NAME, TYPES, EventType
from schemas.envelope import Anchor, Event, Op
from schemas.errors import SchemaError, WrongSchema
from schemas.events import Block, Transaction, Value
from schemas.headers import Headers, to_headers
from schemas.validate import validate
from schemas.wire import Codec
from streams.client.errors import Refused
from streams.topics import STORED, Topic


class Envelope(TypedDict, total=False):
    """What may be said about an event beside its value; every option by name."""

    id: str | None
    """Only for types whose value does not make the id (the derived ones)."""
    topic: Topic | None
    """Only for types of your own: ours have one topic each."""
    correction: bool
    anchor: Anchor | None
    """The block that the fact depends on; blocks and transactions know their own."""
    correlation_id: str | None
    causation_id: str | None
    priority: int
    version: int
    """Number of the change at its writer."""


class Composed(NamedTuple):
    """A record, ready to be sent."""

    topic: Topic
    id: str
    key: bytes
    value: bytes
    headers: Headers


_BY_CLASS: dict[type, EventType] = {event_type.cls: event_type for event_type in TYPES}


def topic_of(value: Value, given: Topic | None = None) -> Topic:
    """The topic that carries values of this class; raises Refused."""
    event_type = _BY_CLASS.get(type(value))
    for topic in STORED:
        if event_type is not None and topic.event_type == event_type.name:
            return topic
    if given is not None and given.event_type in BY_NAME and type(value) is given.type.cls:
        return given
    raise Refused(
        f"{type(value).__name__} is no event of ours",
        "send one of the classes of schemas.events; pass topic= with one of your own",
    )


def event_of(
    value: Value, ts: int | None, op: Op, source: str, now_ts: int, envelope: Envelope
) -> Event:
    """The event of a value; raises Refused where something is missing that nothing else gives."""
    rest: dict[str, Any] = dict(envelope)
    topic = topic_of(value, rest.pop("topic", None))
    moment = _event_time(value, now_ts) if ts is None else ts
    given = rest.pop("id", None)
    anchor = rest.pop("anchor", None) or _own_anchor(value)
    return Event(
        _id(topic.type, value, given),
        topic.key_of(value),
        moment,
        op,
        value,
        correction=rest.pop("correction", False) or op == "retract",
        type=topic.type.name,
        anchor=anchor,
        ingest_ts=now_ts,
        producer=source,
        **rest,
    )


def _id(event_type: EventType, value: Value, given: str | None) -> str:
    own = event_type.event_id(value)
    if own is None and given is None:
        raise Refused(
            f"the value of a {event_type.name} does not say what its id is",
            "pass id=, the same one for the same fact (schemas.ids.digest_id makes one)",
        )
    if own is not None and given not in (None, own):
        raise Refused(
            f"id is {str(given)[:80]!r}, the id of this value is {own}",
            "leave id= out: it is derived from the value",
        )
    return own or given or ""


def _event_time(value: Value, now_ts: int) -> int:
    if isinstance(value, Block | Transaction):
        raise Refused(
            f"the event time of a {type(value).__name__.lower()} is its block's, not now",
            "pass ts=: the greater of the header's time and the ts of its parent, in ms",
        )
    return int(getattr(value, "message_ts", now_ts))


def _own_anchor(value: Value) -> Anchor | None:
    if isinstance(value, Block):
        return Anchor(value.network, value.height, value.hash)
    if isinstance(value, Transaction) and value.block_hash and value.block_height is not None:
        return Anchor(value.network, value.block_height, value.block_hash)
    return None


def compose(event: Event, topic: Topic, codec: Codec, derived: bool) -> Composed:
    """Check an event and encode it; raises Refused."""
    if not topic.source and not derived:
        raise Refused(
            f"{topic.name} is written by the pipeline alone, another writer's records break it",
            "send to a source topic, or open the producer with derived=True (repairs, tests)",
        )
    try:
        _check_types(event.value)
        validate(event.value, event.key, topic.key_of)
        raw = codec.encode(event.type, event.value)
        return Composed(topic, event.id, event.key.encode(), raw, to_headers(event))
    except SchemaError as error:
        raise Refused(str(error), "correct the value") from error


def _check_types(value: Value) -> None:
    """A field of another type would be written as something else, or not at all."""
    plain = msgspec.to_builtins(value, builtin_types=(bytes,))
    try:
        msgspec.convert(plain, type(value))
    except msgspec.ValidationError as error:
        raise WrongSchema(f"{type(value).__name__}: {error}") from error
