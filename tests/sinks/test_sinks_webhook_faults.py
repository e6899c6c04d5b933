"""Webhooks whose receiver fails, is slow, refuses, or is gone; order and ids hold all the same."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiohttp import web
from sink_cases import Sample, record
from webhook_receiver import LOG, Got, Open, Receiver, always, fine, first, ids

from sinks.base import Permanent, Retryable
from sinks.webhook_answer import LONGEST_WAIT_SECONDS, Later, after


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_what_may_pass_is_tried_again(receiver: Receiver, hook: Open, status: int) -> None:
    """The same id again, until it is taken."""
    receiver.answer = first([status, status])
    hook().write(LOG[:1])
    assert ["a:assert:0"] * 3 == ids(receiver.requests)


def test_each_attempt_is_signed_anew(receiver: Receiver, hook: Open) -> None:
    """A receiver that refuses old timestamps takes a late repeat."""
    receiver.answer = first([500])
    hook().write(LOG[:1])
    assert all(got.verified for got in receiver.requests)


def test_retry_after_is_honoured(receiver: Receiver, hook: Open) -> None:
    """The second attempt is not before the time that the receiver asks for."""
    receiver.answer = first([429], headers={"Retry-After": "1"})
    began = time.monotonic()
    hook().write(LOG[:1])
    assert (2, True) == (len(receiver.requests), time.monotonic() - began >= 1)


def test_a_long_retry_after_is_handed_to_the_driver(receiver: Receiver, hook: Open) -> None:
    """The sink does not sleep for an hour: reading is paused, and the driver knows how long."""
    receiver.answer = always(503, headers={"Retry-After": "3600"})
    with pytest.raises(Later) as caught:
        hook().write(LOG[:1])
    assert (3600.0, 1) == (caught.value.seconds, len(receiver.requests))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("99999999999", LONGEST_WAIT_SECONDS),
        ("-5", 0.0),
        ("²", 0.0),
        ("Thu, 01 Jan 1970 00:00:30 GMT", 20.0),
        ("Thu, 01 Jan 1970 00:00:05 GMT", 0.0),
        ("", 0.0),
    ],
)
def test_retry_after_in_every_form(header: str, seconds: float) -> None:
    """A number, a date, or nothing that counts; never negative, never for days."""
    assert seconds == after(header, 10.0)


def test_a_receiver_that_is_gone_is_retryable_and_nothing_is_sent_twice(
    receiver: Receiver, hook: Open
) -> None:
    """After it is back the same batch goes through; what it had is not sent again."""
    sink = hook(retry_seconds=0.3)
    sink.write(LOG[:2])
    receiver.stop()
    with pytest.raises(Retryable, match="cannot be reached"):
        sink.write(LOG)
    receiver.start()
    sink.write(LOG)
    expected = [f"{r.event.id}:{r.event.op}:{r.offset}" for r in LOG]
    assert sorted(expected) == sorted(ids(receiver.requests))


def test_a_connection_that_is_dropped(receiver: Receiver, hook: Open) -> None:
    """A connection cut before the answer is tried again with the same id."""

    async def cut(got: Got, number: int) -> web.StreamResponse:
        if number == 0 and got.request.transport is not None:
            got.request.transport.abort()
        return await fine(got, number)

    receiver.answer = cut
    hook().write(LOG[:1])
    assert ["a:assert:0"] * 2 == ids(receiver.requests)


def test_a_receiver_that_is_too_slow(receiver: Receiver, hook: Open) -> None:
    """A request has a time limit, and is tried again."""

    async def slow(got: Got, number: int) -> web.StreamResponse:
        await asyncio.sleep(5 if number == 0 else 0)
        return await fine(got, number)

    receiver.answer = slow
    hook(timeout_seconds=0.3).write(LOG[:1])
    assert 2 == len(receiver.requests)


def test_one_failing_key_ends_the_round_soon(receiver: Receiver, hook: Open) -> None:
    """A dead receiver costs one retry time, not one for each of a thousand keys."""
    receiver.answer = always(503)
    began = time.monotonic()
    with pytest.raises(Retryable, match="answers 503"):
        hook(retry_seconds=0.5).write([record(n, f"e{n}") for n in range(1000)])
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("status", [400, 402, 409, 413, 422, 451])
def test_a_refused_event_is_named(receiver: Receiver, hook: Open, status: int) -> None:
    """The record, the status and the first bytes of the answer are in the error."""

    async def picky(got: Got, number: int) -> web.StreamResponse:
        bad = got.body["id"] == "b" and got.body["metadata"]["op"] == "assert"
        return await (always(status, text="no\x1b such thing " * 99) if bad else fine)(got, number)

    receiver.answer = picky
    sink = hook()
    with pytest.raises(Permanent, match=f"answers {status}: no such thing no") as caught:
        sink.write(LOG)
    assert (LOG[1], True) == (caught.value.record, len(str(caught.value)) < 500)
    sink.write([r for r in LOG if r != LOG[1]])
    assert {"a:assert:0", "a:assert:5", "b:retract:6"} <= set(ids(receiver.taken))


def test_a_refused_event_of_a_list_is_found(receiver: Receiver, hook: Open) -> None:
    """A refused list is halved until the event is alone; the others are delivered."""

    async def picky(got: Got, number: int) -> web.StreamResponse:
        bad = any(e["id"] == "c" for e in got.body)
        return await (always(422) if bad else fine)(got, number)

    receiver.answer = picky
    sink = hook(batch=6)
    with pytest.raises(Permanent) as caught:
        sink.write(LOG)
    assert LOG[3] == caught.value.record
    sink.write([r for r in LOG if r != LOG[3]])
    versions = sorted(e["version"] for got in receiver.taken for e in got.body)
    assert [0, 1, 2, 5, 6] == versions


@pytest.mark.parametrize("status", [301, 302, 307, 401, 403, 404, 410])
def test_what_concerns_every_event_stops_the_sink(
    receiver: Receiver, hook: Open, status: int
) -> None:
    """No event becomes a dead letter because an address or a right is wrong; none is redirected."""
    receiver.answer = always(status, headers={"Location": receiver.url})
    with pytest.raises(Permanent) as caught:
        hook().write(LOG[:1])
    assert (None, 1) == (caught.value.record, len(receiver.requests))


def test_the_statuses_that_stop_can_be_chosen(receiver: Receiver, hook: Open) -> None:
    """A receiver that says 404 of one event only loses that event."""
    receiver.answer = first([404])
    with pytest.raises(Permanent) as caught:
        hook(stop_on="").write(LOG[:1])
    assert LOG[0] == caught.value.record


def test_an_endless_answer_is_not_read(receiver: Receiver, hook: Open) -> None:
    """The first bytes are enough."""

    async def endless(got: Got, number: int) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(got.request)
        for _ in range(10_000):
            await answer.write(b"x" * 65536)
        return answer

    receiver.answer = endless
    began = time.monotonic()
    hook().write(LOG[:1])
    assert time.monotonic() - began < 3


def test_text_that_is_not_unicode_is_refused(receiver: Receiver, hook: Open) -> None:
    """A lone surrogate is no JSON: the record is named, and no request was made of it."""
    bad = record(1, "bad", Sample(text="\ud800"))
    with pytest.raises(Permanent) as caught:
        hook().write([bad])
    assert (bad, []) == (caught.value.record, receiver.requests)
