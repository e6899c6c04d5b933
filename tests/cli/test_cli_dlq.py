"""``streams dlq ls`` and ``show``: what could not be processed, counted and shown whole."""

from __future__ import annotations

import base64
import time

import pytest

from schemas.events import Label
from schemas.wire import Codec
from streams import topics
from tests.cli.cli_support import Cli
from tests.cli.letters_support import Letters

pytestmark = pytest.mark.kafka


@pytest.fixture
def letters(applied: str) -> Letters:
    """The letters of a broker with all topics."""
    return Letters(applied)


def test_letters_are_counted_by_origin_and_reason(cli: Cli, letters: Letters) -> None:
    """One row a topic, step, reason and version, with times; filters narrow them."""
    step, first, second = letters.step(), letters.topic(), letters.topic()
    for number in range(6):
        cause = "bad_value" if number % 2 else "step_failed"
        letters.dead(step, first if number else second, number, cause=cause, reader="a-b")
    letters.flush()
    broker = ("--json", "--broker", letters.bootstrap)
    rows = cli("dlq", "ls", "--step", step, *broker).lines()
    expected = {(first, "bad_value"): 3, (first, "step_failed"): 2, (second, "step_failed"): 1}
    assert expected == {(row["topic"], row["reason"]): row["letters"] for row in rows}
    assert {2} == {row["version"] for row in rows}
    for row in rows:
        assert row["letters"] == sum(row["histogram"]) == row["open"]
        assert row["first_ts"] <= row["last_ts"]
        assert abs(row["last_ts"] / 1000 - time.time()) < 600
    only = cli("dlq", "ls", "--topic", second, *broker).lines()
    assert ["detail 0"] == [row["detail"] for row in only]
    by_cause = cli("dlq", "ls", "--step", step, "--cause", "bad_value", *broker).lines()
    assert [3] == [row["letters"] for row in by_cause]
    assert [] == cli("dlq", "ls", "--step", "none", *broker).lines()
    assert 2 == len(cli("dlq", "ls", "--step", step, "-n", "2", *broker).lines())


def test_letters_are_chosen_by_the_time_of_their_writing(cli: Cli, letters: Letters) -> None:
    """From ``since`` on and before ``until``, to the millisecond."""
    step, topic = letters.step(), letters.topic()
    for number in range(3):
        letters.dead(step, topic, number)
        letters.flush()
        time.sleep(0.01)
    broker = ("--step", step, "--json", "--broker", letters.bootstrap)
    each = cli("dlq", "ls", "--each", *broker).lines()
    assert [0, 1, 2] == [row["offset"] for row in each]
    middle, last = each[1]["at"], each[2]["at"]
    for options, expected in (
        (["--since", middle], [1, 2]), (["--until", middle], [0]),
        (["--since", middle, "--until", last], [1]), (["--since", "1h"], [0, 1, 2]),
        (["--until", "1h"], []), (["--since", "2100-01-01"], []),
    ):  # fmt: skip
        found = cli("dlq", "ls", "--each", *options, *broker).lines()
        assert expected == [row["offset"] for row in found], options


def test_the_table_has_a_histogram(cli: Cli, letters: Letters) -> None:
    """The bars of a row are its letters over time, and a line below says how many there are."""
    step, topic = letters.step(), letters.topic()
    letters.dead(step, topic, 0)
    letters.dead(step, topic, 1)
    letters.flush()
    out = cli("dlq", "ls", "--step", step, "--broker", letters.bootstrap).out
    assert True is ("▕█" in out)
    assert True is ("\n2 letters; `when` is from " in out)


def test_a_letter_is_shown_whole(cli: Cli, letters: Letters) -> None:
    """By its address, by that of its record, and by event id; key and value are the bytes."""
    step, topic = letters.step(), letters.topic()
    own = [("ce_id", f"{step}:assert:1".encode()), ("own", b"\xff"), ("null", None)]
    letters.dead(step, topic, 17, b"\xfekey", b"\xff\x01", own, reader="app-x")
    letters.flush()
    broker = ("--broker", letters.bootstrap)
    (row,) = cli("dlq", "ls", "--each", "--step", step, "--json", *broker).lines()
    letter = row["letter"]
    partition, offset = letter.split(":")[1:]
    for where in ([letter], [f"{partition}:{offset}"], [partition, offset],
                  [f"{topic}:1:17"], [step]):  # fmt: skip
        (shown,) = cli("dlq", "show", *where, "--json", *broker).lines()
        assert letter == shown["letter"], where
    assert (b"\xfekey", b"\xff\x01") == (
        base64.b64decode(shown["key"]), base64.b64decode(shown["value"]),
    )  # fmt: skip
    assert ("step_failed", 0, [], None) == (
        shown["reason"], shown["replays"], shown["redriven"], shown["event"],
    )  # fmt: skip
    assert [["own", "\\xff"], ["null", None]] == shown["headers"][1:]
    assert ("2023-11-14T22:13:20.017Z", "app-x") == (shown["timestamp"], shown["why"]["reader"])
    out = cli("dlq", "show", letter, *broker).out
    for words in (f"origin       {topic}:1:17", "header       own: \\xff", "key          hex fe6b",
                  "00000000  ff 01", "no event     not_framed"):  # fmt: skip
        assert True is (words in out), words


def test_a_letter_shows_the_event_in_it_and_where_it_went(cli: Cli, letters: Letters) -> None:
    """A value that can be decoded is shown as JSON; the ledger says when it was written back."""
    step, subject = letters.step(), f"{time.monotonic_ns():064x}"
    value = Label(subject, True, "audit")
    event_id = topics.labels.type.event_id(value)
    raw = Codec().encode("ml.label.v1", value)
    letters.dead(step, "ml.labels", 3, subject.encode(), raw, [])
    letters.flush()
    broker = ("--broker", letters.bootstrap)
    (shown,) = cli("dlq", "show", event_id or "", "--json", *broker).lines()
    assert ("audit", "open") == (shown["event"]["payload"]["source"], shown["state"])
    cli("dlq", "redrive", "--step", step, *broker)
    (shown,) = cli("dlq", "show", event_id or "", "--json", *broker).lines()
    assert ["ml.labels"] == [done["to"] for done in shown["redriven"]]
    assert "redriven" == shown["state"]
    assert True is ("to ml.labels" in cli("dlq", "show", shown["letter"], *broker).out)


def test_a_place_without_a_letter_is_told(cli: Cli, letters: Letters) -> None:
    """Neither a later offset nor another partition is taken for it, nor any other text."""
    for place in ("2:999999", "9:0", "no-such-id", "alerts:0:0", "9" * 40, "::"):
        ended = cli("dlq", "show", place, "--broker", letters.bootstrap)
        assert (2, True) == (ended.code, f"no record {place}" in ended.err), ended.err
