"""Steps over original bytes: columns, lateness record by record, isolation of poison."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from joins.state import Store
from streams import topics
from streams.engine.records import Records
from streams.engine.settings import EngineSettings
from streams.engine.step import Emit, Step
from streams.testing import TopologyDriver
from streams.topics import Topic
from tests.engine.world import T0

BYTES = Topic("t.bytes", "any", "somebody's bytes", source=True, declared=False)
SETTINGS = EngineSettings(lateness_ms=10, grace_ms=5)


def count(batch: Records, state: Any, emit: Emit) -> None:
    """Count the records of each key; a value says what else to do."""
    counts = state.table("counts")
    for record in batch:
        if record.value == b"boom":
            raise RuntimeError("as told")
        if record.value == b"refuse":
            emit.refuse(record, "unwanted", "as told")
        elif record.value == b"skip":
            emit.filtered(record, "as told")
        else:
            counts[record.key] = counts.get(record.key, 0) + 1


def columns(batch: Records, state: Any, emit: Emit) -> None:
    """Count without looking at single records."""
    counts = state.table("counts")
    for key in batch.keys:
        counts[key] = counts.get(key, 0) + 1


def _driver(process: Any = count) -> TopologyDriver:
    return TopologyDriver(
        Step("count", (BYTES,), (), process), SETTINGS, partitions=1, dead_letters="keep"
    )


def _counts(driver: TopologyDriver) -> dict[bytes, int]:
    (task,) = driver.tasks.values()
    return dict(task.store.scope("count").table("counts").items())


def test_records_have_key_value_time_and_headers_as_they_were_written() -> None:
    """Nothing is decoded and nothing left out."""
    seen: list[Any] = []

    def look(batch: Records, state: Store, emit: Emit) -> None:
        seen.extend(batch)
        assert (len(batch.keys), len(batch.values)) == (len(batch), len(batch))

    driver = _driver(look)
    driver.now_ts = T0
    driver.produce_raw(BYTES, b"k", b"\xff", [("h", b"v")])
    assert [(b"k", b"\xff", T0, [("h", b"v")])] == [tuple(record) for record in seen]


def test_a_poisonous_record_is_isolated_and_the_others_count() -> None:
    """One raises, one is refused, one left out: two are counted."""
    driver = _driver()
    for value in (b"x", b"boom", b"refuse", b"skip", b"x"):
        driver.produce_raw(BYTES, b"k", value, run=False)
    driver.run()
    (task,) = driver.tasks.values()
    found = task.counts[BYTES.name]
    assert {b"k": 2} == _counts(driver)
    assert (5, 2, 2, 1) == (found.read, found.used, found.dead_letters, found.filtered)
    assert found.balanced
    assert [b"boom", b"refuse"] == [r.value() for r in driver.records(topics.dead_letters)]


TIMES = st.lists(st.integers(0, 60), min_size=1, max_size=12)


@given(TIMES, st.integers(1, 12))
def test_lateness_is_decided_record_by_record_whatever_the_batches(
    times: list[int], size: int
) -> None:
    """A record is late when it lies more than lateness and grace below an earlier one."""
    on_time, highest = 0, -(1 << 60)
    for ts in times:
        if ts >= highest - 10 - 5:
            on_time, highest = on_time + 1, max(highest, ts)
    driver = _driver(columns)
    for ts in times:
        driver.now_ts = T0 + ts
        driver.produce_raw(BYTES, b"k", b"v", run=False)
    driver.run(size)
    (task,) = driver.tasks.values()
    found = task.counts[BYTES.name]
    assert (on_time, len(times) - on_time) == (found.used, found.late)
    assert {("counts", b"k"): on_time} == driver.state("count")
