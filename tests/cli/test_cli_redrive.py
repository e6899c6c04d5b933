"""``streams dlq redrive``: letters go back once, byte for byte, and no more often than they may."""

from __future__ import annotations

import time
from hashlib import sha256

import pytest

from streams import topics
from streams.engine.guard import Letter as Written
from streams.topics import LETTER_BYTES
from tests.cli.cli_support import Cli, Ended, apply_topics
from tests.cli.letters_support import Header, Letters, Seen, own_of, replays_of
from tests.client.place import Place

pytestmark = pytest.mark.kafka

MEBIBYTE = 1 << 20


@pytest.fixture
def letters(applied: str) -> Letters:
    """The letters of a broker with all topics."""
    return Letters(applied)


def redrive(cli: Cli, letters: Letters, *options: str) -> Ended:
    """The command on this broker, with its rows as JSON."""
    letters.flush()
    return cli("dlq", "redrive", *options, "--json", "--broker", letters.bootstrap)


def outcomes(ended: Ended) -> dict[str, int]:
    """How many letters became what."""
    found: dict[str, int] = {}
    for row in ended.lines():
        found[row["outcome"]] = found.get(row["outcome"], 0) + row["letters"]
    return found


ODD: dict[str, tuple[bytes | None, bytes | None, list[Header]]] = {
    "plain": (b"key", b"\x00value\xff", [("own", b"x")]),
    "no key": (None, b"value", []),
    "no value": (b"key", None, [("own", b"x")]),
    "empty": (b"", b"", [("", b""), ("empty", b"")]),
    "null header": (b"key", b"v", [("null", None), ("null", b"twice"), ("bytes", b"\xff\xfe\x00")]),
    "our names": (b"key", b"v", [("dl.cause", b"own"), ("late.by", b"own"), ("dl.own.x", b"own")]),
    "one megabyte": (b"key", b"\x01" * 900_000, [("own", b"x")]),
    "envelope": (b"key", b"v", [("ce_id", b"a:assert:1"), ("streams-writer", b"w/0/0/1")]),
}


def test_records_come_back_as_they_were(cli: Cli, letters: Letters) -> None:
    """Key, value, headers in their order and partition; nothing but the count is added."""
    step, topic = letters.step(), letters.topic()
    for number, (key, value, own) in enumerate(ODD.values()):
        letters.dead(step, topic, number, key, value, own, partition=number % 3)
    ended = redrive(cli, letters, "--step", step)
    assert (0, {"redrive": len(ODD)}) == (ended.code, outcomes(ended))
    expected = [
        Seen(topic, number % 3, key, value, [*own, ("streams-replay-count", b"1")])
        for number, (key, value, own) in enumerate(ODD.values())
    ]
    assert sorted(expected, key=repr) == sorted(letters.seen(topic), key=repr)


def test_a_record_keeps_its_time_where_its_topic_does(cli: Cli, letters: Letters) -> None:
    """A topic that is stamped by its producers gets the time that the record had."""
    step, topic = letters.step(), letters.topic(1, **{"message.timestamp.type": "CreateTime"})
    letters.dead(step, topic, 5, partition=0)
    redrive(cli, letters, "--step", step)
    assert [1_700_000_000_005] == [message.timestamp()[1] for message in letters.messages(topic)]


def test_a_record_that_would_be_deleted_at_once_stays(cli: Cli, letters: Letters) -> None:
    """A topic that deletes by its producers' times: older than it keeps is not written back."""
    step, day = letters.step(), {"retention.ms": "86400000"}
    stamped = letters.topic(1, **day, **{"message.timestamp.type": "LogAppendTime"})
    for topic in (letters.topic(1, **day), stamped):
        letters.dead(step, topic, 0, partition=0)
    ended = redrive(cli, letters, "--step", step)
    assert (8, {"too_old": 1, "redrive": 1}) == (ended.code, outcomes(ended))
    assert 1 == len(letters.seen(stamped))


def test_a_second_run_writes_nothing_twice(cli: Cli, letters: Letters) -> None:
    """What was written back is known, whatever chooses it the second time; new letters go."""
    step, topic = letters.step(), letters.topic()
    for number in range(10):
        letters.dead(step, topic, number)
    first = redrive(cli, letters, "--step", step, "--limit", "4")
    assert {"redrive": 4} == outcomes(first)
    second = redrive(cli, letters, "--topic", topic)
    assert (0, {"redrive": 6, "already": 4}) == (second.code, outcomes(second))
    letters.dead(step, topic, 10)
    assert {"redrive": 1, "already": 10} == outcomes(redrive(cli, letters, "--step", step))
    assert 11 == len(letters.seen(topic))


