"""Inputs that stand at somebody's transaction: since when, when it is said, and what."""

from __future__ import annotations

from typing import Any

import pytest

from streams.engine.mover import Place
from streams.ops.held import Held
from streams.ops.transactions import Holder, Transaction, remedy

BIDS, ASKS = Place("bids", 0), Place("asks", 1)
BILLING = Transaction("billing-7", "Ongoing", 31.0, 900.0, 4, 2, "1 (k:9092)", ["bids/0"])
KNOWN = Holder(17, 4, 2, 30.5, BILLING)
NAMELESS = Holder(17, 4, 2, 30.5, None)
LIMIT_S = 10.0


class Watched:
    """A look-out whose clock and log are in the test's hands."""

    def __init__(self) -> None:
        self.now = 0.0
        self.said: list[tuple[str, dict[str, Any]]] = []
        report: Any = lambda event, facts: self.said.append((event, facts))  # noqa: E731
        self.held = Held(report, LIMIT_S, "k:9092", lambda: self.now)

    def look(self, at: float, stable: int, end: int) -> None:
        """What the broker answers at a time."""
        self.now = at
        self.held.look({BIDS: end}, {BIDS: stable})

    def events(self) -> list[str]:
        """What was said, in order."""
        return [event for event, _ in self.said]


@pytest.fixture
def watched() -> Watched:
    """One that has seen nothing yet."""
    return Watched()


def test_only_what_stands_for_long_is_long(watched: Watched) -> None:
    """Behind is normal, standing still for a while is not, and moving begins anew.

    ::

        time     0    5    11    12    23
        stable   17   17   17    20    20
        end      18   19   30    30    30
        long              yes          no (11 s < since 12 + 10) ... yes at 23
    """
    watched.look(0, 17, 18)
    watched.look(5, 17, 19)
    assert ({}, {BIDS: 2}) == (watched.held.long(), watched.held.unstable)
    watched.look(11, 17, 30)
    assert ({BIDS: 11.0}, [BIDS]) == (watched.held.long(), watched.held.unnamed())
    watched.look(12, 20, 30)
    assert {} == watched.held.long()
    watched.look(23, 20, 30)
    assert {BIDS: 11.0} == watched.held.long()


def test_an_input_without_open_transactions_never_stands(watched: Watched) -> None:
    """However long nothing comes; and ends that are older than the stable ones count as equal."""
    for at in (0, 100, 200):
        watched.look(at, 17, 17 if at < 200 else 16)
    assert ({}, {BIDS: 0}, "") == (
        watched.held.long(),
        watched.held.unstable,
        watched.held.words(),
    )


def test_it_is_said_once_who_and_once_that_it_is_over(watched: Watched) -> None:
    """The first line has all that an operator needs; the last one, how long it took."""
    watched.look(0, 17, 18)
    watched.look(11, 17, 20)
    watched.held.tell({BIDS: KNOWN})
    watched.look(15, 17, 21)
    watched.held.tell({BIDS: KNOWN})
    watched.look(20, 21, 21)
    where = {"topic": "bids", "partition": 0}
    facts = {
        "offset": 17, "seconds": 11.0, "waiting": 3, "transactional_id": "billing-7",
        "producer_id": 4, "epoch": 2, "state": "Ongoing", "open_s": 31.0, "timeout_s": 900.0,
        "coordinator": "1 (k:9092)", "remedy": "streams transactions abort billing-7",
    }  # fmt: skip
    over = {"seconds": 20.0, "transactional_id": "billing-7"}
    assert [
        ("held_by_transaction", where | facts),
        ("transaction_over", where | over),
    ] == watched.said


def test_a_holder_whom_nobody_names_is_asked_for_again(watched: Watched) -> None:
    """That it is held is said at once, with the reason; by whom as soon as it is known."""
    watched.look(0, 17, 18)
    watched.look(11, 17, 20)
    watched.held.tell({}, "the brokers do not tell")
    watched.held.tell({}, "the brokers do not tell")
    assert (["held_by_transaction"], [BIDS]) == (watched.events(), watched.held.unnamed())
    assert "bids/0 waits for a transaction of somebody, for 11 s" == watched.held.words()
    watched.held.tell({BIDS: KNOWN})
    assert (["held_by_transaction"] * 2, []) == (watched.events(), watched.held.unnamed())
    assert "billing-7" == watched.held.by(BIDS)


def test_a_partition_that_moved_to_another_worker_is_no_longer_ours(watched: Watched) -> None:
    """Its transaction is not said to be over, since nobody knows."""
    watched.look(0, 17, 18)
    watched.look(11, 17, 20)
    watched.held.tell({BIDS: KNOWN})
    watched.held.look({ASKS: 5}, {ASKS: 5})
    assert (["held_by_transaction"], {ASKS: 0}) == (watched.events(), watched.held.unstable)


@pytest.mark.parametrize(
    ("holder", "words"),
    [
        (KNOWN, "streams transactions abort billing-7"),
        (NAMELESS, "kafka-transactions.sh --bootstrap-server k:9092 abort --topic bids "
                   "--partition 0 --start-offset 17"),
    ],
)  # fmt: skip
def test_the_remedy_fits_who_it_is(holder: Holder, words: str) -> None:
    """Whom a coordinator knows is fenced; what nobody knows is ended at the partition."""
    assert words == remedy("k:9092", BIDS, 17, holder)
