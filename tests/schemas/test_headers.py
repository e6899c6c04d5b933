"""The envelope travels in CloudEvents headers and comes back unchanged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import Anchor, Event
from schemas.errors import BadHeaders
from schemas.headers import from_headers, texts, time_text, time_ts, to_headers

HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
MS = st.integers(min_value=0, max_value=4_000_000_000_000)
WORD = st.text(max_size=12)
EVENTS = st.builds(
    Event,
    id=HEX,
    key=WORD,
    ts=MS,
    op=st.sampled_from(["assert", "retract"]),
    value=st.none(),
    correction=st.booleans(),
    type=st.just("bitcoin.tip.v1"),
    anchor=st.none() | st.builds(Anchor, st.just("main"), st.integers(0, 10**6), HEX),
    ingest_ts=st.none() | MS,
    producer=WORD,
    correlation_id=st.none() | WORD,
    causation_id=st.none() | HEX,
    priority=st.integers(0, 9),
    retry_count=st.integers(0, 9),
    version=st.integers(0, 10**9),
)


@given(EVENTS)
def test_headers_give_the_event_back(event: Event) -> None:
    """Writing and reading headers loses nothing of the envelope."""
    assert event == from_headers(dict(to_headers(event)), event.key, "", 0, "")


def test_headers_are_those_of_cloudevents() -> None:
    """The required attributes of CloudEvents 1.0 are there, with id, op and version in ce_id."""
    event = Event("ab", "k", 1_464_258_000_123, "retract", None, type="x.v1", version=7)
    found = texts(to_headers(event))
    assert {
        "ce_specversion": "1.0",
        "content-type": "application/avro",
        "ce_id": "ab:retract:7",
        "ce_type": "x.v1",
        "ce_source": "",
        "ce_time": "2016-05-26T10:20:00.123Z",
        "ce_op": "retract",
    } == found


def test_a_foreign_record_without_headers_is_a_fact_of_its_own() -> None:
    """Without headers the record asserts a fact at its time of arrival."""
    event = from_headers({}, "k", "own", 5, "x.v1")
    assert ("own", 5, "assert", "x.v1") == (event.id, event.ts, event.op, event.type)


@pytest.mark.parametrize(
    "headers",
    [
        {"ce_op": b"delete"},
        {"ce_time": b"yesterday"},
        {"ce_time": b"2016-05-26T10:20:00"},
        {"ce_ingestts": b"1e3"},
        {"ce_ingestts": "٣".encode()},
        {"ce_priority": b"9" * 40},
        {"ce_anchor": b"main/413567"},
        {"ce_id": b"ab:assert:x"},
        {"ce_id": b"\xff"},
        {"ce_source": b"\xff"},
    ],
)
def test_headers_that_are_not_what_they_must_be_are_refused(headers: dict[str, bytes]) -> None:
    """A header that is no number, op, time or anchor raises BadHeaders and nothing else."""
    with pytest.raises(BadHeaders):
        from_headers(headers, "k", "own", 0, "")


def test_header_bytes_that_are_no_text_are_refused() -> None:
    """Bytes that are not UTF-8 raise BadHeaders."""
    with pytest.raises(BadHeaders):
        texts([("ce_id", b"\xff")])


def test_other_peoples_headers_may_hold_any_bytes() -> None:
    """A header that is not ours is not read: a tracing header is often binary."""
    event = from_headers({"trace": b"\xff", "ce_op": b"retract"}, "k", "own", 0, "")
    assert "retract" == event.op


@given(MS)
def test_time_text_round_trip(ts: int) -> None:
    """Milliseconds survive RFC 3339 text exactly."""
    assert ts == time_ts(time_text(ts))


@pytest.mark.parametrize(
    "name", ["ce_id", "ce_type", "ce_source", "ce_time", "ce_anchor", "ce_correlationid"]
)
def test_a_header_that_would_make_what_follows_too_large_is_refused(name: str) -> None:
    """Results carry the headers of their cause, into topics that take less than its own."""
    with pytest.raises(BadHeaders, match=f"header {name} has 2049 bytes; the limit is 2048"):
        from_headers({name: b"x" * 2049}, "k", "own", 5, "x.v1")
