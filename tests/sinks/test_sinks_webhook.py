"""Webhooks against a real HTTP server that fails, is slow, and checks every signature."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from sink_cases import fold, record
from webhook_receiver import LOG, OTHER_SECRET, SECRET, Got, Open, Receiver, always, fine, ids

from schemas.catalog import BY_NAME
from schemas.envelope import Event
from schemas.events import Alert
from schemas.jsonform import from_line
from sinks.base import Permanent, Retryable, SinkRecord
from sinks.catalog import open_sink


def alert(offset: int, severity: str) -> SinkRecord:
    """An alert of a severity."""
    value = Alert("e", "k", severity, [], [])
    event = Event(f"id-{severity}", "e", 5, "assert", value, type="alerts.alert.v1")
    return SinkRecord("alerts", 0, offset, event)


# What is sent -------------------------------------------------------------------------------------


def test_an_event_is_one_signed_post(receiver: Receiver, hook: Open) -> None:
    """The id has event id, op and version; the signature is as the standard's library has it."""
    hook().write(LOG[:1])
    got = receiver.requests[0]
    assert ("a:assert:0", True, "application/json") == (
        got.id,
        got.verified,
        got.headers["content-type"],
    )
    assert abs(int(got.headers["webhook-timestamp"]) - time.time()) < 30


def test_the_body_is_the_json_form_of_the_event(receiver: Receiver, hook: Open) -> None:
    """``streams produce`` reads it back; its version is the offset."""
    sent = alert(7, "high")
    hook().write([sent])
    body = json.dumps(receiver.requests[0].body).encode()
    event = from_line(body, BY_NAME["alerts.alert.v1"], "", 0)
    assert (sent.event.value, sent.event.id, 7) == (event.value, event.id, event.version)


def test_an_assert_and_its_retract_have_two_ids_and_a_repeat_has_one(
    receiver: Receiver, hook: Open
) -> None:
    """A receiver can leave repeats out and still sees each change."""
    hook().write(LOG)
    hook().write(LOG)
    expected = [f"{r.event.id}:{r.event.op}:{r.offset}" for r in LOG]
    assert (sorted(expected * 2), 6) == (
        sorted(ids(receiver.requests)),
        len(set(ids(receiver.requests))),
    )


def test_what_was_delivered_is_not_sent_again_in_one_life(receiver: Receiver, hook: Open) -> None:
    """A batch that comes again, cut in any way, makes no request."""
    sink = hook()
    sink.write(LOG[:4])
    sink.write(LOG[2:])
    sink.write(LOG)
    assert len(LOG) == len(receiver.requests)


@pytest.mark.parametrize("batch", [1, 4])
def test_the_receiver_ends_with_the_net_set(receiver: Receiver, hook: Open, batch: int) -> None:
    """Who upserts by id and version has the live events."""
    log = [record(n, f"e{n % 7}", op="retract" if n % 5 == 4 else "assert") for n in range(60)]
    sink = hook(batch=batch)
    for start in range(0, 60, 13):
        sink.write(log[start : start + 13])
    assert fold(log) == receiver.live()
    assert all(got.verified for got in receiver.requests)


def test_a_batch_is_a_signed_list(receiver: Receiver, hook: Open) -> None:
    """Up to so many events a request, in order; the id depends on what is in it."""
    hook(batch=4).write(LOG)
    hook(batch=4).write(LOG)
    sizes = [len(got.body) for got in receiver.requests]
    assert ([4, 2, 4, 2], 2) == (sizes, len(set(ids(receiver.requests))))
    assert all(got.verified for got in receiver.requests)


