"""Peel chains across blocks, partitions and reorgs: the net set is what the live hops say.

::

    0 -> 1 -> 2 -> 3 -> 4 -> ...     each hop spends the change of the one before
          `-> 1'                     a double spend: two hops after one, at most one confirmed
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from joins.state import MemoryStore
from schemas.envelope import Event
from schemas.events import PatternMatch, PeelHop, Prevout, Transaction, TxInput, TxOutput
from streams import topics
from streams.agents import follow_lifecycle, raise_history_alerts, trace_history
from streams.agents.follow_peel_chains import NAME, process, step
from streams.client import net_set
from streams.config import Config
from streams.engine.step import Batch
from streams.patterns.peel_chain import DAY_MS, DEFAULTS, Chain, chain_of, match
from streams.testing import TopologyDriver
from tests.patterns.data import block_alone
from tests.shapes import UNDO_MS, confirmed, name, seen, tx

T = 1_700_000_000_000
MINUTE = 60_000
MAX_PAUSE = DEFAULTS.max_pause_ms

STEPS = (
    follow_lifecycle.step(Config()),
    trace_history.step,
    step(Config()),
    raise_history_alerts.step,
)


# The law: any order of arrival, any batches -----------------------------------------------------


class Said:
    """Keeps what a step emits."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, topic: topics.Topic, event: Event) -> None:
        assert topic is topics.history_matches
        self.events.append(event)

    def refuse(self, event: Any, cause: str, detail: str) -> None:
        raise AssertionError(detail)

    def filtered(self, event: Any, rule: str) -> None:
        raise AssertionError(rule)


def hop_event(number: int, parent: int | None, ts: int, peel: int, form: str = "a") -> Event:
    """Hop ``number`` after ``parent``, confirmed in the block ``form``."""
    before = f"p{parent}" if parent is not None else f"root of {number}"
    hop = PeelHop("regtest", f"p{number}", before, 1, 1, 1_000_000, peel, 900_000)
    return Event(f"{number}/{form}", "regtest", ts, "assert", hop)


def undone(event: Event) -> Event:
    return msgspec.structs.replace(event, op="retract", correction=True)


@st.composite
def stories(draw: st.DrawFn) -> list[list[Event]]:
    """The events of each hop in their order: asserted, perhaps withdrawn, perhaps moved."""
    count = draw(st.integers(1, 14))
    found: list[list[Event]] = []
    times: list[int] = []
    for number in range(count):
        near = st.integers(max(0, number - 2), number - 1) if number else st.none()
        parent = draw(st.one_of(st.none(), near, near, near))
        pause = draw(st.sampled_from([0, 1, MINUTE, MAX_PAUSE, MAX_PAUSE + 1]))
        ts = T if parent is None else times[parent] + pause
        times.append(ts)
        one = hop_event(number, parent, ts, draw(st.integers(1, 500_000_000)))
        other = msgspec.structs.replace(one, id=f"{number}/b", ts=ts + draw(st.integers(0, MINUTE)))
        kinds = [[one], [one, undone(one)], [one, undone(one), one], [one, undone(one), other]]
        found.append(draw(st.sampled_from([kinds[0], *kinds])))
    return found


def expected(stories: list[list[Event]]) -> dict[str, PatternMatch]:
    """By definition: the chain of each live hop, walked backwards; by subject."""
    live = {e.value.txid: e for story in stories for e in story[-1:] if e.op == "assert"}

    def chain(event: Event) -> Chain:
        before = live.get(event.value.prev_txid)
        soon = before is not None and 0 <= event.ts - before.ts <= MAX_PAUSE
        return chain_of(event.value, event.ts, chain(before) if before and soon else None)

    found = {txid: match(e.value, e.ts, chain(e)) for txid, e in live.items()}
    return {txid: one for txid, one in found.items() if one is not None}


def interleaved(draw: st.DrawFn, stories: list[list[Event]]) -> list[Event]:
    """One order of arrival in which each hop's own events keep theirs."""
    turns = [n for n, story in enumerate(stories) for _ in story]
    order = draw(st.permutations(turns))
    rest = [list(story) for story in stories]
    return [rest[n].pop(0) for n in order]


def fold(events: Iterable[Event], sizes: Iterable[int]) -> tuple[list[Event], MemoryStore]:
    """Feed the step in batches of the given sizes; what it said, and its state."""
    said, store, waiting = Said(), MemoryStore(), list(events)
    for size in sizes:
        if waiting:
            batch, waiting = waiting[:size], waiting[size:]
            process(Batch(topics.peel_hops, batch, T), store, said)
    process(Batch(topics.peel_hops, waiting, T), store, said)
    return said.events, store


