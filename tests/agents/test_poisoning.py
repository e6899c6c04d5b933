"""Address poisoning on topics: dust meets payments, in any order, and under withdrawal."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import Transaction
from streams import topics
from streams.agents import (
    detect_patterns,
    detect_poisoning,
    follow_lifecycle,
    raise_history_alerts,
    trace_history,
)
from streams.config import Config
from streams.patterns.address_poisoning import DEFAULTS
from streams.testing import TopologyDriver
from tests.shapes import confirmed, name, tx

T = 1_700_000_000_000
HORIZON, SLACK = DEFAULTS.horizon_ms, DEFAULTS.slack_ms
VICTIM = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
PAYEE = "bcrt1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"
POSER = "bcrt1qar0sqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5mdq"

STEPS = (
    follow_lifecycle.step(Config()),
    detect_patterns.step,
    trace_history.step,
    detect_poisoning.step(Config()),
    raise_history_alerts.step,
)

Told = tuple[Transaction, int]
"""A transaction and its block's time (ms)."""


def paid(word: str = "payment", payee: str = PAYEE) -> Transaction:
    """The victim pays 0.5 BTC."""
    return tx(word, {payee: 50_000_000}, {VICTIM: 50_000_500}, block="A", height=10)


def bait(word: str = "bait", sender: str = POSER) -> Transaction:
    """600 sat of dust come to the victim."""
    return tx(word, {VICTIM: 600}, {sender: 1_000}, block="B", height=11)


def driven(*told: Told, partitions: int = 2) -> TopologyDriver:
    driver = TopologyDriver(STEPS, partitions=partitions)
    for body, ts in told:
        driver.send(topics.transactions, confirmed(body, ts), writer="s")
    return driver


def found(driver: TopologyDriver) -> list[tuple[str, list[str]]]:
    """Pattern and evidence of each live match."""
    live = driver.net(topics.history_matches).values()
    return sorted((m.pattern, m.evidence) for m in live)


MATCH = [("address_poisoning.counterparty", [name("bait"), name("payment")])]


@pytest.mark.parametrize("partitions", [1, 4])
def test_dust_from_the_look_of_a_payee(partitions: int) -> None:
    """The payment in one block, the dust in the next: a match, and an alert of the victim."""
    driver = driven((paid(), T), (bait(), T + 1), partitions=partitions)
    assert MATCH == found(driver)
    (alert,) = driver.net(topics.alerts).values()
    assert (VICTIM, "address_poisoning.counterparty", "high") == (
        alert.entity, alert.kind, alert.severity,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("after", "expected"),
    [(-SLACK - 1, []), (-SLACK, MATCH), (0, MATCH), (HORIZON, MATCH), (HORIZON + 1, [])],
)
def test_how_long_a_payment_is_remembered(
    after: int, expected: list[tuple[str, list[str]]]
) -> None:
    """Two days before the dust, and six hours after it, whichever comes first."""
    story = ((paid(), T), (bait(), T + after))
    assert expected == found(driven(*story))
    assert expected == found(driven(*reversed(story)))


@pytest.mark.parametrize("withdrawn", [paid(), bait()], ids=["payment", "bait"])
def test_a_disconnected_block_withdraws_the_match(withdrawn: Transaction) -> None:
    """Without either of the two there is no match and no alert; back on the branch there is."""
    driver = driven((paid(), T), (bait(), T))
    driver.send(topics.transactions, confirmed(withdrawn, T, "retract"), writer="s")
    assert ([], {}) == (found(driver), driver.net(topics.alerts))
    moved = msgspec.structs.replace(withdrawn, block_hash=name("other"))
    driver.send(topics.transactions, confirmed(moved, T + 1), writer="s")
    assert MATCH == found(driver)


def test_others_are_not_held_against_it() -> None:
    """Dust from the payee itself, from a stranger, and to somebody else, is no match."""
    stranger = "bcrt1qh0qsrrr7xfkvy5l643lydnw9re59gtzzwf5zzz"
    other = tx("other", {stranger: 600}, {POSER: 1_000}, block="B", height=11)
    story = [(paid(), T), (bait("1", PAYEE), T), (bait("2", stranger), T), (other, T)]
    assert [] == found(driven(*story))


def test_dust_from_ones_own_look_needs_no_history() -> None:
    """It is a pattern of the transaction itself."""
    own = VICTIM[:10] + "q" * 30 + VICTIM[-4:]
    driver = driven((bait(sender=own), T))
    assert ["address_poisoning.own"] == [m.pattern for m in driver.net(topics.matches).values()]


def test_a_payment_that_nobody_poses_for_costs_one_record() -> None:
    """Nothing is said of it, and small payments are not even kept."""
    small = tx("small", {PAYEE: 9_999_999}, {VICTIM: 10_000_500}, block="A", height=10)
    driver = driven((paid(), T), (small, T))
    assert (1, [], []) == (
        len(driver.events(topics.payments)),
        driver.events(topics.baits),
        driver.events(topics.history_matches),
    )


STORY = [
    (paid("p1"), T),
    (paid("p2"), T + 5),
    (paid("p3", POSER), T + 9),
    (bait("b1"), T + 3),
    (bait("b2"), T + 10),
    (bait("b3", PAYEE), T + 12),
]


@settings(max_examples=40, deadline=None)
@given(st.permutations(STORY), st.sets(st.sampled_from(range(6))), st.integers(1, 3))
def test_any_order_with_withdrawals_gives_the_same(
    order: list[Told], gone: set[int], partitions: int
) -> None:
    """What is withdrawn later might as well never have come."""
    left = [told for n, told in enumerate(STORY) if n not in gone]
    driver = driven(*order, partitions=partitions)
    for n in gone:
        body, ts = STORY[n]
        driver.send(topics.transactions, confirmed(body, ts, "retract"), writer="s")
    assert found(driven(*left)) == found(driver)
