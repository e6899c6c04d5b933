"""Rows of DIDs: the window of all that happened at the addresses linked to them at the time."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.envelope import Event
from schemas.events import Activity, AddressScore, EntityWindow, IdentityLink
from streams import topics
from streams.agents import (
    identify_activity,
    identify_scores,
    join_dids,
    join_entities,
    list_identities,
    pass_on_links,
)
from streams.chain.standing_links import standing
from streams.config import Config
from streams.engine.settings import settings_of
from streams.testing import TopologyDriver

HOUR = 3_600_000
T = 1_700_000_000_000 - 1_700_000_000_000 % HOUR
CONFIG = Config(entity_window_ms=HOUR)
STEPS = (
    list_identities.step,
    identify_activity.step(CONFIG),
    identify_scores.step(CONFIG),
    pass_on_links.step(CONFIG),
    join_entities.step(CONFIG),
    join_dids.step(CONFIG),
)
KINDS = {"activity": topics.activity, "link": topics.identity_links,
         "score": topics.address_results}  # fmt: skip


def driven(partitions: int = 1) -> TopologyDriver:
    return TopologyDriver(STEPS, settings_of(CONFIG, ""), partitions=partitions)


def link(did: str, address: str, at: int, revoked: bool = False) -> Event:
    """What the one record of the DID about the address says from ``at`` on."""
    said = IdentityLink(
        address, None, did, "did_statement", "claimed", f"{did}/{address}", f"cid {at}", revoked
    )
    return Event(f"{did}/{address}@{at}", address, T + at, "assert", said,
                 type="web5.identity_link.v1")  # fmt: skip


def payment(address: str, at: int) -> Event:
    """The address is paid."""
    paid = Activity("regtest", address, f"tx {at}", "credit", 0, 1_000, "mempool")
    return Event(f"{address} paid@{at}", address, T + at, "assert", paid,
                 type="bitcoin.activity.v1")  # fmt: skip


def score(address: str, at: int) -> Event:
    """The transaction that pays it is scored."""
    found = AddressScore("regtest", address, f"tx {at}", 0.5, None, False, "s")
    return Event(f"{address} scored@{at}", address, T + at, "assert", found,
                 type="ml.address_result.v1")  # fmt: skip


def tell(driver: TopologyDriver, *story: Event, gone: bool = False) -> TopologyDriver:
    for event in story:
        topic = KINDS[{"w": "link", "b": "activity", "m": "score"}[event.type[0]]]
        op = "retract" if gone else "assert"
        driver.send(
            topic,
            Event(event.id, event.key, event.ts, op, event.value, correction=gone, type=event.type),
            writer="s",
        )  # fmt: skip
    return driver


class Row(NamedTuple):
    """What a row says, in short."""

    entity: str
    hour: int
    paid: list[str]
    said: list[int]
    scored: list[str]


def rows(driver: TopologyDriver, prefix: str = "did") -> list[Row]:
    """The live rows of all DIDs (or addresses)."""
    live = driver.net(topics.entities).values()
    return sorted(_row(found) for found in live if found.entity.startswith(prefix))


def _row(found: EntityWindow) -> Row:
    assert HOUR == found.window_end_ts - found.window_start_ts
    return Row(
        found.entity,
        (found.window_start_ts - T) // HOUR,
        [f"{a.address} {a.txid}" for a in found.activity],
        [int(said.message_cid.split()[1]) for said in found.links],
        [f"{s.address} {s.txid}" for s in found.scores],
    )


#    home    |5 did:a ------------------------------------------ revoked at 50 |
#    shop              |20 did:a, did:b --------------------------------------
#    paid       home 10      shop 30      (scored at the same times)   home 60
STORY = (
    link("did:a", "home", 5),
    link("did:a", "shop", 20),
    link("did:b", "shop", 20),
    payment("home", 10),
    score("home", 10),
    payment("shop", 30),
    score("shop", 30),
    payment("home", 60),
    link("did:a", "home", 50, revoked=True),
)
EXPECTED = [
    Row(
        "did:a", 0, ["home tx 10", "shop tx 30"], [5, 20, 50], ["home tx 10", "shop tx 30"]
    ),
    Row("did:b", 0, ["shop tx 30"], [20], ["shop tx 30"]),
]  # fmt: skip


def test_a_did_has_one_row_with_all_its_addresses() -> None:
    """Activity, own statements and scores; the addresses keep their own rows beside."""
    driver = tell(driven(partitions=3), *STORY)
    assert EXPECTED == rows(driver)
    assert [("home", 2), ("shop", 1)] == [
        (row.entity, len(row.paid)) for row in rows(driver, "home") + rows(driver, "shop")
    ]


def test_what_nobody_is_linked_to_is_not_keyed_anew() -> None:
    """Without a link there is nothing but the row of the address."""
    driver = tell(driven(), payment("home", 10), score("home", 10))
    assert ([], []) == (driver.events(topics.entity_activity), driver.events(topics.entity_scores))
    assert ([], 1) == (rows(driver), len(rows(driver, "home")))


def test_a_link_proved_later_moves_facts_into_the_row_and_a_revocation_out_of_it() -> None:
    """Also when time has passed the window."""
    driver = tell(driven(), payment("home", 10), score("home", 10))
    for topic in KINDS.values():
        driver.declare(topic, T + 3 * HOUR, "s")
    tell(driver, link("did:a", "home", 5))
    assert [Row("did:a", 0, ["home tx 10"], [5], ["home tx 10"])] == rows(driver)
    tell(driver, link("did:a", "home", 8, revoked=True))
    assert [Row("did:a", 0, [], [5, 8], [])] == rows(driver)
    tell(driver, link("did:a", "home", 5), link("did:a", "home", 8, revoked=True), gone=True)
    assert [] == rows(driver)
    assert [] == list(driver.records(topics.late_records))


dids, homes, times = st.sampled_from(["did:a", "did:b"]), st.sampled_from("xy"), st.integers(0, 9)
facts = st.lists(
    st.builds(link, dids, homes, times, st.booleans())
    | st.builds(payment, homes, times)
    | st.builds(score, homes, times),
    max_size=12, unique_by=lambda e: e.id,
)  # fmt: skip


def definition(left: list[Event]) -> list[Row]:
    """By brute force: who stood at the address of each fact at its time."""
    links = [e for e in left if isinstance(e.value, IdentityLink)]
    found: dict[str, Row] = {}
    for event in sorted(left, key=lambda e: (e.ts, e.id)):
        at = [e for e in links if e.key == event.key]
        says = isinstance(event.value, IdentityLink)
        who = [event.value] if says else standing(at, event.ts)
        for did in {one.did for one in who}:
            row = found.setdefault(did, Row(did, 0, [], [], []))
            if says:
                row.said.append(event.ts - T)
            else:
                place = row.paid if isinstance(event.value, Activity) else row.scored
                place.append(f"{event.key} {event.value.txid}")
    return sorted(found.values())


def ordered(found: list[Row]) -> list[Row]:
    """Rows whose facts of one time are in any order: their ids in the row are digests."""
    return [Row(r.entity, r.hour, sorted(r.paid), sorted(r.said), sorted(r.scored)) for r in found]


@settings(max_examples=50, deadline=None)
@given(facts, st.data(), st.integers(1, 3))
def test_any_order_with_withdrawals_equals_the_definition(
    story: list[Event], data: st.DataObject, partitions: int
) -> None:
    """Whatever came when, and whatever was taken back."""
    order = data.draw(st.permutations(story))
    gone = [event for event in story if data.draw(st.booleans())]
    driver = tell(tell(driven(partitions), *order), *gone, gone=True)
    left = [event for event in story if event not in gone]
    assert ordered(definition(left)) == ordered(rows(driver))
