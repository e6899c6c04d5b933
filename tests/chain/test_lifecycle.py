"""Where a transaction stands does not depend on the order in which its facts came."""

from __future__ import annotations

from itertools import permutations

import pytest

from schemas.envelope import Event
from streams.chain.lifecycle import fold
from tests.shapes import confirmed, name, seen, tx

BODY = tx("a")
IN_A = tx("a", block="A", height=7)
IN_B = tx("a", block="B", height=7)
ADDED = seen("added", "a", 1_000, 1, transaction=BODY)
AGAIN = seen("added", "a", 5_000, 9, transaction=BODY)
BY_A = seen("confirmed", "a", 3_000, None, block="A")

#   mempool  ADDED ---- BY_A ------- AGAIN
#   chain                IN_A ~~undone~~      IN_B
STORIES: dict[str, tuple[list[Event], str, str | None, int]] = {
    "only seen": ([ADDED], "mempool", None, 0),
    "confirmed": ([ADDED, BY_A, confirmed(IN_A, 3_000)], "confirmed", "A", 0),
    "confirmed, never seen before": ([confirmed(IN_A, 3_000)], "confirmed", "A", 0),
    "undone": ([ADDED, BY_A], "mempool", None, 1),
    "undone, seen again": ([ADDED, BY_A, AGAIN], "mempool", None, 1),
    "confirmed again": ([ADDED, BY_A, AGAIN, confirmed(IN_B, 6_000)], "confirmed", "B", 1),
    "expired": ([ADDED, seen("expired", "a", 9_000, 12)], "expired", None, 0),
    "evicted, then seen again": (
        [ADDED, seen("evicted", "a", 2_000, 3), AGAIN],
        "mempool",
        None,
        0,
    ),
}


@pytest.mark.parametrize("story", STORIES, ids=str)
def test_every_arrival_order_gives_the_same_standing(story: str) -> None:
    """All permutations of a story's facts fold to the same state, block and lost confirmations."""
    events, state, block, lost = STORIES[story]
    for order in permutations(events):
        standing = fold(order)
        assert standing is not None
        life = standing.lifecycle
        expected = (state, None if block is None else name(block), lost)
        assert expected == (life.state, life.block_hash, life.confirmations_lost)


def test_nothing_known_is_no_standing() -> None:
    """A transaction all of whose facts were withdrawn has no row."""
    assert fold([]) is None


def test_replaced_within_the_same_millisecond_follows_the_node_s_own_order() -> None:
    """Added and replaced at one instant: the node's sequence number decides, not the id."""
    gone = seen("replaced", "a", 1_000, 2, replaced_by=name("b"))
    for order in permutations([ADDED, gone]):
        standing = fold(order)
        assert standing is not None
        assert ("replaced", name("b")) == (standing.lifecycle.state, standing.lifecycle.replaced_by)


def test_a_replaced_transaction_keeps_its_body_for_what_follows_from_its_loss() -> None:
    """The fact is gone, the body is still known: the payments that will not come are named."""
    gone = seen("replaced", "a", 2_000, 2, replaced_by=name("b"))
    standing = fold([ADDED, gone])
    assert standing is not None
    assert (None, BODY) == (standing.fact, standing.last_body)
