"""Generated logs and generated crashes: the rows are always the net set."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sink_cases import TARGETS, TOPIC, Part, Sample, Target, fold, record

from schemas.envelope import Op
from sinks.base import SinkRecord
from sinks.coverage import MOST_RANGES, Coverage

_INT64 = st.integers(-(2**63), 2**63 - 1)
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
_SAMPLES = st.builds(
    Sample,
    text=_TEXT,
    count=_INT64,
    ratio=st.floats(allow_nan=False, allow_infinity=False),
    flag=st.booleans(),
    raw=st.binary(max_size=4),
    maybe=st.none() | _INT64,
    tags=st.lists(_TEXT, max_size=2),
    parts=st.lists(st.builds(Part, _INT64, st.binary(max_size=2)), max_size=2),
    table=st.dictionaries(_TEXT, st.floats(allow_nan=False, allow_infinity=False), max_size=2),
)
_OPS: st.SearchStrategy[Op] = st.sampled_from(["assert", "retract"])


@st.composite
def logs(draw: st.DrawFn) -> list[SinkRecord]:
    """One partition's records: few ids, so that they change often; gaps between the offsets."""
    changes = draw(
        st.lists(st.tuples(st.integers(1, 3), st.sampled_from("abc"), _OPS, _SAMPLES), max_size=12)
    )
    log, offset = [], draw(st.integers(0, 5))
    for gap, id, op, value in changes:
        log.append(record(offset, id, value if op == "assert" else None, op))
        offset += gap
    return log


@st.composite
def deliveries(draw: st.DrawFn, length: int) -> list[tuple[int, int, bool]]:
    """Cut a log of ``length`` into batches as a driver that crashes does: (from, to, reopen).

    Each batch begins at or before where the last one ended, and the log is delivered to its end.
    """
    parts, done = [], 0
    while done < length:
        start = draw(st.integers(0, done))
        end = draw(st.integers(start, length))
        parts.append((start, end, draw(st.booleans())))
        done = max(done, end if end > start else done + 0)
        if len(parts) > 6:
            parts.append((0, length, True))
            break
    return parts


def deliver(
    target: Target, log: Sequence[SinkRecord], parts: Sequence[tuple[int, int, bool]]
) -> None:
    """Write the parts of a log; a reopen is a clean end of the process after a flush."""
    sink = target.open()
    for start, end, reopen in parts:
        sink.write(log[start:end])
        if reopen:
            sink.close()
            sink = target.open()
    sink.close()


@pytest.mark.parametrize("kind", TARGETS, ids=lambda t: t.name)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_every_delivery_of_a_log_gives_its_net_set(kind: type[Target], data: st.DataObject) -> None:
    """Repeats, other batch boundaries and restarts never show in the rows."""
    log = data.draw(logs())
    parts = data.draw(deliveries(len(log)))
    with TemporaryDirectory() as directory:
        target = kind(Path(directory))
        deliver(target, log, parts)
        assert fold(log) == target.live()


@pytest.mark.parametrize("kind", TARGETS, ids=lambda t: t.name)
@given(log=logs(), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_any_order_of_batches_gives_the_net_set(
    kind: type[Target], log: list[SinkRecord], seed: int
) -> None:
    """Versions decide, not arrival: single records in a shuffled order give the same rows."""
    shuffled = list(log)
    random.Random(seed).shuffle(shuffled)
    with TemporaryDirectory() as directory:
        target = kind(Path(directory))
        deliver(target, shuffled, [(n, n + 1, False) for n in range(len(log))])
        assert fold(log) == target.live()


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 6)), max_size=12))
def test_coverage_is_a_set_of_offsets(ranges: list[tuple[int, int]]) -> None:
    """Ranges behave as the plain set of their offsets does."""
    place = (TOPIC, 0)
    held, expected = Coverage(), set[int]()
    for first, size in ranges:
        held.add(place, first, first + size)
        expected |= set(range(first, first + size))
    assert expected == {offset for offset in range(40) if held.holds(place, offset)}
    assert ({place: max(expected) + 1} if expected else {}) == held.positions()


def test_ranges_stay_bounded_and_wide_gaps_stay_open() -> None:
    """Transaction markers (every third offset here) do not grow the memory for ever.

    offsets 0, 1, [marker 2], 3, 4, [marker 5], ... then a part that was skipped, then more
    """
    place = (TOPIC, 0)
    held = Coverage()
    for first in [*range(0, 60_000, 3), *range(100_000, 160_000, 3)]:
        held.add(place, first, first + 2)
    assert len(held.ranges(place)) <= MOST_RANGES
    assert [False] * 3 == [held.holds(place, offset) for offset in (60_000, 80_000, 99_999)]
    assert all(held.holds(place, offset) for offset in (0, 1, 59_998, 100_000, 159_998))


def test_a_record_that_is_still_to_be_delivered_is_never_taken_for_a_marker() -> None:
    """Lanes deliver out of order: what one of them still has to deliver stays open.

    each transaction: a record, then [control record][marker]; the last one: 1st, [2nd], 3rd record
    """
    place = (TOPIC, 0)
    for transactions in (MOST_RANGES - 1, MOST_RANGES):
        held, last = Coverage(), 3 * transactions
        for number in range(transactions):
            held.add(place, 3 * number, 3 * number + 1)
        for offset in (last, last + 2):
            held.add(place, offset, offset + 1)
        assert len(held.ranges(place)) <= MOST_RANGES
        assert [True, False, True] == [held.holds(place, last + n) for n in range(3)]
