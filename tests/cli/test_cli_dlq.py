"""``streams dlq``: what could not be processed, listed and shown whole."""

from __future__ import annotations

import base64

import pytest
from confluent_kafka import Producer

from streams.engine.guard import dead_letter
from streams.testing import Record
from tests.cli.cli_support import Cli

pytestmark = pytest.mark.kafka


@pytest.fixture
def letters(applied: str) -> str:
    """A broker with two dead letters and a late record."""
    producer = Producer({"bootstrap.servers": applied})
    for offset, cause in ((17, "bad_value"), (18, "not_framed")):
        origin = Record(("bitcoin.blocks", 3, offset), b"main", b"\xff\x01", [("own", b"x")], 0)
        found = dead_letter(origin, "track_tip", cause, f"detail of {offset}")
        producer.produce("dead_letters", found.value, found.key, 2, headers=found.headers)
    late = [("late.step", b"join"), ("late.by", b"50"), ("late.topic", b"bitcoin.mempool")]
    producer.produce("late_records", b"v", b"k", 1, headers=late)
    producer.flush(10)
    return applied


def test_the_listing_has_the_headers_own_names(cli: Cli, letters: str) -> None:
    """Place, cause, step, origin and detail of each; filters narrow it."""
    ended = cli("dlq", "ls", "--cause", "bad_value", "-o", "ndjson", "--broker", letters)
    row = ended.lines()[-1]
    expected = {
        "dl.cause": "bad_value", "dl.step": "track_tip", "dl.topic": "bitcoin.blocks",
        "dl.partition": "3", "dl.offset": "17", "dl.detail": "detail of 17", "partition": 2,
        "bytes": 2,
    }  # fmt: skip
    assert expected == {name: row[name] for name in expected}
    assert {"bad_value"} == {r["dl.cause"] for r in ended.lines()}
    assert 1 == len(cli("dlq", "ls", "-n", "1", "-o", "ndjson", "--broker", letters).lines())
    assert True is ("detail of 18" in cli("dlq", "ls", "--broker", letters).out)
    assert [] == cli("dlq", "ls", "--step", "none", "-o", "ndjson", "--broker", letters).lines()


def test_a_letter_is_shown_whole(cli: Cli, letters: str) -> None:
    """Key and value are the original bytes, in base64, with all headers."""
    row = cli("dlq", "ls", "-o", "ndjson", "--broker", letters).lines()[-1]
    place = (str(row["partition"]), str(row["offset"]))
    [shown] = cli("dlq", "show", *place, "-o", "ndjson", "--broker", letters).lines()
    assert (b"main", b"\xff\x01") == (
        base64.b64decode(shown["key"]), base64.b64decode(shown["value"]),
    )  # fmt: skip
    assert ("x", "not_framed", None) == (
        shown["headers"]["own"], shown["dl.cause"], shown["event"],
    )  # fmt: skip
    assert True is ("header own" in cli("dlq", "show", *place, "--broker", letters).out)


def test_a_place_without_a_letter_is_told(cli: Cli, letters: str) -> None:
    """Neither a later offset nor another partition is taken for it."""
    for place in (("2", "999999"), ("9", "0"), ("3", "0")):
        ended = cli("dlq", "show", *place, "--broker", letters)
        assert (2, True) == (ended.code, f"no record {place[0]}/{place[1]}" in ended.err)


def test_late_records_have_a_listing_of_their_own(cli: Cli, letters: str) -> None:
    """By how much each was late, and where it came from."""
    row = cli("dlq", "ls", "--late", "-o", "ndjson", "--broker", letters).lines()[-1]
    assert ("50", "bitcoin.mempool") == (row["late.by"], row["late.topic"])
