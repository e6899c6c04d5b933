"""The ledger of letters that were written back, and what is told apart in their headers."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from schemas.headers import REPLAYS
from streams.engine.guard import dead_letter
from streams.ops.ledger import HOME, Entry, Ledger, encoded, entry_of, merged
from streams.ops.letter_counts import bars, histogram
from streams.ops.letters import DEAD, Selection, letter_of, replays_of
from streams.testing import Record

PLACES = st.tuples(st.integers(0, 3), st.integers(0, 40), st.sampled_from([HOME, "other"]))


@given(st.lists(st.lists(PLACES, max_size=12), max_size=8))
def test_the_ledger_knows_what_was_written_and_nothing_else(
    runs: list[list[tuple[int, int, str]]],
) -> None:
    """Whatever the transactions were, it is the set of their letters, by destination."""
    entries = []
    for run in runs:
        for partition, to in {(p, to) for p, _, to in run}:
            ranges = merged((o, o) for p, o, t in run if (p, t) == (partition, to))
            entries.append(Entry("dead_letters", "id", partition, to, ranges))
    ledger, written = Ledger(entries), {place for run in runs for place in run}
    for partition in range(4):
        for offset in range(-1, 42):
            for to in (HOME, "other"):
                expected = (partition, offset, to) in written
                assert expected == ledger.has(partition, offset, to)


def test_an_entry_is_read_as_it_was_written() -> None:
    """With the time that the broker gave it; what is none of ours is left out."""
    entry = Entry("late_records", "id", 3, "t", [(0, 4), (7, 7)])
    key, value = encoded(entry)
    found = entry_of(Record(("streams.redrives", 0, 0), key, value, [], 17))
    assert Entry("late_records", "id", 3, "t", [(0, 4), (7, 7)], 17) == found
    for raw in (None, b"", b"{}", b"\xff", b"[1]", b'{"letters": 1}', b'"\xff"', b"[" * 50_000):
        assert entry_of(Record(("streams.redrives", 0, 0), key, raw, [], 0)) is None


@given(
    st.lists(st.tuples(st.text(max_size=12), st.one_of(st.none(), st.binary(max_size=20))))
)  # fmt: skip
def test_a_letter_gives_the_records_headers_back(own: list[tuple[str, bytes | None]]) -> None:
    """In their order, also those with names like ours; the reason is the letter's own."""
    named = [(f"{prefix}{name}", raw) for name, raw in own for prefix in ("", "dl.", "dl.own.")]
    origin = Record(("t", 1, 2), b"k", b"v", named, 5)  # type: ignore[arg-type]
    made = dead_letter(origin, "step", "cause", "detail")
    letter = letter_of(Record(("dead_letters", 0, 0), b"k", b"v", made.headers, 9), DEAD)
    assert named == letter.own
    assert (b"cause", b"step", b"5") == (
        letter.why["cause"], letter.why["step"], letter.why["timestamp"],
    )  # fmt: skip


def test_a_count_that_nobody_can_read_is_none() -> None:
    """No header is no replay; anything but digits is unknown, which counts as too many."""
    assert 0 == replays_of([("own", b"1")])
    assert 2 == replays_of([(REPLAYS, b"1"), (REPLAYS, b"2")])
    for raw in (b"", b"-1", b"1.0", b"\xff", b"9" * 19, b" 1"):
        assert replays_of([(REPLAYS, raw)]) is None


def test_a_selection_has_what_all_its_parts_have() -> None:
    """A part that is not given does not matter."""
    why = {"topic": b"t", "step": b"s", "cause": b"c"}
    for selection, expected in (
        (Selection(), True), (Selection("t", "s", "c", 5, 6), True), (Selection("x"), False),
        (Selection(step="x"), False), (Selection(reason="x"), False), (Selection(since=6), False),
        (Selection(until=5), False), (Selection(places=frozenset({(0, 1)})), True),
        (Selection(places=frozenset({(1, 0)})), False),
    ):  # fmt: skip
        assert expected == selection.has((0, 1), 5, why), selection


def test_a_histogram_counts_every_letter() -> None:
    """Also when there are more minutes than columns."""
    minutes = Counter({10: 1, 11: 2, 500: 3})
    found = histogram(minutes, (10, (500 - 10) // 24 + 1))
    assert (6, 3, 3) == (sum(found), found[0], found[-1])
    assert "█" == bars(found)[-1]