@settings(max_examples=300)
@given(st.data())
def test_every_order_of_arrival_gives_what_the_live_hops_say(data: st.DataObject) -> None:
    """Shuffled, batched in any way, with withdrawals and hops that move to another block."""
    told = data.draw(stories())
    events = data.draw(st.composite(interleaved)(told))
    said, _ = fold(events, data.draw(st.lists(st.integers(1, 5), max_size=10)))
    net = {value.subject: value for value in net_set(said).values()}
    assert expected(told) == net


@given(stories())
def test_assert_and_retract_of_a_match_alternate(told: list[list[Event]]) -> None:
    """No match is said twice or withdrawn twice, and each is withdrawn as it was said."""
    said, _ = fold([event for story in told for event in reversed(story[:1])], [1] * 99)
    live: dict[str, Event] = {}
    for event in said:
        if event.op == "assert":
            assert event.id not in live
            live[event.id] = event
        else:
            old = live.pop(event.id)
            assert (old.key, old.ts, old.value) == (event.key, event.ts, event.value)


def test_a_withdrawn_hop_leaves_no_state() -> None:
    """When every hop is withdrawn, nothing is left to remember but what expires by time."""
    chain = [hop_event(n, n - 1 if n else None, T + n, 100) for n in range(12)]
    said, store = fold([*chain, *map(undone, chain)], [3, 1, 7])
    assert {} == net_set(said)
    assert {} == store.dump()


# On topics --------------------------------------------------------------------------------------


def peel(number: int, block: str = "A", height: int = 10, peeled: int = 1_000) -> Transaction:
    """Transaction ``number`` of a chain: spends the change of the one before."""
    start = 100_000_000 - number * (peeled + 10)
    body = tx(f"peel {number}", block=block, height=height)
    spent = Prevout(start, b"change %d" % number, f"addr-c{number}")
    return msgspec.structs.replace(
        body,
        inputs=[TxInput(name(f"peel {number - 1}"), 1, 0, b"", [], spent)],
        outputs=[
            TxOutput(peeled, b"peel %d" % number, f"addr-p{number}"),
            TxOutput(start - peeled - 10, b"change %d" % (number + 1), f"addr-c{number + 1}"),
        ],
    )


def send(driver: TopologyDriver, body: Transaction, ts: int, op: Any = "assert") -> None:
    driver.send(topics.transactions, confirmed(body, ts, op), writer="s")


def lengths(driver: TopologyDriver) -> dict[str, str]:
    """The first words of each live match, by the hop that it was said at."""
    numbers = {name(f"peel {n}"): n for n in range(50)}
    return {
        f"at {numbers[m.subject]}": m.reasons[0].split(" in ")[0]
        for m in driver.net(topics.history_matches).values()
    }


@pytest.mark.parametrize("partitions", [1, 4])
@pytest.mark.parametrize("turned", [False, True])
def test_a_chain_over_partitions_and_blocks(partitions: int, turned: bool) -> None:
    """Ten hops, whose transactions lie in different partitions, in order or against it."""
    driver = TopologyDriver(STEPS, partitions=partitions)
    hops = [(peel(n, f"B{n}", 10 + n), T + n * MINUTE) for n in range(10)]
    for body, ts in reversed(hops) if turned else hops:
        send(driver, body, ts)
    assert {"at 4": "5 hops", "at 9": "10 hops"} == lengths(driver)
    (alert,) = driver.net(topics.alerts).values()
    assert ("addr-c9", "peel_chain", "medium") == (alert.entity, alert.kind, alert.severity)
    assert [name(f"peel {n}") for n in range(10)] == alert.evidence


def test_a_disconnected_block_withdraws_its_matches() -> None:
    """Without the block of hop 3 the chain begins anew behind it; with its return all is back.

    ::

        A: 0 1 2   B: 3   C: 4 5 6 7 8 9      B and C undone, then B' with 3, C' with the rest
    """
    driver = TopologyDriver(STEPS, partitions=2)
    first = [(peel(n, "A", 10), T) for n in range(3)] + [(peel(3, "B", 11), T + MINUTE)]
    last = [(peel(n, "C", 12), T + 2 * MINUTE) for n in range(4, 10)]
    for body, ts in [*first, *last]:
        send(driver, body, ts)
    whole = driver.net(topics.history_matches)
    assert {"at 4": "5 hops", "at 9": "10 hops"} == lengths(driver)
    for body, ts in reversed([*first[3:], *last]):
        send(driver, body, ts, "retract")
    assert {} == lengths(driver)
    assert {} == driver.net(topics.alerts)
    for body, ts in [*first[3:], *last]:
        moved = msgspec.structs.replace(body, block_hash=name("other"))
        send(driver, moved, ts + MINUTE)
    assert {"at 4": "5 hops", "at 9": "10 hops"} == lengths(driver)
    again = driver.net(topics.history_matches)
    assert [v.evidence for v in whole.values()] == [v.evidence for v in again.values()]