def test_a_dry_run_shows_it_and_writes_nothing(cli: Cli, letters: Letters) -> None:
    """The rows are those of the run that follows; --each adds partition and count of each."""
    step, topic = letters.step(), letters.topic()
    for number in range(3):
        letters.dead(step, topic, number, own=[("streams-replay-count", b"%d" % number)])
    dry = redrive(cli, letters, "--step", step, "--dry-run")
    each = redrive(cli, letters, "--step", step, "--dry-run", "--each").lines()
    assert (0, 0, []) == (dry.code, len(letters.seen(topic)), [r for r in each if r["to"] != topic])
    assert [(1, 1), (1, 2), (1, 3)] == [(row["partition"], row["replays"]) for row in each]
    wet = redrive(cli, letters, "--step", step)
    assert (dry.lines(), 3) == (wet.lines(), len(letters.seen(topic)))


def test_a_record_is_written_back_so_often_and_no_more(cli: Cli, letters: Letters) -> None:
    """Beyond that its letters are in quarantine: counted, told, left where they are."""
    step, topic = letters.step(), letters.topic()
    for count in (b"0", b"2", b"3", b"17", b"-1", b"1e3", b"", b"9" * 40):
        letters.dead(step, topic, 0, own=[("streams-replay-count", count)])
    ended = redrive(cli, letters, "--step", step)
    assert (8, {"redrive": 2, "quarantined": 6}) == (ended.code, outcomes(ended))
    assert "6 letters stay where they are (6 quarantined)" in ended.err
    assert [1, 3] == sorted(map(replays_of, letters.seen(topic)))
    (row,) = cli("dlq", "ls", "--step", step, "--json", "--broker", letters.bootstrap).lines()
    assert (8, 0, 2, 6) == (row["letters"], row["open"], row["redriven"], row["quarantined"])
    assert {"redrive": 2, "already": 2, "quarantined": 4} == outcomes(
        redrive(cli, letters, "--step", step, "--max-replays", "100")
    )


def test_another_topic_may_be_named(cli: Cli, letters: Letters) -> None:
    """There it is for everyone, in the partition of its key; home is another destination."""
    step, topic, other = letters.step(), letters.topic(), letters.topic(7)
    letters.dead(step, topic, 1, partition=2, reader="app-gone")
    assert {"redrive": 1} == outcomes(redrive(cli, letters, "--step", step, "--to", other))
    (found,) = letters.seen(other)
    assert [("own", b"x"), ("streams-replay-count", b"1")] == found.headers
    assert {"already": 1} == outcomes(redrive(cli, letters, "--step", step, "--to", other))
    assert {"redrive": 1} == outcomes(redrive(cli, letters, "--step", step, "--everyone"))
    assert [2] == [seen.partition for seen in letters.seen(topic)]


def test_who_refused_it_is_to_take_it_alone(cli: Cli, letters: Letters) -> None:
    """Where there is such a reader; a name that nobody has any more is told."""
    step, topic = letters.step(), letters.topic()
    letters.dead(step, topic, 1, reader="streams-by_txid")
    letters.dead(step, topic, 2, reader="sink:duckdb")
    letters.dead(step, topic, 3, reader="gone-by_txid")
    ended = redrive(cli, letters, "--step", step)
    assert (8, {"redrive": 2, "no_reader": 1}) == (ended.code, outcomes(ended))
    assert "--everyone" in ended.err
    readers = {dict(seen.headers).get("streams-replay-for") for seen in letters.seen(topic)}
    assert {b"streams-by_txid", b"sink:duckdb"} == readers
    redrive(cli, letters, "--step", step, "--everyone")
    assert 1 == sum("streams-replay-for" not in dict(s.headers) for s in letters.seen(topic))


