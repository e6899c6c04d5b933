"""Whether a storm of poison slows the good is judged by what came before it."""

from __future__ import annotations

from tests.faults.inputs import PARTITIONS, STRUCK, VISITS, Shape, arranged, partition_of
from tests.faults.scripts.records import silence, slowed

SINCE = 10_000


def test_a_storm_leaves_nothing_good_in_its_partition_and_all_others_alone() -> None:
    """From its begin to its end; the same in both topics."""
    shape = Shape(rate=500, seconds=4.0, storm=(1.0, 3.0))
    found = [
        (record.topic == VISITS, partition_of(record.key), record.value is None)
        for record in arranged(shape)
        if 1000 <= record.ts - 1_700_000_000_000 < 3000
    ]
    expected = {
        (visit, partition, partition == STRUCK)
        for visit in (False, True)
        for partition in range(PARTITIONS)
    }
    assert expected == set(found)


def test_a_task_that_goes_on_is_not_slowed() -> None:
    """Neither at full speed nor at half of it."""
    full = list(range(5000, 16_000, 100))
    assert "" == slowed(full, SINCE)
    assert "" == slowed([*range(5000, SINCE, 100), *range(SINCE, 16_000, 200)], SINCE)


def test_a_task_that_falls_silent_or_gives_little_is_slowed() -> None:
    """
    ::

        before  |..........|
        silent  |..........|                  .|
        little  |..........|  .   .   .   .   .|
    """
    before = list(range(5000, SINCE, 100))
    late = list(range(SINCE + 4100, SINCE + 5000, 10))
    assert "90 outputs where 50 are usual, none for 4100 ms" == slowed([*before, *late], SINCE)
    little = list(range(SINCE, SINCE + 5000, 500))
    assert "10 outputs where 50 are usual, none for 500 ms" == slowed([*before, *little], SINCE)
    assert "nothing came before the storm" == slowed(little, SINCE)


def test_what_is_usual_on_a_slow_machine_is_no_slowness() -> None:
    """Where nothing came for two seconds before, nothing may come for longer than that."""
    moments = [0, 2000, 4000, 6000, 8000, 9900, 14_500, 14_600]
    assert 4500 == silence(moments, SINCE, SINCE + 5000)
    assert "" == slowed(moments, SINCE)
