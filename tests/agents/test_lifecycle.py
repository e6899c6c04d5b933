"""A transaction's life on topics: however long it waits in the mempool, its end is said."""

from __future__ import annotations

from streams import topics
from streams.agents import fan_out_activity, follow_lifecycle
from streams.config import Config
from streams.testing import TopologyDriver
from tests.shapes import UNDO_MS, confirmed, seen, tx

T = 1_700_000_000_000
DAY = 86_400_000
HORIZON = follow_lifecycle.HORIZON_MS
KEPT = HORIZON + UNDO_MS
PAYS = {"shop": 5_000}


def waiting() -> TopologyDriver:
    """One transaction in the mempool, then fourteen days in which nothing happens, and a crash."""
    steps = (follow_lifecycle.step(Config()), fan_out_activity.step)
    driver = TopologyDriver(steps, partitions=2)
    driver.send(topics.mempool, seen("added", "p", T, 1, transaction=tx("p", PAYS)), writer="s")
    until(driver, T + 14 * DAY)
    driver.crash()
    return driver


def until(driver: TopologyDriver, ts: int) -> None:
    for topic in (topics.transactions, topics.mempool):
        driver.declare(topic, ts, "s")
    driver.checkpoint()
    driver.run()


def states(driver: TopologyDriver) -> list[tuple[str, int | None]]:
    """Where each transaction stands, and since when it was seen."""
    return [(v.state, v.first_seen_ts) for v in driver.net(topics.lifecycle).values()]


def test_what_expires_after_two_weeks_takes_all_that_followed_from_it_along() -> None:
    """Activity is withdrawn, the payment is cancelled; then the key leaves state."""
    driver = waiting()
    assert [("mempool", T)] == states(driver)
    assert 2 == len(driver.net(topics.activity))
    end = T + 14 * DAY
    driver.send(topics.mempool, seen("expired", "p", end, 2), writer="s")
    assert ([("expired", T)], {}) == (states(driver), driver.net(topics.activity))
    (gone,) = driver.net(topics.cancellations).values()
    assert ("shop", 5_000, "expired") == (gone.address, gone.amount_sat, gone.kind)
    until(driver, end + KEPT)
    assert 2 == len(events(driver))
    until(driver, end + KEPT + 1)
    assert [] == events(driver)
    assert [("expired", T)] == states(driver)


def events(driver: TopologyDriver) -> list[str]:
    """Sides of the events in state."""
    return [str(key[0]) for key in driver.state(follow_lifecycle.NAME) if len(key) > 1]


def test_what_is_confirmed_after_two_weeks_keeps_its_history() -> None:
    """First seen two weeks before its block; the mempool's activity gives way to the block's."""
    driver = waiting()
    body = tx("p", PAYS, block="A", height=10)
    driver.send(topics.transactions, confirmed(body, T + 14 * DAY), writer="s")
    assert [("confirmed", T)] == states(driver)
    assert {"confirmed"} == {a.status for a in driver.net(topics.activity).values()}
    assert 2 == len(driver.net(topics.activity))


def test_rows_say_since_when_they_hold_in_whatever_order_events_came() -> None:
    """The time of a row is that of the block, or of the mempool's last word."""
    story = [
        (topics.mempool, seen("added", "p", T, 1, transaction=tx("p", PAYS))),
        (topics.transactions, confirmed(tx("p", PAYS, block="A", height=10), T + 50)),
        (topics.mempool, seen("confirmed", "p", T + 60, None, block="A")),
    ]
    for told in (story, story[::-1]):
        driver = TopologyDriver(follow_lifecycle.step(Config()), partitions=1)
        for topic, event in told:
            driver.send(topic, event, writer="s")
        assert ("assert", T + 50) == [(e.op, e.ts) for e in driver.events(topics.lifecycle)][-1]
