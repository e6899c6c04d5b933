"""A reorg leaves the same net sets as a run that never saw the fork."""

from __future__ import annotations

from typing import Any

import pytest

from streams import topics
from streams.agents.pipeline import topology
from streams.chain.payments import PaymentSettings
from streams.config import Config
from streams.testing import TopologyDriver
from streams.topics import Topic
from tests.shapes import block, confirmed, seen, tx

CONFIG = Config(payments=PaymentSettings(watch=["shop"]))
T = 1_700_000_000_000
PAYS = {"shop": 5_000_000, "rest": 1_000}
STAYING = [(topics.mempool, seen("added", "p", T, 1, transaction=tx("p", PAYS)))]
#        A1(p)  A2                     undone, p back in the mempool
#   ----<
#        B1(p)  B2  B3                 the branch that stays
FORK = [
    (topics.blocks, block("A1", 10, T + 1_000)),
    (topics.transactions, confirmed(tx("p", PAYS, block="A1", height=10), T + 1_000)),
    (topics.transactions, confirmed(tx("q", {"x": 7}, block="A1", height=10), T + 1_000)),
    (topics.blocks, block("A2", 11, T + 2_000)),
    (topics.blocks, block("A2", 11, T + 2_000, "retract")),
    (
        topics.transactions,
        confirmed(tx("q", {"x": 7}, block="A1", height=10), T + 1_000, "retract"),
    ),
    (topics.transactions, confirmed(tx("p", PAYS, block="A1", height=10), T + 1_000, "retract")),
    (topics.blocks, block("A1", 10, T + 1_000, "retract")),
]
BRANCH = [
    (topics.blocks, block("B1", 10, T + 3_000)),
    (topics.transactions, confirmed(tx("p", PAYS, block="B1", height=10), T + 3_000)),
    (topics.blocks, block("B2", 11, T + 4_000)),
    (topics.blocks, block("B3", 12, T + 5_000)),
]


def run(story: list[tuple[Topic, Any]]) -> TopologyDriver:
    """A driver after the story."""
    driver = TopologyDriver(topology(CONFIG), partitions=2)
    for topic, event in story:
        driver.send(topic, event, writer="source")
    return driver


@pytest.mark.parametrize("topic", topics.DERIVED, ids=lambda t: t.name)
def test_fork_leaves_nothing_behind(topic: Topic) -> None:
    """Every derived topic ends as if the fork had never been."""
    with_fork, without = run([*STAYING, *FORK, *BRANCH]), run([*STAYING, *BRANCH])
    expected = sorted(map(repr, without.net(topic).values()))
    assert expected == sorted(map(repr, with_fork.net(topic).values()))


def test_payment_waits_again_after_its_block_is_undone() -> None:
    """The decision goes from wait to credit, back to wait, and to credit on the new branch."""
    driver = run([*STAYING, *FORK, *BRANCH])
    said = [e.value for e in driver.events(topics.decisions) if e.op == "assert"]
    steps = [(d.decision, d.confirmations) for d in said]
    assert ("wait", 0) == steps[0]
    assert ("credit", 3) == steps[-1]
    assert ("wait", 2) in steps
    assert len(driver.net(topics.decisions)) == 1
