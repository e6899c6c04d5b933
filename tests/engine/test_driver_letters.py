"""A test sees what a step fails on: the driver raises, unless the test asks for dead letters."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.errors import SchemaError
from streams import topics
from streams.engine.step import Step
from streams.testing import DeadLetter, DeadLettered, TopologyDriver
from tests.engine.world import COMMANDS, OBSERVED, OUT, SETTINGS, T0, at, label, obey, subjects

OBEY = Step("obey", (OBSERVED,), (OUT,), obey)


def driven(**options: Any) -> TopologyDriver:
    return TopologyDriver(OBEY, SETTINGS, partitions=1, **options)


def test_what_a_step_raises_ends_the_test_with_its_own_traceback() -> None:
    """Where the record was written: step, record, reason, and what to do if it was meant."""
    driver = driven()
    at(driver, 0, 1)
    with pytest.raises(DeadLettered) as caught:
        at(driver, 1, 2, "boom")
    words = str(caught.value)
    assert words.startswith("step obey failed on t.observed/0@1, key '00")
    assert "RuntimeError: as told; a worker puts it into dead_letters" in words
    assert words.endswith("TopologyDriver(..., dead_letters='keep') and reads letters()")
    cause = caught.value.__cause__
    assert isinstance(cause, RuntimeError)
    assert "obey" == _names(cause)[-1]


def _names(error: BaseException) -> list[str]:
    """The functions that an error came through."""
    found, at_ = [], error.__traceback__
    while at_ is not None:
        found.append(at_.tb_frame.f_code.co_name)
        at_ = at_.tb_next
    return found


def test_a_record_that_is_refused_ends_the_test_too() -> None:
    """By the step, by the check of its value, or since it is no event at all."""
    with pytest.raises(DeadLettered, match=r"step obey refused \(unwanted\) t\.observed/0@0"):
        at(driven(), 0, 1, "refuse")
    with pytest.raises(DeadLettered, match=r"step decode refused \(not_framed\)") as caught:
        driven().produce_raw(OBSERVED, b"k", b"no event")
    assert not isinstance(caught.value.__cause__, SchemaError)
    with pytest.raises(DeadLettered, match="the key is 'other'"):
        driven().produce(OBSERVED, label(1), T0, key="other")


def test_several_are_told_together_and_the_driver_goes_on() -> None:
    """The checkpoint that holds them is written: the other records of the batch count."""
    driver = driven()
    for number, word in enumerate(("", "boom", "refuse", "")):
        at(driver, number, number, word, run=False)
    with pytest.raises(DeadLettered, match=r"as told \(and 1 more\)") as caught:
        driver.run()
    assert ["step_failed", "unwanted"] == [letter.cause for letter in caught.value.letters]
    assert caught.value.letters == driver.letters()
    at(driver, 9, 9)
    assert [0, 3, 9] == subjects(driver)


def test_a_test_that_asks_for_dead_letters_goes_on_and_reads_them() -> None:
    """As a worker goes on; each says what became of which record."""
    driver = driven(dead_letters="keep")
    at(driver, 0, 1, "boom")
    at(driver, 1, 2)
    assert [2] == subjects(driver)
    key = label(1).subject
    why = ("obey", "step_failed", "RuntimeError: as told")
    assert [DeadLetter(*why, key, ("t.observed", 0, 0))] == driver.letters()
    assert 1 == len(list(driver.records(topics.dead_letters)))


def test_an_error_that_was_overcome_is_no_cause_of_a_later_letter() -> None:
    """A step that fails once is tried again; what is refused later has nothing to do with it."""
    failed: list[bool] = []

    def fail_once(batch: Any, state: Any, emit: Any) -> None:
        if not failed:
            failed.append(True)
            raise RuntimeError("once")
        for event in batch:
            if event.value.confidence == COMMANDS["refuse"]:
                emit.refuse(event, "unwanted", "no")

    driver = TopologyDriver(Step("once", (OBSERVED,), (), fail_once), SETTINGS, partitions=1)
    at(driver, 0, 1)
    with pytest.raises(DeadLettered, match="unwanted") as caught:
        at(driver, 1, 2, "refuse")
    assert caught.value.__cause__ is None