def test_two_secrets_sign(receiver: Receiver, hook: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a secret is replaced, a receiver that knows either accepts the request."""
    monkeypatch.setenv("NEXT", OTHER_SECRET)
    for known in (SECRET, OTHER_SECRET):
        receiver.secret = known
        hook(second_secret="env:NEXT").write(LOG[:1])
    receiver.secret = OTHER_SECRET
    hook().write(LOG[:1])
    assert [True, True, False] == [got.verified for got in receiver.requests]


def test_events_below_a_severity_stay(receiver: Receiver, hook: Open) -> None:
    """A retract and an event without severity are sent always."""
    sink = hook(min_severity="medium")
    sink.write([alert(n, s) for n, s in enumerate(["info", "low", "medium", "high"])])
    sink.write([record(9), record(10, op="retract")])
    assert ["a:assert:9", "a:retract:10", "id-high:assert:3", "id-medium:assert:2"] == sorted(
        ids(receiver.requests)
    )


@pytest.mark.parametrize("id", ["a\r\nX-Evil: 1", "é日本", "a.b.c", "", "x" * 5000, "\x00"])
def test_a_hostile_event_id(receiver: Receiver, hook: Open, id: str) -> None:
    """Whatever the id, the header is one header, and the body has the id as it is."""
    hook().write([record(0, id)])
    got = receiver.requests[0]
    assert (True, id, False) == (got.verified, got.body["id"], "x-evil" in got.headers)
    assert "." not in got.id


# Order and concurrency ----------------------------------------------------------------------------


@given(
    keys=st.lists(st.sampled_from("abcd"), max_size=25),
    bad=st.sets(st.integers(0, 40), max_size=12),
    most=st.integers(1, 6),
)
@settings(max_examples=25, deadline=None)
def test_changes_of_a_key_are_taken_in_their_order(
    keys: list[str], bad: set[int], most: int
) -> None:
    """Whatever fails in between and however many requests run at once.

    The requests whose numbers are in ``bad`` are answered with 503.
    """

    async def answer(got: Got, number: int) -> web.StreamResponse:
        await asyncio.sleep(0.001 * (number % 3))
        return await (always(503) if number in bad else fine)(got, number)

    receiver = Receiver(answer)
    log = [record(n, key) for n, key in enumerate(keys)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOOK", SECRET)
        sink = open_sink(
            "webhook", {"url": receiver.url, "secret": "env:HOOK", "concurrency": most}
        )
    try:
        sink.write(log)
    finally:
        sink.close()
        receiver.close()
    for key in set(keys):
        versions = [g.body["version"] for g in receiver.taken if g.body["id"] == key]
        assert [r.offset for r in log if r.event.id == key] == versions
    assert receiver.most_at_once <= min(most, max(len(set(keys)), 1))


# Settings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"secret": SECRET}, "'secret' is written out"),
        ({"secret": "env:NOWHERE"}, "the environment has no 'NOWHERE'"),
        ({"secret": "file:/nowhere"}, "the file /nowhere cannot be read"),
        ({"secret": "env:WEAK"}, "not base64 of at least 24 bytes"),
        ({"url": "ftp://example.org"}, "'url' is no address"),
        ({"url": "http://[::1"}, "'url' is no address"),
        ({"url": "http://"}, "'url' is no address"),
        ({"stop_on": "500"}, "stop_on is '500'"),
        ({"min_severity": "huge"}, "min_severity"),
        ({"batch": 0}, "batch"),
    ],
)
def test_a_wrong_setting_is_named(
    hook: Open, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], words: str
) -> None:
    """The message says which, and shows no secret."""
    monkeypatch.setenv("WEAK", "whsec_QUJD")
    with pytest.raises(Permanent, match=words) as caught:
        hook(**options)
    assert SECRET not in str(caught.value)


def test_messages_show_no_secret(receiver: Receiver, hook: Open, tmp_path: Path) -> None:
    """Neither the path of the address nor the signing secret is in any error."""
    (tmp_path / "url").write_text(receiver.url + "\n")
    sink = hook(url=f"file:{tmp_path / 'url'}", retry_seconds=0.1)
    told = [sink.place]
    for answer in (always(500), always(404), always(400)):
        receiver.answer = answer
        with pytest.raises((Permanent, Retryable)) as caught:
            sink.write(LOG[:1])
        told.append(str(caught.value))
    receiver.stop()
    with pytest.raises(Retryable) as gone:
        sink.write(LOG[:1])
    text = "\n".join([*told, str(gone.value), repr(sink._config)])
    assert (False, False) == ("quite-secret" in text, SECRET in text)


def test_positions_are_the_groups(hook: Open) -> None:
    """The sink stores none."""
    sink = hook()
    sink.write(LOG)
    sink.flush()
    assert {} == sink.positions()
    sink.close()
    sink.close()