def test_what_cannot_go_back_says_why(cli: Cli, letters: Letters) -> None:
    """Hostile and old letters stay, one outcome each, and the good one among them goes."""
    step, topic = letters.step(), letters.topic()
    compacted = letters.topic(1, **{"cleanup.policy": "compact"})
    tiny = letters.topic(1, **{"max.message.bytes": "2000"})
    mine: Header = ("dl.step", step.encode())
    letters.dead(step, topic, 0)
    letters.raw("dead_letters", b"k", b"v", [mine])
    letters.raw("dead_letters", b"k", b"v", [mine, ("dl.topic", b"\xff\xfe"), *_at(b"0", b"0")])
    letters.raw("dead_letters", b"k", b"v", [mine, ("dl.topic", b"gone"), *_at(b"0", b"0")])
    for own in ("dead_letters", "streams.cursors", "streams-by_txid-changelog"):
        letters.raw("dead_letters", b"k", b"v", [mine, _to(own), *_at(b"0", b"0")])
    letters.raw("dead_letters", b"k", b"v", [mine, _to(topic), *_at(b"-1", b"1e9")])
    letters.raw("dead_letters", b"k", b"v", [mine, _to(topic), *_at(b"9" * 30, None)])
    letters.raw("dead_letters", None, None,
                [mine, _to(topic), *_at(b"0", b"0"), ("streams-watermark", b"5")])  # fmt: skip
    letters.raw("dead_letters", b"k", None,
                [mine, _to(topic), *_at(b"0", b"77"), ("dl.sha256", b"00")])  # fmt: skip
    unreadable = ("streams-unreadable-headers", b"")
    letters.raw("dead_letters", b"k", b"v", [mine, _to(topic), *_at(b"0", b"0"), unreadable])
    letters.dead(step, tiny, 1, value=b"\x01" * 3000, partition=0)
    letters.dead(step, compacted, 1, key=None, partition=0)
    letters.dead(step, compacted, 2, partition=0)
    ended = redrive(cli, letters, "--step", step)
    assert (8, {
        "redrive": 2, "no_origin": 3, "no_topic": 2, "control": 1, "bytes_lost": 1,
        "headers_lost": 1, "too_large": 1, "refused": 1, "our_own": 3,
    }) == (ended.code, outcomes(ended))  # fmt: skip
    assert "Traceback" not in ended.err
    assert [1, 1] == [len(letters.seen(topic)), len(letters.seen(compacted))]
    for command in (["ls"], ["ls", "--each"], ["ls", "--json"], ["redrive", "--dry-run"]):
        again = cli("dlq", *command, "--step", step, "--broker", letters.bootstrap)
        assert (0, False) == (again.code, "Traceback" in again.err)


def _at(partition: bytes, offset: bytes | None) -> list[Header]:
    return [("dl.partition", partition), ("dl.offset", offset)]


def _to(topic: str) -> Header:
    return "dl.topic", topic.encode()


def test_bytes_that_a_letter_cannot_hold_come_from_the_origin(cli: Cli, letters: Letters) -> None:
    """A value larger than a letter is fetched from where it is, if it is still the same."""
    step = letters.step()
    topic = letters.topic(1, **{"max.message.bytes": str(40 * MEBIBYTE)})
    value, other = b"\x01" * LETTER_BYTES, b"\x02" * LETTER_BYTES
    many: list[Header] = [(f"h{n}", b"x" * 100) for n in range(1000)]
    letters.raw(topic, b"k", value, [("own", b"1")])
    letters.raw(topic, b"k", b"small", many)
    letters.flush()
    letters.dead(step, topic, 0, b"k", value, partition=0)
    letters.dead(step, topic, 0, b"k", other, partition=0)
    letters.dead(step, topic, 1, b"k", b"small", many, partition=0)
    ended = redrive(cli, letters, "--step", step)
    assert {"redrive": 2, "bytes_lost": 1} == outcomes(ended)
    again = [seen for seen in letters.seen(topic) if replays_of(seen)]
    assert [(sha256(value).digest(), [("own", b"1")]), (sha256(b"small").digest(), many)] == [
        (sha256(seen.value or b"").digest(), own_of(seen)) for seen in again
    ]


