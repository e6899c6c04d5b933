"""What every sink must do, in one battery: a new sink adds a Target and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from sink_cases import (
    STORING_TARGETS,
    TARGETS,
    TOPIC,
    Part,
    Sample,
    SampleV2,
    Target,
    fold,
    plain,
    record,
    write_all,
)

from sinks.base import Permanent, SinkRecord

LOG = [
    record(0, "a"),
    record(1, "b", Sample(text="b", parts=[Part(5, b"\x01"), Part(6, b"", "addr")])),
    record(2, "a", op="retract"),
    record(4, "c", Sample(count=3, tags=["x", "y"], table={"f": 0.25})),
    record(5, "a", Sample(text="changed")),
    record(7, "b", op="retract"),
    record(8, "d"),
]


@pytest.fixture(params=TARGETS, ids=lambda t: t.name)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """Return the place of one sink, empty."""
    made: Target = request.param(tmp_path)
    return made


@pytest.fixture(params=STORING_TARGETS, ids=lambda t: t.name)
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """Return the place of one sink that stores outside of the process."""
    made: Target = request.param(tmp_path)
    return made


def test_rows_are_the_net_set(target: Target) -> None:
    """What is read back is the live (id, value) of the log, every kind of field intact."""
    write_all(target, LOG)
    assert fold(LOG) == target.live()


def test_the_same_batch_twice_changes_nothing(target: Target) -> None:
    """A batch that comes again adds no row and changes none."""
    write_all(target, LOG)
    before = target.raw()
    write_all(target, LOG, LOG)
    assert (before, fold(LOG)) == (target.raw(), target.live())


@pytest.mark.parametrize("cut", range(1, len(LOG)))
def test_the_same_batch_in_halves_changes_nothing(target: Target, cut: int) -> None:
    """After a crash the batch may come in other parts."""
    write_all(target, LOG)
    before = target.raw()
    write_all(target, LOG[:cut], LOG[cut:])
    assert (before, fold(LOG)) == (target.raw(), target.live())


@pytest.mark.parametrize("cut", range(1, len(LOG)))
def test_halves_and_then_the_whole_changes_nothing(target: Target, cut: int) -> None:
    """Also where the halves came first."""
    write_all(target, LOG[:cut], LOG[cut:])
    before = target.raw()
    write_all(target, LOG)
    assert (before, fold(LOG)) == (target.raw(), target.live())


def test_overlapping_batches(target: Target) -> None:
    """Batches that overlap give the rows of the log.

    offsets  0 1 2 4 5 7 8
    batch 1  x x x
    batch 2    x x x x
    batch 3          x x x
    """
    write_all(target, LOG[0:3], LOG[1:5], LOG[4:7])
    overlapped = target.raw()
    assert fold(LOG) == target.live()
    write_all(target, LOG)
    assert overlapped == target.raw()


def test_the_same_record_twice_in_one_batch(target: Target) -> None:
    """Repeats inside a batch count once."""
    write_all(target, LOG)
    once = target.raw()
    write_all(target, [*LOG, *LOG])
    assert once == target.raw()


def test_the_last_of_several_changes_in_a_batch_wins(target: Target) -> None:
    """assert, retract, assert of one id in a batch is the last assert."""
    log = [record(0), record(1, op="retract"), record(2, value=Sample(count=9))]
    write_all(target, log)
    assert {"a": plain(Sample(count=9))} == target.live()


def test_an_older_version_is_ignored(target: Target) -> None:
    """A record whose offset is not above the row's changes nothing."""
    write_all(target, [record(9, value=Sample(count=9))], [record(3, value=Sample(count=3))])
    assert {"a": plain(Sample(count=9))} == target.live()


def test_a_deleted_row_keeps_its_version(target: Target) -> None:
    """What is older than a delete does not bring the row back; what is newer does."""
    write_all(target, [record(9, op="retract")], [record(3)])
    assert {} == target.live()
    write_all(target, [record(10, value=Sample(count=10))])
    assert {"a": plain(Sample(count=10))} == target.live()


def test_a_retract_of_an_unknown_id(target: Target) -> None:
    """A retract of an id that never was is no row of the net set."""
    write_all(target, [record(0, op="retract")])
    assert {} == target.live()


def test_a_retract_may_carry_its_value(target: Target) -> None:
    """The value of a retract is no value of the row."""
    write_all(target, [record(0), record(1, value=Sample(), op="retract"), record(2, "b")])
    assert {"b": plain(Sample())} == target.live()


def test_going_back_before_the_first_record(target: Target) -> None:
    """A sink that began in the middle of a topic takes the part before it, too.

    offsets   0 1 2 4 5 7 8
    at first          x x x
    replay    x x x x x x x
    """
    write_all(target, LOG[4:])
    write_all(target, LOG[:2])
    write_all(target, LOG)
    assert (fold(LOG), {(TOPIC, 0): 9}) == (target.live(), target.open().positions())


def test_close_and_reopen_between_batches(target: Target) -> None:
    """Each batch in its own life of the sink gives the same rows as all in one."""
    for item in LOG:
        write_all(target, [item])
    assert fold(LOG) == target.live()


