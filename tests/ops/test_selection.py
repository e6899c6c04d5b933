"""What an application runs, what it is called, and whom it may not meet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streams import topics
from streams.agents.pipeline import topology
from streams.engine.fingerprint import Group, client_id, conflict, fingerprint
from streams.engine.selection import Selection, WrongSelection, beside, only, whole
from streams.engine.settings import EngineSettings
from streams.engine.step import Step
from streams.engine.topology import Topology, build

MAIN = topology()
ALL = whole(MAIN, "streams")
SETTINGS = EngineSettings()
NAMES = [sub.name for sub in MAIN.subs]


def test_steps_bring_their_whole_sub_topologies() -> None:
    """A step takes the steps with it that run in one task; the application is named after them."""
    chosen = only(ALL, ["decide_payments", "track_tip"])
    assert ("by_network", "by_address") == chosen.names
    assert "streams.by_network.by_address" == chosen.application
    assert "join_entities" in {step.name for step in chosen.part.steps}
    assert (MAIN, "streams") == (chosen.topology, chosen.base)


@given(st.permutations(NAMES).flatmap(lambda n: st.integers(1, len(n)).map(lambda k: n[:k])))
def test_the_order_in_which_steps_are_named_means_nothing(names: list[str]) -> None:
    """The same selection has the same application and the same fingerprint."""
    one, other = only(ALL, names), only(ALL, sorted(names))
    assert one == other
    assert client_id(one, SETTINGS) == client_id(other, SETTINGS)
    assert ("streams" == one.application) == (len(names) == len(NAMES))


@given(st.sets(st.sampled_from(NAMES), min_size=1), st.sets(st.sampled_from(NAMES), min_size=1))
def test_two_applications_share_exactly_what_both_run(one: set[str], other: set[str]) -> None:
    """An application's id says what it runs, so each finds what it would run twice."""
    mine, theirs = only(ALL, sorted(one)), only(ALL, sorted(other))
    assert one & other == set(mine.shared_with(theirs.application))


@pytest.mark.parametrize(("name", "near"), [("track_tipp", "track_tip"), ("by_txis", "by_txid")])
def test_an_unknown_step_is_named_with_the_nearest(name: str, near: str) -> None:
    """A step that is not there is the user's error, with code 2."""
    with pytest.raises(WrongSelection, match=f"no step {name}: did you mean {near}?") as caught:
        only(ALL, [name])
    assert 2 == caught.value.code


def own_step(version: int = 1, name: str = "mine") -> Selection:
    """A step of somebody else beside the main job."""
    step = Step(name, (topics.activity,), (), lambda *_: None, version=version)
    return beside(MAIN, build([step]), "streams", "my_steps")


def test_own_steps_are_named_apart_and_know_the_main_job() -> None:
    """They have names and a group of their own; who writes what they read is known."""
    own = own_step()
    assert (("my_steps-by_address",), "streams.my_steps") == (own.names, own.application)
    writers = [sub.name for sub in own.topology.writers(topics.activity.name)]
    assert ["by_txid"] == writers
    assert (own.names, ()) == (own.shared_with("streams.my_steps"), own.shared_with("streams"))
    assert ((), own.names) == (
        own.shared_with("streams.by_address"),
        own.shared_with("streams.my_steps-by_address"),
    )
    assert () == ALL.shared_with("streams.my_steps")


def test_a_module_may_not_be_named_as_a_sub_topology() -> None:
    """Its group would be the one of ``--only``."""
    with pytest.raises(WrongSelection, match="cannot be named by_txid"):
        beside(MAIN, build([Step("s", (topics.tip,), (), lambda *_: None)]), "streams", "by_txid")


CHANGES = {
    "partitions": (own_step(), replace(SETTINGS, partitions=8)),
    "generation": (own_step(), replace(SETTINGS, generation=1)),
    "version": (own_step(version=2), SETTINGS),
    "name": (own_step(name="other"), SETTINGS),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_members_must_agree_on_is_in_the_fingerprint(change: str) -> None:
    """Partitions, generation, versions and names tell topologies apart; where it runs does not."""
    selection, settings = CHANGES[change]
    assert fingerprint(own_step(), SETTINGS) != fingerprint(selection, settings)
    elsewhere = replace(SETTINGS, bootstrap="10.0.0.1:9092", checkpoint_ms=30)
    assert fingerprint(own_step(), SETTINGS) == fingerprint(own_step(), elsewhere)


def test_who_writes_the_inputs_is_in_the_fingerprint() -> None:
    """A part whose inputs have other writers waits for others: it is another topology."""
    fewer = Topology(tuple(sub for sub in MAIN.subs if sub.name != "by_did"))
    one, other = only(ALL, ["by_address"]), only(whole(fewer, "streams"), ["by_address"])
    assert fingerprint(one, SETTINGS) != fingerprint(other, SETTINGS)


def test_conflicts_are_named() -> None:
    """Other members in the group, or the same part in another group: refused; else not."""
    mine = client_id(ALL, SETTINGS)
    part = only(ALL, ["by_did"])
    same = [Group("streams", (mine, mine))]
    assert None is conflict(ALL, SETTINGS, same)
    assert None is conflict(ALL, SETTINGS, [Group("streams.by_did", ())])
    assert None is conflict(part, SETTINGS, [Group("streams.by_txid", ("x",))])
    other = conflict(ALL, SETTINGS, [Group("streams", (mine, "faust-0.15.3"))])
    assert other is not None and "1 members of group streams run another" in other[0]
    twice = conflict(part, SETTINGS, same)
    assert twice is not None and "group streams has 2 members that run by_did" in twice[0]
