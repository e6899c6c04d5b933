"""Labels meet vectors: as-of, with late truth that comes, changes and goes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.envelope import Op
from schemas.events import Label
from streams import topics
from streams.agents import extract_features, follow_lifecycle, label_examples
from streams.config import Config
from streams.engine.settings import settings_of
from streams.testing import TopologyDriver
from streams.tuning import EngineTuning
from tests.shapes import confirmed, name, seen, tx

T = 1_700_000_000_000
HOUR, UNDO = 3_600_000, 7_200_000
CONFIG = Config(label_tolerance_ms=HOUR, engine=EngineTuning(retract_grace_ms=UNDO))
STEPS = (follow_lifecycle.step(CONFIG), extract_features.step, label_examples.step(CONFIG))
TIMED = (topics.transactions, topics.mempool, topics.labels)


def driven() -> TopologyDriver:
    return TopologyDriver(STEPS, settings_of(CONFIG, ""), partitions=2)


def send(driver: TopologyDriver, word: str, ts: int, op: Op = "assert") -> None:
    """A confirmed transaction."""
    driver.send(topics.transactions, confirmed(tx(word, block="A", height=1), ts, op), writer="s")


def label(
    driver: TopologyDriver, word: str, ts: int, illicit: bool = True, **more: Any
) -> None:  # fmt: skip
    """A truth that becomes known at ``ts``."""
    driver.produce(topics.labels, Label(name(word), illicit, "x"), ts=ts, writer="s", **more)


def until(driver: TopologyDriver, ts: int) -> None:
    """Time passes."""
    for topic in TIMED:
        driver.declare(topic, ts, "s")
    driver.checkpoint()
    driver.run()


def examples(driver: TopologyDriver) -> list[tuple[str, bool]]:
    """Subject and truth of each live example."""
    return sorted((e.subject, e.illicit) for e in driver.net(topics.examples).values())


def unmatched(driver: TopologyDriver) -> list[str]:
    """Subjects of the labels that stand without a vector."""
    return sorted(found.subject for found in driver.net(topics.unmatched_labels).values())


#    vector          label             tolerance
#    |---------------|-----------------|
#    T               T + after         T + HOUR
@pytest.mark.parametrize(
    ("after", "meets"), [(-1, False), (0, True), (HOUR, True), (HOUR + 1, False)]
)
def test_a_label_meets_its_vector_within_the_tolerance(after: int, meets: bool) -> None:
    """From the transaction's own time to an hour after it; what meets nothing is said, too."""
    driver = driven()
    send(driver, "a", T)
    label(driver, "a", T + after)
    until(driver, T + 2 * HOUR)
    expected = ([(name("a"), True)], []) if meets else ([], [name("a")])
    assert expected == (examples(driver), unmatched(driver))


def test_a_label_that_arrives_first_waits_for_time_not_for_luck() -> None:
    """Nothing is said before the watermark has passed the label, so nothing is taken back."""
    driver = driven()
    label(driver, "a", T + 5)
    until(driver, T)
    assert ([], []) == (examples(driver), unmatched(driver))
    send(driver, "a", T)
    until(driver, T + HOUR)
    assert [(name("a"), True)] == examples(driver)
    assert [] == driver.events(topics.unmatched_labels)


def test_a_truth_that_changes_corrects_its_example() -> None:
    """The example has one id: it is withdrawn and said again; a withdrawn truth leaves nothing."""
    driver = driven()
    send(driver, "a", T)
    label(driver, "a", T + 5)
    until(driver, T + HOUR)
    label(driver, "a", T + 5, illicit=False, correction=True)
    said = [(e.op, e.value.illicit) for e in driver.events(topics.examples)]
    assert [("assert", True), ("retract", True), ("assert", False)] == said
    assert 1 == len({e.id for e in driver.events(topics.examples)})
    label(driver, "a", T + 5, illicit=False, op="retract", correction=True)
    assert ([], []) == (examples(driver), unmatched(driver))


def test_a_transaction_that_is_undone_takes_its_example_along() -> None:
    """Its label then meets nothing, until a block holds the transaction again."""
    driver = driven()
    send(driver, "a", T)
    label(driver, "a", T + 5)
    until(driver, T + HOUR)
    send(driver, "a", T, "retract")
    assert ([], [name("a")]) == (examples(driver), unmatched(driver))
    body = tx("a", block="B", height=1)
    again = msgspec.structs.replace(confirmed(body, T + 3), correction=True)
    driver.send(topics.transactions, again, writer="s")
    assert ([(name("a"), True)], []) == (examples(driver), unmatched(driver))


def test_a_label_of_a_replaced_or_unknown_transaction_meets_nothing() -> None:
    """Both are said, and neither is learned."""
    driver = driven()
    first = seen("added", "a", T, 1, transaction=tx("a"))
    driver.send(topics.mempool, first, writer="s")
    driver.send(topics.mempool, seen("replaced", "a", T + 1, 2, replaced_by="b"), writer="s")
    label(driver, "a", T + 5)
    label(driver, "never seen", T + 6)
    until(driver, T + HOUR)
    assert ([], sorted([name("a"), name("never seen")])) == (examples(driver), unmatched(driver))


def test_vectors_and_labels_leave_state() -> None:
    """Tolerance and undo horizon later nothing of them is kept."""
    driver = driven()
    send(driver, "a", T)
    label(driver, "a", T + 5)
    kept = HOUR + UNDO + follow_lifecycle.HORIZON_MS
    until(driver, T + kept)
    assert {} != driver.state(label_examples.NAME)
    until(driver, T + kept + 1)
    assert {} == driver.state(label_examples.NAME)
    assert [(name("a"), True)] == examples(driver)


STORY = [("tx", "a", T), ("tx", "b", T + 2), ("tx", "c", T + 2),
         ("label", "a", T + 1), ("label", "b", T + 1), ("label", "c", T + HOUR),
         ("label", "d", T + 3)]  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.permutations(STORY), st.sets(st.integers(0, 6)))
def test_any_order_with_withdrawals_gives_the_same(
    order: list[tuple[str, str, int]], gone: set[int]
) -> None:
    """What is withdrawn later might as well never have come."""
    one, other = driven(), driven()
    left = [told for number, told in enumerate(STORY) if number not in gone]
    for driver, story in ((one, order), (other, left)):
        for kind, word, ts in story:
            (send if kind == "tx" else label)(driver, word, ts)
    until(one, T + HOUR + 1)
    until(other, T + HOUR + 1)
    for number in gone:
        kind, word, ts = STORY[number]
        (send if kind == "tx" else label)(one, word, ts, op="retract")
    assert (examples(other), unmatched(other)) == (examples(one), unmatched(one))
