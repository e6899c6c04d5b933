"""A record that was written back from a letter: a correction, for its reader alone, counted."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.headers import REPLAY_FOR, REPLAYS, Headers
from schemas.wire import Codec
from streams import topics
from streams.engine.guard import LETTER_ROOM, UNREADABLE
from streams.ops.letters import DEAD, LATE, Kind, Letter, letter_of
from streams.ops.redriving import marked
from streams.testing import Record, TopologyDriver
from streams.topics import Topic
from tests.engine.world import DECLARED, OBSERVED, T0, at, counts, driver, label, subjects, words

READER = "streams-by_txid"
CODEC = Codec()


def letters(world: TopologyDriver, kind: Kind) -> list[Letter]:
    """The letters of one kind."""
    return [letter_of(record, kind) for record in world.records(kind.topic)]


def write_back(world: TopologyDriver, topic: Topic, letter: Letter, reader: str = READER) -> None:
    """What ``redrive`` does."""
    headers = marked(letter.own, (letter.replays or 0) + 1, reader)
    world.produce_raw(topic, letter.key, letter.value, headers)


def test_a_late_record_that_is_written_back_counts_within_retract_grace() -> None:
    """It is published below what was published before, so it is a correction.

    ::

        ts        0   100    50             -10             -11
        W_p           90     90 (late)      90 (late)       90 (late)
        again                takes effect   takes effect    late by 1: W_p - retract_grace is -10
    """
    world = driver()
    for ts, number in ((0, 1), (100, 2), (50, 3), (-10, 4), (-11, 5)):
        at(world, ts, number)
    assert [1, 2] == subjects(world)
    for letter in letters(world, LATE):
        write_back(world, OBSERVED, letter)
    assert [1, 2, 3, 4] == subjects(world)
    last = letters(world, LATE)[-1]
    assert (b"1", 1) == (last.why["by"], last.replays)
    assert (8, 4, 4) == (counts(world).read, counts(world).used, counts(world).late)
    assert counts(world).balanced


def test_its_writers_promise_covers_it_no_more() -> None:
    """Declared partition: what was refused and comes back is judged, though it names a writer.

    ::

        W_p = 1000     again: ts 0 with its writer, late by 1000 - lateness 10 - retract_grace 100
    """
    world = driver(DECLARED)
    world.declare(DECLARED, T0 + 1000, "w")
    at(world, 0, 1, "refuse", topic=DECLARED, writer="w")
    (letter,) = letters(world, DEAD)
    assert True is ("streams-writer" in dict(letter.own))
    write_back(world, DECLARED, letter)
    (late,) = letters(world, LATE)
    assert (890, 1) == (late.number("by"), late.replays)


def test_poison_that_fails_again_is_a_letter_with_one_replay_more() -> None:
    """Not a fresh one: the count goes with the record, whatever refuses it."""
    world = driver()
    at(world, 0, 1, "boom")
    world.produce_raw(OBSERVED, b"k", b"\x01 not framed", [("own", b"1")])
    for _ in range(3):
        for letter in letters(world, DEAD)[-2:]:
            write_back(world, OBSERVED, letter)
    found = letters(world, DEAD)
    assert [0, 0, 1, 1, 2, 2, 3, 3] == [letter.replays for letter in found]
    assert [("own", b"1"), (REPLAYS, b"3"), (REPLAY_FOR, READER.encode())] == found[-1].own
    assert 1 == len({(letter.key, letter.value) for letter in found[1::2]})
    assert counts(world).balanced


def test_the_count_survives_headers_that_do_not_fit() -> None:
    """A record with too many headers loses them in its letter, but never this one."""
    own: Headers = [(f"h{n}", b"x" * 100) for n in range(LETTER_ROOM // 100)]
    world = driver()
    world.produce_raw(OBSERVED, b"k", b"\x01", marked(own, 2, READER))
    (letter,) = letters(world, DEAD)
    assert (2, False) == (letter.replays, letter.complete)


def test_a_record_for_another_reader_is_none_of_ours() -> None:
    """Neither its value nor its time counts, good or bad; the balance does."""
    world = driver()
    at(world, 0, 1)
    good = CODEC.encode("ml.label.v1", label(2))
    for value in (good, b"\x01 poison"):
        key = label(2).subject.encode()
        world.produce_raw(OBSERVED, key, value, marked([], 1, "another-by_txid"))
    assert [1] == subjects(world)
    assert [] == letters(world, DEAD)
    found = counts(world)
    assert (3, 1, 2) == (found.read, found.used, found.filtered)
    assert {"decode: written back for another reader": 2} == found.rules
    assert counts(world).balanced


@pytest.mark.parametrize("reader", [READER, ""])
def test_a_record_for_us_or_for_everyone_takes_effect(reader: str) -> None:
    """What was wrong is right by now."""
    world = driver()
    good = CODEC.encode("ml.label.v1", label(2))
    world.produce_raw(OBSERVED, label(2).subject.encode(), good, marked([], 1, reader))
    assert [2] == subjects(world)


def test_a_record_that_had_an_effect_has_none_when_it_is_written_back() -> None:
    """Per id the same value once more says nothing new."""
    world = driver()
    at(world, 0, 1)
    (record,) = world.log[OBSERVED.name, 0]
    world.produce_raw(OBSERVED, record.key(), record.value(), marked(record.headers(), 1, READER))
    assert (1, 1) == (counts(world).used, counts(world).duplicates)


def test_a_letter_says_who_refused_the_record_and_when_it_was_written() -> None:
    """Reader, version of the step where it came to one, and Kafka's time of the record."""
    world = driver()
    world.now_ts = T0 + 7
    at(world, 0, 1, "boom")
    world.produce_raw(OBSERVED, b"k", b"\x01")
    by_step, by_decoding = (words(r.raw_headers) for r in world.records(topics.dead_letters))
    assert {READER} == {by_step["dl.reader"], by_decoding["dl.reader"]}
    assert ("1", False) == (by_step["dl.version"], "dl.version" in by_decoding)
    assert str(T0 + 7) == by_decoding["dl.timestamp"]


class Nameless(Record, frozen=True):
    """A record with a header whose name is not UTF-8, as confluent-kafka gives it."""

    def headers(self) -> Any:
        if not self.raw_headers:
            raise SystemError("<method 'headers'> returned a result with an exception set")
        return self.raw_headers


@pytest.mark.parametrize("key", [b"k", None])
@pytest.mark.parametrize("value", [CODEC.encode("ml.label.v1", label(1)), b"\x01", b"", None])
def test_headers_that_nobody_can_read_are_poison_and_no_crash(
    value: bytes | None, key: bytes | None
) -> None:
    """The record is a letter that says so; those around it are processed."""
    world = driver()
    at(world, 0, 1)
    place = (OBSERVED.name, 0, 1)
    world.log[OBSERVED.name, 0].append(Nameless(place, key, value, [], T0))
    at(world, 0, 2)
    assert [1, 2] == subjects(world)
    (letter,) = letters(world, DEAD)
    assert (value, [(UNREADABLE, b"")], False) == (letter.value, letter.own, letter.readable)
    assert counts(world).balanced
