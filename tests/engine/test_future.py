"""Events that are ahead of their arrival: what a wrong clock may not do."""

from __future__ import annotations

from schemas.envelope import Event
from schemas.headers import to_headers
from schemas.wire import Codec
from streams import topics
from streams.engine.step import Step
from streams.engine.task import Task
from streams.engine.topology import build
from streams.testing import Record, TopologyDriver
from tests.engine.world import (
    LAST,
    OBSERVED,
    OUT,
    SETTINGS,
    T0,
    at,
    driver,
    label,
    letters,
    repeat,
    steps,
    subjects,
)


def test_an_event_too_far_ahead_of_its_arrival_is_refused() -> None:
    """``future_cap`` is inclusive; it is its first producer's time that counts."""
    world = driver()
    at(world, 1000, 1, ingest_ts=T0)
    at(world, 1001, 2, ingest_ts=T0)
    assert [1] == subjects(world)
    (why,) = letters(world, topics.dead_letters)
    assert ("future", "1001 ms ahead of its arrival") == (why["dl.cause"], why["dl.detail"])


def test_a_producer_whose_clock_is_ahead_moves_no_watermark() -> None:
    """Both of its times are ahead, but the broker took the record when it did.

    ::

        broker's time   T0         T0 + 10     T0 + 20
        record          T0, ok     T0 + 2000   T0 + 15, not late
        says it came    T0         T0 + 2000   T0 + 20
    """
    topology = build(steps(OBSERVED))
    task = Task(topology, topology.subs[0], 0, SETTINGS, Codec())
    records = []
    for offset, (now, ts) in enumerate(((0, 0), (10, 2000), (20, 15))):
        value = label(offset)
        event = Event("", value.subject, T0 + ts, "assert", value, type="ml.label.v1")
        event.ingest_ts = T0 + max(ts, now)
        headers = [h for h in to_headers(event) if h[0] != "ce_id"]
        content = Codec().encode(event.type, value)
        place = (OBSERVED.name, 0, offset)
        records.append(Record(place, value.subject.encode(), content, headers, T0 + now))
    task.process(OBSERVED.name, records, 0, 3)
    counts = task.counts[OBSERVED.name]
    assert (3, 2, 1, 0) == (counts.read, counts.used, counts.dead_letters, counts.late)
    assert task.progress.watermark < T0 + 20


def test_only_blocks_may_be_hours_ahead() -> None:
    """Miners choose a block's time; a mempool event has its node's, though its key is a txid too.

    ::

        ahead of arrival      1 h      1 h + 1    3 h      3 h + 1
        transactions          ok       ok         ok       future
        mempool               ok       future     future   future
    """
    hour = 3_600_000
    step = Step("s", (topics.transactions, topics.mempool), (), lambda *_: None)
    (task,) = TopologyDriver(step, partitions=1).tasks.values()
    for topic, cap in ((topics.transactions, 3 * hour), (topics.mempool, hour)):
        for ahead, expected in ((cap, None), (cap + 1, cap + 1)):
            event = Event("i", "k", T0 + ahead, "assert", None, ingest_ts=T0)
            assert expected == task.progress.ahead_of_arrival(topic, event, True)


def test_what_follows_from_an_accepted_event_is_not_judged_again() -> None:
    """A block may be two hours ahead: so may what is derived from it, in every later task."""
    hour = 3_600_000
    world = TopologyDriver(
        Step("repeat", (OUT,), (LAST,), repeat), partitions=1, dead_letters="keep"
    )
    for number, writer in ((1, "obey"), (2, None)):
        at(world, 4 * hour, number, topic=OUT, id=str(number), ingest_ts=T0, writer=writer)
    assert ["future"] == [why["dl.cause"] for why in letters(world, topics.dead_letters)]
    assert [1] == subjects(world, LAST)