def test_one_hop_withdrawn_in_the_middle_cuts_the_chain() -> None:
    """What stands behind it is a shorter chain, said at another hop."""
    driver = TopologyDriver(STEPS, partitions=2)
    for n in range(10):
        send(driver, peel(n), T)
    send(driver, peel(3), T, "retract")
    assert {"at 8": "5 hops"} == lengths(driver)


@pytest.mark.parametrize(("pause", "found"), [(MAX_PAUSE, {"at 4": "5 hops"}), (MAX_PAUSE + 1, {})])
def test_a_pause_ends_a_chain_however_far_the_watermark_is(
    pause: int, found: dict[str, str]
) -> None:
    """A day is no pause, a millisecond more is; with the watermark behind each hop or far back."""
    hops = [(peel(n), T + (pause if n > 2 else 0)) for n in range(5)]
    eager, slow = (TopologyDriver(STEPS, partitions=1) for _ in range(2))
    for body, ts in hops:
        for driver in (eager, slow):
            send(driver, body, ts)
        for topic in (topics.transactions, topics.mempool):
            eager.declare(topic, ts, "s")
    assert found == lengths(eager)
    assert found == lengths(slow)


def test_state_goes_when_no_correction_can_come() -> None:
    """Behind the pause and the undo horizon nothing of a chain is kept, and its matches stand."""
    driver = TopologyDriver(STEPS, partitions=1)
    for n in range(6):
        send(driver, peel(n), T)
    kept = MAX_PAUSE + UNDO_MS
    for ts, held in ((T + kept, True), (T + kept + 1, False)):
        for topic in (topics.transactions, topics.mempool):
            driver.declare(topic, ts, "s")
        driver.checkpoint()
        driver.run()
        assert held == bool(driver.state(NAME))
    assert {"at 4": "5 hops"} == lengths(driver)


def test_after_a_crash_the_chain_goes_on() -> None:
    """State comes back from the changelog: the fifth hop is said by another worker."""
    driver = TopologyDriver(STEPS, partitions=2)
    for n in range(4):
        send(driver, peel(n), T)
    driver.crash()
    send(driver, peel(4), T)
    assert {"at 4": "5 hops"} == lengths(driver)


def test_what_is_in_the_mempool_is_no_hop_yet() -> None:
    """A day of pause is measured between blocks."""
    assert DAY_MS == MAX_PAUSE
    driver = TopologyDriver(STEPS, partitions=1)
    body = msgspec.structs.replace(peel(0), block_hash=None, block_height=None)
    driver.send(topics.mempool, seen("added", "peel 0", T, 1, transaction=body), writer="s")
    assert ["mempool"] == [found.state for found in driver.net(topics.lifecycle).values()]
    assert [] == driver.events(topics.peel_hops)
    send(driver, peel(0), T + 1)
    assert 1 == len(driver.events(topics.peel_hops))


def _unread(driver: TopologyDriver) -> bool:
    return any(
        len(driver.log.get((topic, partition), ())) > position
        for (_, partition), task in driver.tasks.items()
        for topic, position in task.position.items()
    )


def replayed(height: int, partitions: int, seed: int) -> dict[str, PatternMatch]:
    """The matches of a real block, its records taken in an order and in portions of their own."""
    driver = TopologyDriver(STEPS, partitions=partitions, checkpoint_every=3)
    chance = Random(seed)
    transactions = block_alone(height)
    chance.shuffle(transactions)
    for body in transactions:
        driver.send(topics.transactions, confirmed(body, T), writer="s", run=False)
    tasks = [(place, t.name) for place, task in driver.tasks.items() for t in task.sub.inputs]
    left = True
    while left:
        chance.shuffle(tasks)
        taken = [driver.take(place, topic, chance.randint(1, 200)) for place, topic in tasks]
        left = any(taken)
        if not left:
            driver.checkpoint()
            left = _unread(driver)
    return driver.net(topics.history_matches)


def test_a_real_block_replayed_in_other_orders() -> None:
    """Nineteen matches in block 574200, whatever the partitions, portions and order of records."""
    first = replayed(574200, 1, 1)
    lengths = Counter(found.reasons[0].split(" in ")[0] for found in first.values())
    assert {"5 hops": 7, "10 hops": 6, "20 hops": 6} == lengths
    assert first == replayed(574200, 4, 2)
    assert first == replayed(574200, 3, 3)
