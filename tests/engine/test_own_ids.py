"""A join remembers the ids of its inputs itself: the task keeps nothing more of them."""

from __future__ import annotations

from joins import IntervalJoin, Matched, Unmatched
from schemas.events import Label
from streams.engine.joining import Said, join_step
from streams.testing import TopologyDriver
from streams.topics import Topic
from tests.engine.world import OBSERVED, OTHER, OUT, SETTINGS, T0, at, counts, label

SECOND = Topic("t.second", "txid", "another source", "ml.label.v1", source=True, declared=False)
JOIN = IntervalJoin(name="pair", before=10, after=10)


def _say(result: Matched | Unmatched) -> Label:
    left = result.members["left"]
    assert left is not None
    return left.value  # type: ignore[union-attr,no-any-return]


def _world() -> TopologyDriver:
    step = join_step(JOIN, {"left": OBSERVED, "right": SECOND}, OUT, _say)
    return TopologyDriver(step, SETTINGS, partitions=1)


def test_what_a_source_repeats_is_counted_once() -> None:
    """The second record about an id changes nothing, before a crash and after it.

    ::

        observed   1 at 0    1 at 0 again   crash   1 at 0 again
        second                                                     1 at 5
    """
    world = _world()
    at(world, 0, 1)
    at(world, 0, 1)
    world.checkpoint()
    world.crash()
    at(world, 0, 1)
    at(world, 5, 1, topic=SECOND)
    found = counts(world)
    assert (3, 1, 2, True) == (found.read, found.used, found.duplicates, found.balanced)
    assert 1 == len(world.events(OUT))
    assert {} == world.state("intake")


def test_a_retract_of_nothing_is_counted_with_its_source() -> None:
    """It is a repetition without effect, and known to be a retract."""
    world = _world()
    at(world, 0, 1, op="retract")
    found = counts(world)
    assert (1, 0, 1, 1) == (found.read, found.used, found.duplicates, found.void_retracts)


def test_a_retract_that_had_an_effect_is_remembered_for_lateness() -> None:
    """From then on retract_grace (100) decides about its id, and not grace (0).

    ::

        observed   assert 1 at 0, retract it;  2 at 50 (W_p = 40);  assert 1 at 0: in time
    """
    world = _world()
    at(world, 0, 1)
    at(world, 0, 1, op="retract")
    at(world, 50, 2)
    at(world, 0, 1)
    assert (4, 0) == (counts(world).used, counts(world).late)


def test_a_result_can_speak_on_several_topics() -> None:
    """Each with an id of its own, withdrawn together when the result is.

    ::

        observed   1 at 0                       retract 1 at 0
        second              1 at 5
        out                 from left, right    both withdrawn
    """

    def say(result: Matched | Unmatched) -> list[Said]:
        value = _say(result)
        return [Said(OUT, value, "a"), Said(OUT, value, "b", ts=T0 + 1), Said(OTHER, value)]

    step = join_step(JOIN, {"left": OBSERVED, "right": SECOND}, (OUT, OTHER), say)
    world = TopologyDriver(step, SETTINGS, partitions=1)
    at(world, 0, 1)
    at(world, 5, 1, topic=SECOND)
    assert [(2, {T0 + 5, T0 + 1}), (1, {T0 + 5})] == [
        (len(world.net(topic)), {event.ts for event in world.events(topic)})
        for topic in (OUT, OTHER)
    ]
    at(world, 0, 1, op="retract")
    assert [{}, {}] == [world.net(OUT), world.net(OTHER)]
    assert label(1) == world.events(OTHER)[-1].value
