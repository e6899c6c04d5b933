"""One event as one line of JSON: nothing is lost, little is required, mistakes are named."""

from __future__ import annotations

import json
import math
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.catalog import BY_NAME, TYPES, EventType
from schemas.envelope import Anchor, Event
from schemas.events import Label
from schemas.ids import digest_id
from schemas.jsonform import BadLine, check, from_line, to_line

LABEL = BY_NAME["ml.label.v1"]
RECORD = BY_NAME["web5.record.v1"]
NOW_TS = 1_700_000_000_000
TXID = "ab" * 32
INTS = st.integers(-(2**63), 2**63 - 1)
SMALL = st.integers(-(10**18) + 1, 10**18 - 1)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)


FLOATS = st.floats().map(lambda x: math.nan if math.isnan(x) else x)


@cache
def strategy(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a field's type."""
    plain = {str: TEXTS, int: INTS, bool: st.booleans(), float: FLOATS, bytes: st.binary()}
    if kind in plain:
        return plain[kind]
    if kind is NoneType:
        return st.none()
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return st.one_of(*map(strategy, inner))
    if origin is list:
        return st.lists(strategy(inner[0]), max_size=1)
    if origin is dict:
        return st.dictionaries(strategy(inner[0]), strategy(inner[1]), max_size=1)
    return st.builds(kind, **{n: strategy(k) for n, k in get_type_hints(kind).items()})


ANCHORS = st.builds(
    Anchor, st.sampled_from(["main", "regtest"]), st.integers(0, 2**31), st.just("00" * 32)
)


@cache
def events(event_type: EventType) -> st.SearchStrategy[Event]:
    """Any event of a type."""
    return st.builds(
        Event,
        id=TEXTS.filter(bool),
        key=TEXTS,
        ts=SMALL,
        op=st.sampled_from(["assert", "retract"]),
        value=strategy(event_type.cls),
        correction=st.booleans(),
        type=st.just(event_type.name),
        anchor=st.none() | ANCHORS,
        ingest_ts=SMALL,
        producer=TEXTS,
        correlation_id=st.none() | TEXTS,
        causation_id=st.none() | TEXTS,
        priority=SMALL,
        retry_count=SMALL,
        version=SMALL,
    )


def bits(value: Any) -> bytes:
    """A value so that NaN equals NaN."""
    return msgspec.msgpack.encode(value)


@pytest.mark.parametrize("event_type", TYPES, ids=lambda t: t.name)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_event_survives_the_line(event_type: EventType, data: st.DataObject) -> None:
    """Value, id, op, time, key, anchor, correction and the rest come back as they were."""
    event = data.draw(events(event_type))
    line = to_line(event)
    back = from_line(line, event_type, "other", 0)
    assert bits(event) == bits(back)
    assert b"\n" not in line


def test_the_form_has_exactly_the_documented_fields() -> None:
    """Programs may rely on the names, and on every name being there."""
    line = json.loads(to_line(Event("i", "k", 1, "assert", Label(TXID, True, "s"))))
    expected = ["id", "type", "timestamp", "producer", "version", "payload", "metadata"]
    assert expected == list(line)
    expected = [
        "key", "op", "correction", "anchor", "ingest_ts", "correlation_id", "causation_id",
        "priority", "retry_count",
    ]  # fmt: skip
    assert expected == list(line["metadata"])


def label(**fields: Any) -> bytes:
    payload = {"subject": TXID, "illicit": True, "source": "me"}
    return json.dumps({"payload": payload, **fields}).encode()


def read(line: bytes, event_type: EventType = LABEL) -> Event:
    return from_line(line, event_type, "someone", NOW_TS)


def test_only_the_payload_is_required() -> None:
    """Id and key are derived from the value; the rest has defaults."""
    value = Label(TXID, True, "me")
    expected = Event(
        digest_id("ml.label", TXID, "me"), TXID, NOW_TS, "assert", value,
        type="ml.label.v1", ingest_ts=NOW_TS, producer="someone",
    )  # fmt: skip
    assert expected == read(label())


def test_a_type_without_identity_gets_an_id_of_key_and_time() -> None:
    """The same line at the same time is the same fact."""
    payload = {"model_id": "m", "subject": TXID, "illicit": False, "values": {}}
    line = json.dumps({"payload": payload, "timestamp": 5}).encode()
    expected = digest_id("ml.example", "m", 5)
    assert expected == read(line, BY_NAME["ml.example.v1"]).id


def test_a_dwn_message_has_its_own_time() -> None:
    """Its event time is the message's timestamp unless the line says another."""
    payload = {
        "tenant": "did:t", "message_cid": "c", "interface": "Records", "method": "Write",
        "author": "did:a", "message_ts": 42, "message": "{}", "data": "aGk=",
    }  # fmt: skip
    event = read(json.dumps({"payload": payload}).encode(), RECORD)
    assert (42, b"hi") == (event.ts, event.value.data)


@pytest.mark.parametrize("text", ["2023-11-14T22:13:20Z", "2023-11-14T23:13:20.000+01:00"])
def test_times_may_be_rfc_3339_text(text: str) -> None:
    """Any offset is understood; the event holds milliseconds."""
    assert NOW_TS == read(label(timestamp=text, metadata={"ingest_ts": text})).ts


@pytest.mark.parametrize(
    ("line", "words", "remedy"),
    [
        (b"{", "not JSON", "one JSON object a line"),
        (b"[1]", "Expected `object`", "a line is {id"),
        (b"{}", "missing required field `payload`", 'under "payload"'),
        (label(paylod=1), "unknown field `paylod`", "a line is {id"),
        (label(metadata={"ky": 1}), "unknown field `ky`", "a line is {id"),
        (label(metadata={"op": "delete"}), "Invalid enum value 'delete'", "a line is {id"),
        (label(type="ml.result.v1"), "this topic carries ml.label.v1", "leave `type` out"),
        (label(timestamp="yesterday"), "not an RFC 3339 time", "milliseconds since 1970"),
        (label(timestamp="2023-11-14T22:13:20"), "no time zone", "milliseconds since 1970"),
        (label(metadata={"anchor": "main"}), "metadata.anchor", "network/height/block hash"),
        (label(version=10**18), "version", "a line is {id"),
        (label(payload={"subject": TXID}), "missing required field `illicit`", "schemas list"),
        (label(payload={"subject": 1, "illicit": True, "source": ""}), "subject", "schemas list"),
        (
            label(payload={"subject": TXID, "illicit": True, "source": "", "confidnce": 1}),
            "has no field 'confidnce'",
            "schemas list",
        ),
        (b'{"payload": ' + b"[" * 100_000, "not JSON", "one JSON object a line"),
        (b'{"payload": {"subject": "\xff"}}', "", "schemas list"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_remedy(line: bytes, words: str, remedy: str) -> None:
    """The message says what is wrong, the remedy what to write."""
    with pytest.raises(BadLine) as caught:
        read(line)
    assert (True, True) == (words in str(caught.value), remedy in caught.value.remedy)


def test_a_misspelt_field_inside_a_list_is_found() -> None:
    """Optional fields of nested records do not vanish silently."""
    outputs = [{"value_sat": 1, "script": "", "adress": "x"}]
    payload = {
        "network": "main", "txid": TXID, "wtxid": TXID, "version": 1, "locktime": 0,
        "size_bytes": 1, "weight_wu": 4, "vsize_vb": 1, "is_coinbase": True, "inputs": [],
        "outputs": outputs,
    }  # fmt: skip
    with pytest.raises(BadLine, match=r"no field 'outputs\.adress'"):
        read(json.dumps({"payload": payload}).encode(), BY_NAME["bitcoin.transaction.v1"])


def test_floats_that_json_lacks_are_written_as_text() -> None:
    """NaN and infinity survive, and the line is still JSON."""
    event = read(label())
    event.value = Label(TXID, True, "me", math.inf)
    line = to_line(event)
    assert "inf" == json.loads(line)["payload"]["confidence"]
    assert math.inf == read(line).value.confidence


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | TEXTS.map(str.encode))
def test_no_bytes_raise_anything_but_a_bad_line(line: bytes) -> None:
    """Whatever comes through a pipe, the answer is an event or a BadLine."""
    try:
        read(line)
    except BadLine as error:
        assert error.remedy


def test_an_id_that_is_not_the_values_own_is_refused() -> None:
    """Source topics hold one id a fact."""
    event = read(label(id="mine"))
    with pytest.raises(BadLine, match="the id of this value is"):
        check(event, LABEL)
