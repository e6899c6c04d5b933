"""The envelope as Kafka headers: CloudEvents 1.0, Kafka binding, binary mode.

``ce_id`` is event id, op and version; our own attributes follow the specification's rule for
extension names (lower-case letters and digits).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from schemas.envelope import Anchor, Event, Op
from schemas.errors import BadHeaders

Headers = list[tuple[str, bytes]]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_COMMON: Headers = [("ce_specversion", b"1.0"), ("content-type", b"application/avro")]
WRITER = "streams-writer"
"""Names the writer ``step/generation/task`` whose watermark covers the record."""
WATERMARK = "streams-watermark"
"""Only in a control record (null key and value): the writer's declared watermark, or ``idle``."""
UNFENCED = "streams-unfenced"
"""Only in a control record: it is in no transaction, so a former owner may have written it."""
REPLAYS = "streams-replay-count"
"""How often a record was written back: it is a correction, and no writer's any more."""
REPLAY_FOR = "streams-replay-for"
"""Who alone is to take a record that was written back: everybody else has taken it before."""
MOST_TEXT_BYTES = 2048
"""Of any one header of ours: results carry those of their cause, and six of them have to fit into
what a topic's limit leaves beside key and value (``streams.engine.emit.RECORD_ROOM``)."""


@lru_cache(maxsize=1024)
def _second_text(second: int) -> str:
    try:
        moment = _EPOCH + timedelta(seconds=second)
    except OverflowError as error:
        raise BadHeaders(f"event time {second} s is beyond the calendar") from error
    return moment.isoformat(timespec="seconds").removesuffix("+00:00")


@lru_cache(maxsize=1024)
def _second_bytes(second: int) -> bytes:
    return _second_text(second).encode()


def time_text(ts: int) -> str:
    """RFC 3339 text of event time.

    >>> time_text(1464258000123)
    '2016-05-26T10:20:00.123Z'
    """
    return f"{_second_text(ts // 1000)}.{ts % 1000:03d}Z"


@lru_cache(maxsize=4096)
def time_ts(text: str) -> int:
    """Event time in ms of RFC 3339 text; raises BadHeaders.

    >>> time_ts("2016-05-26T10:20:00.123Z")
    1464258000123
    """
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError("no time zone")
        return (moment - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError) as error:
        raise BadHeaders(f"not an RFC 3339 time: {text!r} ({error})") from error


def to_headers(event: Event, writer: bytes | None = None) -> Headers:
    """The headers of an event; attributes at their default are left out."""
    return [*_COMMON, ("ce_id", event.ce_id.encode()), *shared_headers(event, writer)]


def fan_headers(ids: Iterable[str], event: Event, version: int, writer: bytes) -> list[Headers]:
    """The headers of events that share all but their ids with ``event``, versions from here on."""
    shared, op = shared_headers(event, writer), event.op
    first, second = _COMMON
    return [
        [first, second, ("ce_id", f"{id_}:{op}:{number}".encode()), *shared]
        for number, id_ in enumerate(ids, version)
    ]


@lru_cache(1024)
def _said_by(type_: str, producer: str) -> tuple[tuple[str, bytes], tuple[str, bytes]]:
    """Headers that come again and again."""
    return ("ce_type", type_.encode()), ("ce_source", producer.encode())


_OP_HEADERS: Mapping[Op, tuple[str, bytes]] = {
    "assert": ("ce_op", b"assert"),
    "retract": ("ce_op", b"retract"),
}


@lru_cache(1024)
def _anchor_header(anchor: Anchor) -> tuple[str, bytes]:
    return "ce_anchor", str(anchor).encode()


@lru_cache(4096)
def _ingest_header(ts: int) -> tuple[str, bytes]:
    return "ce_ingestts", b"%d" % ts


