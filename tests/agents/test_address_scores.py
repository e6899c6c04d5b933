"""Scores by address: a transaction's score meets its parties, and is corrected with either."""

from __future__ import annotations

import msgspec
import pytest

from schemas.events import ModelSnapshot, Weight
from streams import topics
from streams.agents import (
    extract_features,
    fan_out_activity,
    follow_lifecycle,
    score_addresses,
    score_transactions,
)
from streams.config import Config
from streams.testing import TopologyDriver
from tests.shapes import UNDO_MS, confirmed, name, seen, tx

T = 1_700_000_000_000
STEPS = (
    follow_lifecycle.step(Config()),
    fan_out_activity.step,
    extract_features.step,
    score_transactions.step,
    score_addresses.step(Config()),
)


def driven(partitions: int = 2) -> TopologyDriver:
    return TopologyDriver(STEPS, partitions=partitions)


def snapshot(driver: TopologyDriver, valid_from: int) -> None:
    """A model that thinks of fees."""
    weights = [Weight("fee_sat", 0.0, 1.0, 1.0, 9)]
    found = ModelSnapshot(
        "transactions", f"s{valid_from}", valid_from, 9, 4, 0.0, 1.0, 0.0, weights
    )
    driver.produce(topics.models, found, ts=valid_from, id=found.snapshot_id, writer="m")


def rows(driver: TopologyDriver) -> list[tuple[str, str, str | None]]:
    """Address, transaction and snapshot of each live row."""
    live = driver.net(topics.address_results).values()
    return sorted((row.address, row.txid, row.snapshot_id) for row in live)


def send(driver: TopologyDriver, word: str, ts: int, block: str = "A") -> None:
    body = tx(word, {"to": 1_000, "from": 500}, {"from": 2_000}, block=block, height=1)
    driver.send(topics.transactions, confirmed(body, ts), writer="s")


BOTH = [("from", name("a"), None), ("to", name("a"), None)]


def test_each_party_gets_the_score_once() -> None:
    """An address on both sides is one party."""
    driver = driven()
    send(driver, "a", T)
    assert BOTH == rows(driver)


#    a (T) ... b (T + 5)          the snapshot, valid from T + 3, arrives
def test_a_snapshot_that_arrives_later_corrects_the_rows_it_should_have_given() -> None:
    """Those of transactions from its time on: withdrawn, and said again with the same ids."""
    driver = driven(partitions=1)
    send(driver, "a", T)
    send(driver, "b", T + 5)
    before = set(driver.net(topics.address_results))
    snapshot(driver, T + 3)
    corrected = [("from", name("b"), f"s{T + 3}"), ("to", name("b"), f"s{T + 3}")]
    assert sorted(BOTH + corrected) == rows(driver)
    assert before == set(driver.net(topics.address_results))


@pytest.mark.parametrize("moved_by", [0, 7])
def test_a_transaction_that_moves_takes_its_rows_along(moved_by: int) -> None:
    """From the mempool into a block, of the same time or a later one; then out of it."""
    driver = driven()
    body = tx("a", {"to": 1_000, "from": 500}, {"from": 2_000})
    driver.send(topics.mempool, seen("added", "a", T, 1, transaction=body), writer="s")
    assert BOTH == rows(driver)
    send(driver, "a", T + moved_by)
    assert BOTH == rows(driver)
    driver.send(topics.mempool, seen("evicted", "a", T + 9, 2), writer="s")
    in_block = msgspec.structs.replace(body, block_hash=name("A"), block_height=1, block_position=1)
    driver.send(topics.transactions, confirmed(in_block, T + moved_by, "retract"), writer="s")
    assert [] == rows(driver)


def test_rows_are_anchored_and_say_what_they_follow_from() -> None:
    """Block and matter of each row are those of its own transaction, whatever came with it."""
    driver = driven(partitions=1)
    for word in "abc":
        body = tx(word, {"to": 1_000}, block=f"block of {word}", height=1)
        driver.send(topics.transactions, confirmed(body, T), writer="s", run=False)
    driver.run()
    found = {
        (event.value.txid, event.correlation_id, event.anchor.block_hash)
        for event in driver.events(topics.address_results)
        if event.anchor is not None
    }
    assert {(name(w), name(w), name(f"block of {w}")) for w in "abc"} == found


def test_scores_and_parties_leave_state_with_the_undo_horizon() -> None:
    """Once no fact of their time can be corrected nothing is kept of them, and the rows stand."""
    driver = driven()
    send(driver, "a", T)
    for topic in (topics.transactions, topics.mempool):
        driver.declare(topic, T + UNDO_MS, "s")
    assert 2 == len(driver.state(score_addresses.NAME))
    for topic in (topics.transactions, topics.mempool):
        driver.declare(topic, T + UNDO_MS + 1, "s")
    assert ({}, BOTH) == (driver.state(score_addresses.NAME), rows(driver))
