"""Laws of one task: one disposition a record, whatever the batches and crashes."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streams import topics
from streams.testing import TopologyDriver
from tests.engine.world import (
    LAST,
    OBSERVED,
    OUT,
    T0,
    at,
    counts,
    driver,
    letters,
)

RECORDS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(["assert", "assert", "retract"]),
        st.sampled_from(["", "", "", "boom", "refuse", "skip", "future", "bytes"]),
        st.sampled_from([1.0, 0.75]),
        st.booleans(),
    ),
    max_size=14,
)
"""Subject, op, command, value, correction; an id has one ts for ever: 25 times its subject."""


def _feed(world: TopologyDriver, records: list[Any]) -> None:
    for number, op, word, confidence, correction in records:
        if word == "bytes":
            world.produce_raw(OBSERVED, b"k", b"\x07", run=False)
            continue
        ts = 25 * number
        arrival = T0 + ts - 5000 if word == "future" else T0 + ts
        at(
            world, ts, number, word, confidence=confidence, op=op, correction=correction,
            ingest_ts=arrival, run=False,
        )  # fmt: skip


def _reference(records: list[Any]) -> tuple[dict[str, int], dict[int, float]]:
    """SEMANTICS 1, 2 and 7 for one observed partition, said as directly as possible."""
    tally = dict.fromkeys(("used", "duplicates", "late", "dead_letters", "filtered"), 0)
    live, out, withdrawn = dict[int, float](), dict[int, float](), set[int]()
    watermark = -(10**18)
    for number, op, word, confidence, correction in records:
        ts = 25 * number
        value = {"boom": 0.125, "refuse": 0.25, "skip": 0.5}.get(word, confidence)
        corrects = correction or op == "retract" or number in withdrawn
        if word == "bytes":
            kind = "dead_letters"
        elif ts < watermark - (100 if corrects else 0):
            kind = "late"
        elif word == "future":
            kind = "dead_letters"
        else:
            effect = live.get(number) != value if op == "assert" else number in live
            kind = "duplicates"
            if effect:
                kind = {"boom": "dead_letters", "refuse": "dead_letters", "skip": "filtered"}.get(
                    word, "used"
                )
            if kind != "dead_letters":
                watermark = max(watermark, ts - 10)
            if kind in ("used", "filtered"):
                if number in live:
                    withdrawn.add(number)
                if op == "retract":
                    del live[number]
                else:
                    live[number] = value
            if kind == "used":
                out.pop(number, None)
                if op == "assert":
                    out[number] = value
        tally[kind] += 1
    return tally, out


@settings(max_examples=80, deadline=None)
@given(RECORDS, st.integers(1, 7))
def test_every_record_has_one_disposition_whatever_the_batches(
    records: list[Any], chunk: int
) -> None:
    """Balance and replay law: any mix, any batch size, equal to the definition."""
    world = driver()
    _feed(world, records)
    world.run(chunk)
    tally, out = _reference(records)
    found = counts(world)
    assert len(records) == found.read
    assert tally == {name: getattr(found, name) for name in tally}
    assert out == {int(v.subject, 16): v.confidence for v in world.net(OUT).values()}
    assert (world.net(OUT).keys() and out) or not out
    assert tally["late"] == len(letters(world, topics.late_records))
    assert tally["dead_letters"] == len(letters(world, topics.dead_letters))


@settings(max_examples=60, deadline=None)
@given(RECORDS, st.lists(st.sampled_from(["take", "take", "crash", "checkpoint"]), max_size=20))
def test_a_crash_at_any_point_changes_nothing(records: list[Any], acts: list[str]) -> None:
    """What was not committed never was: records and counts equal those of an undisturbed run."""
    world = driver(checkpoint_every=0)
    _feed(world, records)
    for act in acts:
        if act == "take":
            world.take(("by_txid", 0), OBSERVED.name, 2)
        else:
            getattr(world, act)()
    world.run()
    world.checkpoint()
    calm = driver()
    _feed(calm, records)
    calm.run()
    assert counts(calm) == counts(world)
    assert calm.state("obey") == world.state("obey")
    for topic in (OUT, LAST):
        assert _said(calm, topic) == _said(world, topic)
    for topic in (topics.dead_letters, topics.late_records):
        assert letters(calm, topic) == letters(world, topic)


def _said(world: TopologyDriver, topic: topics.Topic) -> list[Any]:
    return [(e.id, e.op, e.ts, e.value) for e in world.events(topic)]