def shared_headers(event: Event, writer: bytes | None = None) -> Headers:
    """The headers of an event but for those that are its own: its id, and what all have."""
    ts = event.ts
    headers = [
        *_said_by(event.type, event.producer),
        ("ce_time", b"%b.%03dZ" % (_second_bytes(ts // 1000), ts % 1000)),
        _OP_HEADERS[event.op],
    ]
    if event.correction:
        headers.append(("ce_correction", b"true"))
    if event.anchor is not None:
        headers.append(_anchor_header(event.anchor))
    if event.ingest_ts is not None:
        headers.append(_ingest_header(event.ingest_ts))
    if event.correlation_id is not None:
        headers.append(("ce_correlationid", event.correlation_id.encode()))
    if event.causation_id is not None:
        headers.append(("ce_causationid", event.causation_id.encode()))
    if event.priority:
        headers.append(("ce_priority", b"%d" % event.priority))
    if event.retry_count:
        headers.append(("ce_retrycount", b"%d" % event.retry_count))
    if writer is not None:
        headers.append((WRITER, writer))
    return headers


def texts(headers: Iterable[tuple[str, bytes | None]] | None) -> dict[str, str]:
    """Header names to their text; raises BadHeaders for bytes that are not UTF-8."""
    try:
        return {name: "" if raw is None else raw.decode() for name, raw in headers or ()}
    except UnicodeDecodeError as error:
        raise BadHeaders(f"a header is not UTF-8: {error}") from error


def number(text: str, name: str) -> int:
    """The integer in a header; raises BadHeaders (64-bit range, ASCII digits only)."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise BadHeaders(f"header {name} is not an integer: {text[:40]!r}")
    return int(text)


def _decoded(raw: bytes, name: str) -> str:
    if len(raw) > MOST_TEXT_BYTES:
        raise BadHeaders(f"header {name} has {len(raw)} bytes; the limit is {MOST_TEXT_BYTES}")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise BadHeaders(f"header {name} is not UTF-8: {error}") from error


@lru_cache(1024)
def _anchor(raw: bytes) -> Anchor:
    text = _decoded(raw, "ce_anchor")
    try:
        return Anchor.parse(text)
    except ValueError as error:
        raise BadHeaders(f"header ce_anchor is not network/height/hash: {text[:80]!r}") from error


@lru_cache(1024)
def _second(raw: bytes) -> int:
    """The time (ms) of a text up to its full seconds, such as ``2016-05-26T10:20:00``."""
    return time_ts(f"{_decoded(raw, 'ce_time')}Z")


def _time(raw: bytes) -> int:
    if len(raw) == 24 and raw[19:20] == b"." and raw[20:23].isdigit() and raw[23:] == b"Z":
        return _second(raw[:19]) + int(raw[20:23])
    return time_ts(_decoded(raw, "ce_time"))


@lru_cache(1024)
def _text(raw: bytes, name: str) -> str:
    """A text that comes again and again."""
    return _decoded(raw, name)


def _number(raw: bytes, name: str) -> int:
    if raw.isdigit() and len(raw) <= 18:
        return int(raw)
    return number(_decoded(raw, name), name)


_OPS: dict[bytes | None, Op] = {None: "assert", b"assert": "assert", b"retract": "retract"}


def _id_and_version(raw: bytes) -> tuple[str, int]:
    """Event id and version; anybody's own id that is not of our form is whole."""
    text = _decoded(raw, "ce_id")
    head, _, rest = text.rpartition(":")
    start, _, said = head.rpartition(":")
    if said in ("assert", "retract") and start:
        plain = rest.isascii() and rest.isdigit() and len(rest) <= 18
        return start, int(rest) if plain else number(rest, "ce_id")
    return text, 0


def from_headers(
    found: Mapping[str, bytes | None],
    key: str,
    fallback_id: str,
    fallback_ts: int,
    fallback_type: str,
) -> Event:
    """The event of these headers, without its value; foreign records may lack any of them.

    A record without ``ce_id`` asserts a fact of its own (``fallback_id``); without ``ce_time`` its
    event time is ``fallback_ts``. Headers that are not ours may hold anything. Raises BadHeaders.
    """
    get = found.get
    op = _OPS.get(get("ce_op"))
    if op is None:
        raise BadHeaders(f"header ce_op is neither assert nor retract: {get('ce_op')!r:.40}")
    ce_id, time, ingest, anchor = get("ce_id"), get("ce_time"), get("ce_ingestts"), get("ce_anchor")
    id_, version = (fallback_id, 0) if ce_id is None else _id_and_version(ce_id)
    said, source = get("ce_type"), get("ce_source")
    correlation, causation = get("ce_correlationid"), get("ce_causationid")
    priority, retries = get("ce_priority"), get("ce_retrycount")
    return Event(
        id_,
        key,
        fallback_ts if time is None else _time(time),
        op,
        None,
        get("ce_correction") == b"true" or REPLAYS in found,
        fallback_type if said is None else _text(said, "ce_type"),
        None if anchor is None else _anchor(anchor),
        None if ingest is None else _number(ingest, "ce_ingestts"),
        "" if source is None else _text(source, "ce_source"),
        None if correlation is None else _decoded(correlation, "ce_correlationid"),
        None if causation is None else _decoded(causation, "ce_causationid"),
        0 if priority is None else _number(priority, "ce_priority"),
        0 if retries is None else _number(retries, "ce_retrycount"),
        version,
    )
