"""The job under test: two tasks in a row, whose every output tells the state that it came from.

::

    orders ─┐ by account                      ┌─ shop_tallies (the same by shop)
            ├─ tally (count and sum) ─ tallies ┤ by shop
    visits ─┴─ met (interval join) ─ met       └─ shop_windows (tumbling, final)

A tally is the number of the order among its account's orders and their sum: an event that is lost
or doubled, or a state that belongs to another moment, shows in every later output of the account.
"""

from __future__ import annotations

import os
from typing import Any

from joins import Count, IntervalJoin, Matched, Sum, Tumbling, Unmatched, WindowAggregate
from schemas.events import Value
from streams import Step, Topic, event_type, join_step
from streams.engine.step import derived, retraction
from tests.faults.inputs import LATENESS_MS, NEAR_MS, WINDOW_MS

FAILS_ONCE = int(os.environ.get("FAULT_FAILS_ONCE", "0"))
"""Both counting steps raise at their first try of orders whose amount this divides."""
VERSION = int(os.environ.get("FAULT_VERSION", "1"))
"""Version of the state of the first step."""
_tried: set[tuple[str, str]] = set()


class FaultOrder(Value, frozen=True):
    """An account orders at a shop."""

    order: str
    account: str
    shop: str
    amount_sat: int


class FaultVisit(Value, frozen=True):
    """An account is seen at a place."""

    visit: str
    account: str
    place: str


class FaultTally(Value, frozen=True):
    """An order, with the number and sum of its account's orders up to it."""

    order: str
    account: str
    shop: str
    amount_sat: int
    n: int
    sum_sat: int


class FaultMet(Value, frozen=True):
    """An order and a visit of one account that are near each other."""

    order: str
    visit: str
    account: str


class FaultShopTally(Value, frozen=True):
    """An order, with the number and sum of its shop's orders up to it."""

    order: str
    shop: str
    amount_sat: int
    n: int
    sum_sat: int


class FaultShopWindow(Value, frozen=True):
    """The orders of a shop in one window."""

    shop: str
    window_end_ts: int
    n: int
    sum_sat: int


event_type("fault.order.v1", FaultOrder, lambda v: v.account)
event_type("fault.visit.v1", FaultVisit, lambda v: v.account)
event_type("fault.tally.v1", FaultTally, lambda v: v.shop)
event_type("fault.met.v1", FaultMet, lambda v: v.account)
event_type("fault.shop_tally.v1", FaultShopTally, lambda v: v.shop)
event_type("fault.shop_window.v1", FaultShopWindow, lambda v: v.shop)


def _source(name: str, type_name: str) -> Topic[Any]:
    return Topic(name, "account", "generated", type_name, source=True, declared=False)


orders = _source("fault.orders", "fault.order.v1")
visits = _source("fault.visits", "fault.visit.v1")
tallies: Topic[Any] = Topic("fault.tallies", "shop", "orders, counted", "fault.tally.v1")
met: Topic[Any] = Topic("fault.met", "account", "orders near visits", "fault.met.v1")
shop_tallies: Topic[Any] = Topic(
    "fault.shop_tallies", "shop", "orders, counted a shop", "fault.shop_tally.v1"
)
shop_windows: Topic[Any] = Topic(
    "fault.shop_windows", "shop", "orders a shop and window", "fault.shop_window.v1"
)


def counting(name: str, reads: Topic[Any], writes: Topic[Any], said: Any, keep_ms: int = 0) -> Step:
    """Number each event among those of its key, and sum them up; retracts are taken back.

    A retract withdraws what was said of its event, which is remembered for ``keep_ms``.
    """

    def process(batch: Any, state: Any, emit: Any) -> None:
        for event in batch:
            place, spoken = ("sum", event.key), ("said", event.id)
            n, total = state.get(place) or (0, 0)
            amount = event.value.amount_sat
            _look_at(name, event.value)
            if event.op == "assert":
                n, total = n + 1, total + amount
                out = derived(name, event, writes, said(event.value, n, total))
                state.put(spoken, out, event.ts)
            else:
                n, total = n - 1, total - amount
                out = retraction(state.get(spoken), event)
                state.delete(spoken)
            state.put(place, [n, total])
            emit(writes, out)

    def advance(watermark: int, state: Any, emit: Any) -> None:
        state.expire("said", watermark - keep_ms)

    def bind(known: int) -> Step:
        return counting(name, reads, writes, said, known)

    return Step(name, (reads,), (writes,), process, advance, version=VERSION, bind=bind)


def _look_at(step: str, value: Any) -> None:
    """Fail where it is asked for: always for what is negative, once for every nth order."""
    if value.amount_sat < 0:
        raise ValueError(f"an amount of {value.amount_sat} sat")
    if FAILS_ONCE and value.amount_sat % FAILS_ONCE == 0 and (step, value.order) not in _tried:
        _tried.add((step, value.order))
        raise RuntimeError(f"{step} fails at its first try of {value.order}")


def _tally(order: FaultOrder, n: int, total: int) -> FaultTally:
    return FaultTally(order.order, order.account, order.shop, order.amount_sat, n, total)


def _shop_tally(tally: FaultTally, n: int, total: int) -> FaultShopTally:
    return FaultShopTally(tally.order, tally.shop, tally.amount_sat, n, total)


def _met(result: Matched | Unmatched) -> FaultMet:
    order: Any = result.members["left"]
    visit: Any = result.members["right"]
    return FaultMet(order.value.order, visit.value.visit, order.value.account)


def _window(result: Matched | Unmatched) -> FaultShopWindow:
    assert isinstance(result, Matched)
    return FaultShopWindow(result.key, result.ts + 1, result.value["n"], result.value["sum"])


steps = (
    counting("tally", orders, tallies, _tally),
    join_step(
        IntervalJoin(name="met", before=NEAR_MS, after=NEAR_MS, lateness=LATENESS_MS),
        {"left": orders, "right": visits},
        met,
        _met,
    ),
    counting("shop_tally", tallies, shop_tallies, _shop_tally),
    join_step(
        WindowAggregate(
            name="shop_windows",
            windows=Tumbling(size=WINDOW_MS),
            aggregates={"n": Count(), "sum": Sum("amount_sat")},
            emit="final",
        ),
        {"left": tallies},
        shop_windows,
        _window,
    ),
)