def test_letters_that_look_like_ours_make_nothing_crash(cli: Cli, letters: Letters) -> None:
    """Headers that are absent, null, bytes, numbers that are none: every command ends in order."""
    step = letters.step()
    odd: list[bytes | None] = [None, b"", b"\xff" * 30, b"-1", b"\x1b[2J", b"9" * 500]
    names = ("topic", "partition", "offset", "timestamp", "cause", "detail", "version", "reader")
    for number, content in enumerate(odd):
        headers = [("dl.step", step.encode()), *((f"dl.{name}", content) for name in names)]
        letters.raw("dead_letters", None, content, headers, number % 4)
        letters.raw("dead_letters", content, None, [("dl.step", step.encode())], number % 4)
    letters.flush()
    each = cli("dlq", "ls", "--each", "--step", step, "--json", "--broker", letters.bootstrap)
    assert (0, 12) == (each.code, len(each.lines()))
    for row in each.lines():
        shown = cli("dlq", "show", row["letter"], "--broker", letters.bootstrap)
        assert (0, False) == (shown.code, "\x1b" in shown.out)
    table = cli("dlq", "ls", "--step", step, "--broker", letters.bootstrap)
    assert (0, False) == (table.code, "\x1b" in table.out)
    assert 8 == redrive(cli, letters, "--step", step).code


def test_letters_of_a_topic_that_was_made_anew_are_others(cli: Cli, other: str) -> None:
    """They have the offsets of those that were written back, and are not them."""
    letters = Letters(other)
    step, topic = letters.step(), letters.topic()
    for _ in range(2):
        letters.dead(step, topic, 0)
        assert {"redrive": 1} == outcomes(redrive(cli, letters, "--all"))
        assert {"already": 1} == outcomes(redrive(cli, letters, "--all"))
        Place(other).remove(topics.dead_letters)
        apply_topics(other)
        letters.producer.list_topics("dead_letters", timeout=10)
    assert 2 == len(letters.seen(topic))


def test_a_rate_is_kept(cli: Cli, letters: Letters) -> None:
    """So many records a second, and not more."""
    step, topic = letters.step(), letters.topic()
    for number in range(40):
        letters.dead(step, topic, number)
    letters.flush()
    began = time.monotonic()
    redrive(cli, letters, "--step", step, "--rate", "20")
    assert 2.0 <= time.monotonic() - began
    assert 40 == len(letters.seen(topic))


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ([], 2, "no letters are chosen"),
        (["--all", "--to", "no.such.topic"], 7, "the broker has no topic no.such.topic"),
        (["--all", "--to", "dead_letters"], 7, "letters are not written to dead_letters"),
        (["--all", "--to", "streams.cursors"], 7, "letters are not written to streams.cursors"),
        (["--since", "yesterday"], 2, "'yesterday' is not a time"),
        (["--at", "seventeen"], 2, "'seventeen' is not the address of a letter"),
        (["--all", "--rate", "0"], 2, "--rate"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_use_is_told_in_two_lines(
    cli: Cli, applied: str, options: list[str], code: int, words: str
) -> None:
    """Cause, remedy and exit code; nothing was written."""
    ended = cli("dlq", "redrive", *options, "--broker", applied)
    assert (code, True) == (ended.code, words in ended.err)


def test_late_records_go_back_in_the_same_way(cli: Cli, letters: Letters) -> None:
    """Their ledger is another one: the same offsets of dead letters are not theirs."""
    step, topic = letters.step(), letters.topic()
    for number in range(3):
        why = [("late.step", step.encode()), ("late.by", b"%d" % number), ("late.idle", b"false"),
               ("late.topic", topic.encode()), ("late.partition", b"1"),
               ("late.offset", b"%d" % number)]  # fmt: skip
        letters.letter("late_records", Written(b"k", b"v", [*why, ("own", b"x")]))
    letters.flush()
    (row,) = cli("late", "ls", "--step", step, "--json", "--broker", letters.bootstrap).lines()
    assert ("late", 3, 0, 2) == (
        row["reason"], row["letters"], row["least_by_ms"], row["greatest_by_ms"],
    )  # fmt: skip
    ended = cli("late", "redrive", "--step", step, "--json", "--broker", letters.bootstrap)
    assert {"redrive": 3} == outcomes(ended)
    assert [[("own", b"x"), ("streams-replay-count", b"1")]] * 3 == [
        seen.headers for seen in letters.seen(topic)
    ]
    shown = cli("late", "show", f"{topic}:1:2", "--json", "--broker", letters.bootstrap)
    assert ["redriven"] == [row["state"] for row in shown.lines()]