def test_positions_are_where_to_resume(target: Target) -> None:
    """positions() is the next offset for each partition, also after a reopen."""
    batch = [*LOG, record(40, "z", partition=3), record(6, "y", topic="test.other")]
    write_all(target, batch)
    expected = {(TOPIC, 0): 9, (TOPIC, 3): 41, ("test.other", 0): 7}
    sink = target.open()
    assert expected == sink.positions()
    sink.write(LOG[:2])
    sink.flush()
    assert expected == sink.positions()
    sink.close()


def test_topics_and_partitions_are_apart(target: Target) -> None:
    """The same offsets of other partitions and topics are other records."""
    log = [record(0, "a"), record(0, "b", partition=1), record(0, "a", topic="test.other")]
    write_all(target, log)
    assert {"a", "b"} == set(target.live())
    assert {"a"} == set(target.live("test.other"))


def test_an_empty_batch(target: Target) -> None:
    """Nothing written is nothing stored."""
    write_all(target, [])
    assert ({}, {}) == (target.live(), target.open().positions())


@pytest.mark.parametrize(
    "text",
    ["", "\x00", "a\nb\r\n", '"; drop table x; --', "'", "\\", "\u2028", "日本 🎉", "\x7f\x1b[0m"],
)
def test_hostile_text(target: Target, text: str) -> None:
    """Any Unicode text comes back as it was, in ids, fields, lists and nested records."""
    value = Sample(text=text, tags=[text], parts=[Part(1, b"", text)], table={text: 1.0}, key=text)
    log = [record(0, id=f"id{text}", value=value)]
    write_all(target, log)
    assert fold(log) == target.live()


@pytest.mark.parametrize("number", [0, -1, 2**53 + 1, 2**63 - 1, -(2**63)])
def test_integers_are_exact(target: Target, number: int) -> None:
    """Every 64-bit integer is stored without rounding."""
    value = Sample(count=number, maybe=number, parts=[Part(number, b"")])
    write_all(target, [record(0, value=value)])
    assert {"a": plain(value)} == target.live()


def test_an_integer_beyond_64_bits_is_exact_or_refused(stored: Target) -> None:
    """A number that a column cannot hold stops the batch and names the record; none is cut."""
    good, bad = record(0, "good"), record(1, "bad", Sample(count=2**64))
    sink = stored.open()
    try:
        sink.write([good, bad])
    except Permanent as error:
        assert (bad, True) == (error.record, f"{TOPIC}[0]@1" in str(error))
        sink.close()
        assert {} == stored.live()
    else:
        sink.close()
        assert 2**64 == stored.live()["bad"]["count"]


def test_text_that_is_not_unicode_is_refused(stored: Target) -> None:
    """A lone surrogate stops the batch, names the record, and leaves the sink usable."""
    good, bad = record(0, "good"), record(1, "bad", Sample(text="\ud800"))
    sink = stored.open()
    with pytest.raises(Permanent) as caught:
        sink.write([good, bad])
    assert bad == caught.value.record
    sink.write([good])
    sink.close()
    assert fold([good]) == stored.live()


def test_values_that_are_missing(target: Target) -> None:
    """None stays None in optional fields and nested records."""
    value = Sample(maybe=None, parts=[Part(0, b"", None)])
    write_all(target, [record(0, value=value)])
    assert {"a": plain(value)} == target.live()


def test_a_field_that_a_later_schema_added(target: Target) -> None:
    """Rows of the new schema version have the new field; older rows stay."""
    write_all(target, [record(0, "old")])
    write_all(target, [record(1, "new", SampleV2(added=7)), record(2, "more")])
    live = target.live()
    assert (plain(SampleV2(added=7)), {"old", "new", "more"}) == (live["new"], set(live))
    assert [None, None] == [live[id].get("added") for id in ("old", "more")]


@pytest.mark.parametrize(
    "value", [{"n": 2**70, "s": "x", "deep": [{"a": None}]}, [1, 2], 7, "text", 1.5, True, {}]
)
def test_plain_data(target: Target, value: object) -> None:
    """A value without a class is stored whole."""
    write_all(target, [record(0, value=value)], [record(1, "typed")])
    assert value == target.live()["a"]


@pytest.mark.parametrize("topic", ["", "..", "a/b", "../x", "a b", "x" * 250, 'a"b'])
def test_a_topic_that_kafka_would_refuse(target: Target, topic: str) -> None:
    """No topic name can reach outside of the sink's place."""
    with pytest.raises(Permanent, match="is not a topic's name"):
        target.open().write([record(0, topic=topic)])


def test_closing_twice(target: Target) -> None:
    """A second close does nothing."""
    sink = target.open()
    sink.close()
    sink.close()


def test_a_large_batch(target: Target) -> None:
    """Thousands of rows in a batch, changed in the next one."""
    first = [record(n, f"e{n}", Sample(count=n)) for n in range(3000)]
    second = [record(3000 + n, f"e{n}", Sample(count=-n)) for n in range(0, 3000, 2)]
    write_all(target, first, second)
    assert fold([*first, *second]) == target.live()


def test_records_are_not_changed(target: Target) -> None:
    """A sink leaves the records of its caller as they were."""
    batch: list[SinkRecord] = [record(0, "a"), record(1, "a", op="retract")]
    copy = [record(0, "a"), record(1, "a", op="retract")]
    write_all(target, batch)
    assert copy == batch
