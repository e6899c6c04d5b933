"""From the records of an input to its events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from schemas.envelope import Event
from schemas.errors import BadHeaders, BadValue, SchemaError
from schemas.headers import REPLAY_FOR, REPLAYS, WRITER, from_headers
from schemas.ids import digester
from schemas.validate import validate
from schemas.wire import Codec
from streams.engine.guard import Message, as_bytes, headers_of, unreadable
from streams.topics import Topic

Read = Callable[[Message], Event]
BY_BROKER = 2
"""A record's time is that of its append, and no producer's (librdkafka's name for it)."""


ELSEWHERE = "decode: written back for another reader"
"""The rule by which such a record is left out."""


class Elsewhere(SchemaError):
    """A record was written back for another reader: it is none of ours."""

    cause = "elsewhere"


def reader(topic: Topic, codec: Codec, taker: bytes = b"") -> Read:
    """A function from a record of ``topic`` to its event, made for many of them.

    It raises SchemaError for what is no event of the topic, Elsewhere for what was written back for
    another reader than ``taker``. A record of a source is checked: its value, that its key is the
    key of its value, and that its id is the id of its value.
    """
    event_type, source = topic.type, topic.source
    name, value_of, key_of = event_type.name, codec.reader(event_type.name), event_type.key
    identified = event_type.identity is not None
    keyed, places = topic.by != "any", _Places(topic.name)

    def read(message: Message) -> Event:
        kind, append_ts = message.timestamp()
        try:
            headers = message.headers()
        except SystemError as error:
            unreadable(message)
            raise BadHeaders("the name of a header is not UTF-8") from error
        found = dict(headers) if headers else headers
        if found and REPLAY_FOR in found and found[REPLAY_FOR] != taker:
            raise Elsewhere(f"written back for {found[REPLAY_FOR]!r}")
        value = value_of(as_bytes(message.value()))
        key = _key(message.key(), keyed)
        own = ""
        if identified and (source or not found or "ce_id" not in found):
            own = event_type.event_id(value) or ""
        if not own and (not found or "ce_id" not in found):
            own = places[message.partition()](str(message.offset()))
        if found:
            event = from_headers(found, key, own, append_ts, name)
            event.value = value
            if event.ingest_ts is None or (kind == BY_BROKER and append_ts < event.ingest_ts):
                event.ingest_ts = append_ts  # what the broker has cannot have come to us later
        else:
            event = Event(own, key, append_ts, "assert", value, False, name, None, append_ts)
        if source:
            validate(value, key, key_of)
            if own and event.id != own:
                raise BadHeaders(f"event id {event.id[:80]!r} is not the id of this {name}")
        return event

    return read


class _Places(dict[int | None, Callable[..., str]]):
    """By partition of a topic, what makes the id of a record from its offset."""

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def __missing__(self, partition: int | None) -> Callable[..., str]:
        made = self[partition] = digester(self._topic, partition)
        return made


def carries_writer(message: Message) -> bool:
    """Whether a record names the writer whose watermark covers it; one written back has none."""
    names = {name for name, _ in headers_of(message)}
    return WRITER in names and REPLAYS not in names


def _key(raw: Any, needed: bool) -> str:
    if raw is None and needed:  # its producer may have put it into any partition
        raise BadValue("the record has no key, and its topic goes by key")
    try:
        return "" if raw is None else raw if isinstance(raw, str) else raw.decode()
    except UnicodeDecodeError as error:
        raise BadHeaders(f"the key is not UTF-8: {error}") from error
