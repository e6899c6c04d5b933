"""Activity meets the links of its time, which are proved late, end, are revoked and withdrawn."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.envelope import Event, Op
from schemas.events import Activity, AddressIdentities, IdentityLink
from streams import topics
from streams.agents import identify_activity, list_identities, pass_on_links
from streams.chain.standing_links import MOST, standing
from streams.config import Config
from streams.engine.settings import settings_of
from streams.testing import TopologyDriver
from streams.tuning import EngineTuning

T = 1_700_000_000_000
UNDO = 1_000
CONFIG = Config(engine=EngineTuning(retract_grace_ms=UNDO))
STEPS = (
    list_identities.step,
    identify_activity.step(CONFIG),
    pass_on_links.step(CONFIG),
)
HOME = "bcrt1qhome"


def driven() -> TopologyDriver:
    return TopologyDriver(STEPS, settings_of(CONFIG, ""), partitions=1)


def link(
    did: str, at: int, *, revoked: bool = False, until: int | None = None, op: Op = "assert",
    network: str | None = None,
) -> Event:  # fmt: skip
    """A version of the link of HOME to a DID, by the one record that the DID wrote of it."""
    ends = None if until is None else T + until
    said = IdentityLink(
        HOME, network, did, "did_statement", "claimed", f"record of {did}", f"cid {at}", revoked,
        ends,
    )  # fmt: skip
    kind = "web5.identity_link.v1"
    return Event(f"{did}@{at}", HOME, T + at, op, said, correction=op == "retract", type=kind)


def payment(at: int, op: Op = "assert", network: str = "regtest") -> Event:
    """HOME is paid."""
    paid = Activity(network, HOME, f"tx {at}", "credit", 0, 1_000, "mempool")
    kind = "bitcoin.activity.v1"
    return Event(f"paid@{at}", HOME, T + at, op, paid, correction=op == "retract", type=kind)


def tell(driver: TopologyDriver, *story: Event) -> TopologyDriver:
    for event in story:
        about = topics.identity_links if event.type.startswith("web5") else topics.activity
        driver.send(about, event, writer="s")
    return driver


def until(driver: TopologyDriver, ts: int) -> None:
    for topic in (topics.identity_links, topics.activity):
        driver.declare(topic, T + ts, "s")


def who(driver: TopologyDriver) -> dict[str, list[str]]:
    """Payment to the DIDs that stood at its address."""
    live = driver.net(topics.identified_activity).values()
    return {found.activity.txid: [link.did for link in found.links] for found in live}


#    alice   |10 ------------------------ 40|
#    bob               |20 ------------------------ 60|
#    paid    5     10      25          40       59    60
def test_activity_meets_all_links_of_its_time() -> None:
    """From valid-from on and up to the end, in whatever order they became known."""
    links = [link("alice", 10), link("bob", 20, until=60), link("alice", 40, revoked=True)]
    paid = [payment(at) for at in (5, 10, 25, 40, 59, 60)]
    expected = {
        "tx 10": ["alice"], "tx 25": ["alice", "bob"], "tx 40": ["bob"], "tx 59": ["bob"],
    }  # fmt: skip
    assert expected == who(tell(driven(), *links, *paid))
    assert expected == who(tell(driven(), *paid, *reversed(links)))


#    paid        |20 ... alice, proved now: from 10 ... revoked now: from 15
#    said        -       alice                          -
def test_a_link_proved_or_revoked_later_corrects_what_was_joined() -> None:
    """Time has long passed them by, and still each is taken at the time that it speaks of."""
    driver = tell(driven(), payment(20))
    until(driver, 500)
    assert {} == who(driver)
    tell(driver, link("alice", 10))
    assert {"tx 20": ["alice"]} == who(driver)
    tell(driver, link("alice", 15, revoked=True))
    assert {} == who(driver)
    tell(driver, link("alice", 15, revoked=True, op="retract"))
    assert {"tx 20": ["alice"]} == who(driver)
    assert [] == list(driver.records(topics.late_records))
    said = [event.op for event in driver.events(topics.identified_activity)]
    assert ["assert", "retract", "assert"] == said


def test_a_link_that_comes_while_nobody_waited_for_it_is_not_late() -> None:
    """Its topic had been idle, and time had gone on without it."""
    driver = tell(driven(), payment(20))
    driver.idle(topics.identity_links)
    driver.declare(topics.activity, T + 500, "s")
    tell(driver, link("alice", 10))
    assert {"tx 20": ["alice"]} == who(driver)
    assert [] == list(driver.records(topics.late_records))


def test_activity_that_is_undone_takes_its_row_along() -> None:
    """The row is withdrawn, and comes again with the activity."""
    driver = tell(driven(), link("alice", 10), payment(20), payment(20, "retract"))
    assert {} == who(driver)
    assert {"tx 20": ["alice"]} == who(tell(driver, payment(20)))


@pytest.mark.parametrize(("network", "expected"), [("regtest", ["alice"]), ("main", None)])
def test_a_link_about_another_network_says_nothing(
    network: str, expected: list[str] | None
) -> None:
    """Two networks may share the look of their addresses."""
    driver = tell(driven(), link("alice", 10, network="regtest"), payment(20, network=network))
    assert expected == who(driver).get("tx 20")


def test_activity_leaves_state_and_the_links_stay() -> None:
    """A day later (here: one second) no link can correct it any more."""
    driver = tell(driven(), link("alice", 10), payment(20))
    until(driver, 20 + UNDO)
    assert 2 == len(driver.state(identify_activity.NAME))
    until(driver, 21 + UNDO)
    assert 1 == len(driver.state(identify_activity.NAME))
    tell(driver, link("alice", 15, revoked=True))
    assert {"tx 20": ["alice"]} == who(driver)


def test_links_too_old_for_a_window_are_counted_and_only_there() -> None:
    """They count as filtered, change the versions, and do not reach the windows."""
    driver = driven()
    until(driver, 5_000)
    tell(driver, link("old", 3_999), link("new", 4_000))
    (task,) = driver.tasks.values()
    counts = task.counts[topics.identity_links.name]
    assert (2, 1, 1, 0) == (counts.read, counts.used, counts.filtered, counts.late)
    assert [3_999, 4_000] == versions(driver)


def versions(driver: TopologyDriver) -> list[int]:
    """When the versions of the set begin."""
    live = {e.id: e.ts - T for e in driver.events(topics.address_identities) if e.op == "assert"}
    return sorted(live[id] for id in driver.net(topics.address_identities))


def test_an_address_that_many_claim_lists_the_oldest_and_counts_the_rest() -> None:
    """Anybody can claim an address: what follows from that is bounded."""
    claims = [link(f"did {n:03}", n) for n in range(MOST + 3)]
    driver = tell(driven(), *claims)
    found = driver.net(topics.address_identities).values()
    last: AddressIdentities = max(found, key=lambda v: (len(v.links), v.left_out))
    assert (MOST, 3, "did 000") == (len(last.links), last.left_out, last.links[0].did)


times = st.integers(0, 12)
claims = st.builds(
    lambda did, at, revoked, until: link(did, at, revoked=revoked, until=until),
    st.sampled_from("abc"), times, st.booleans(), st.none() | times,
)  # fmt: skip
facts = st.lists(claims | st.builds(payment, times), max_size=12, unique_by=lambda e: e.id)


@settings(max_examples=60, deadline=None)
@given(facts, st.data())
def test_any_order_with_withdrawals_equals_the_definition(
    story: list[Event], data: st.DataObject
) -> None:
    """For each payment: of each record the newest statement before it, if it still holds."""
    order = data.draw(st.permutations(story))
    gone = {e.id for e in story if data.draw(st.booleans())}
    driver = tell(driven(), *order)
    tell(driver, *(_withdrawn(event) for event in order if event.id in gone))
    left = [e for e in story if e.id not in gone]
    links = [e for e in left if e.type.startswith("web5")]
    expected = {}
    for paid in (e for e in left if not e.type.startswith("web5")):
        dids = [found.did for found in standing(links, paid.ts)]
        if dids:
            expected[paid.value.txid] = dids
    assert expected == who(driver)


def _withdrawn(event: Event) -> Event:
    return Event(
        event.id, event.key, event.ts, "retract", event.value, correction=True, type=event.type
    )


@given(st.lists(claims, max_size=8, unique_by=lambda e: e.id), times)
def test_who_stands_is_who_spoke_last_and_still_holds(said: list[Event], at: int) -> None:
    """The same in other words: nobody of the record spoke after a link that stands."""
    now = T + at
    expected = sorted(
        (e.ts, e.id)
        for e in said
        if e.ts <= now
        and not e.value.revoked
        and (e.value.valid_to is None or now < e.value.valid_to)
        and not any(
            o.value.record_id == e.value.record_id and (e.ts, e.id) < (o.ts, o.id) and o.ts <= now
            for o in said
        )
    )
    assert [e.value for key in expected for e in said if (e.ts, e.id) == key] == standing(said, now)
