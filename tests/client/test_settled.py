"""confirmations=n on a real broker: facts beside the chain's tips."""

from __future__ import annotations

from typing import Unpack

import pytest

from schemas.envelope import Anchor, Op
from schemas.events import Activity
from streams import topics
from streams.client import Asserted, Consumer, NoTopic, Withdrawn
from streams.client.options import Common
from tests.client.place import NETWORK, Place, activity


def settled(
    place: Place, **options: Unpack[Common]
) -> Consumer[Asserted[Activity] | Withdrawn[Activity]]:
    """A consumer of facts with two confirmations."""
    return Consumer(place.bootstrap, topics.activity, confirmations=2, **options)


def write(place: Place, id: str, height: int | None, name: str = "", op: Op = "assert") -> None:
    """A fact in a block, or in the mempool."""
    anchor = None if height is None else Anchor(NETWORK, height, name)
    value = activity("address", 5, height)
    place.write(topics.activity, id, value, op, ts=height or 0, anchor=anchor)


def test_only_buried_facts_come_by_the_end(place: Place) -> None:
    """Of facts in the tip, below it, undone, and of the mempool, the buried one comes."""
    write(place, "buried", 10, "a")
    write(place, "in the tip", 11, "b")
    write(place, "undone", 11, "lost")
    write(place, "mempool", None)
    place.tip(10, "a")
    place.tip(11, "lost")
    place.tip(11, "lost", "retract")
    place.tip(11, "b")
    with settled(place, until="end") as facts:
        assert ["buried"] == [record.id for record in facts]
        assert {"buried"} == set(facts.net())
        counts = facts.counts()
    assert (1, 2, 1, 0) == (
        counts["live"], counts["waiting"], counts["without_block"], counts["malformed"],
    )  # fmt: skip


def test_a_tip_settles_and_a_retract_withdraws_while_it_runs(place: Place) -> None:
    """An endless consumer yields a fact when its block is buried, and its end when it is undone.

    tip      10      11          11 undone, 10 undone
    fact         f       f out                        f withdrawn
    """
    with settled(place) as facts:
        place.tip(10, "a")
        write(place, "f", 10, "a")
        assert [] == facts.poll(0.5)
        place.tip(11, "b")
        assert [("assert", "f")] == [(r.op, r.id) for r in facts.poll(10, 1)]
        place.tip(11, "b", "retract")
        place.tip(10, "a", "retract")
        [gone] = facts.poll(10, 1)
        assert isinstance(gone, Withdrawn) and gone.because == "disconnected"
        write(place, "f", 10, "a", "retract")
        assert [] == facts.poll(0.5)


def test_a_group_does_not_commit_past_what_waits(place: Place) -> None:
    """A fact that waits when the program ends is yielded by the next run; a settled one is not.

    offsets   0 settled   1 waits   2 settled
    committed             ^
    """
    write(place, "one", 10, "a")
    write(place, "waits", 11, "b")
    write(place, "two", 10, "a")
    place.tip(10, "a")
    place.tip(11, "b")
    with settled(place, group=place.group, until="end", kafka=FAST) as facts:
        assert {"one", "two"} == {record.id for record in facts}
    place.tip(12, "c")
    with settled(place, group=place.group, until="end", kafka=FAST) as facts:
        again = [record.id for record in facts]
    assert "one" not in again and {"waits", "two"} == set(again)


def test_a_group_that_restarts_still_withdraws(place: Place) -> None:
    """The retract of a fact that an earlier run yielded is yielded, whatever the tips say now."""
    write(place, "f", 10, "a")
    place.tip(10, "a")
    place.tip(11, "b")
    with settled(place, group=place.group, until="end", kafka=FAST) as facts:
        assert ["f"] == [record.id for record in facts]
    for height, name in ((11, "b"), (10, "a")):
        place.tip(height, name, "retract")
    write(place, "f", 10, "a", "retract")
    with settled(place, group=place.group, until="end", kafka=FAST) as facts:
        assert [("retract", "f")] == [(record.op, record.id) for record in facts]


def test_without_tips_nothing_is_settled_and_their_topic_is_named(place: Place) -> None:
    """No topic of tips is an error that names it, not an empty result."""
    place.remove(topics.tip)
    with pytest.raises(NoTopic, match=r"bitcoin\.tip"):
        settled(place, until="end")


FAST = {"session.timeout.ms": 2000, "heartbeat.interval.ms": 500}
