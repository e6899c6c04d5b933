"""Somebody's own steps: three joins in a row, with two changes of the key between them.

::

    payments ─┐ by customer
    visits   ─┴─ paid_at (interval) ─ paid ─┐ by merchant
    rates ──────────────────────────────────┴─ rated (as-of) ─ rated ─┐ by country
                                             totals ─ totals (window) ┘
"""

from __future__ import annotations

from typing import Any

from joins import AsOfJoin, Count, IntervalJoin, Matched, Sum, Tumbling, Unmatched, WindowAggregate
from schemas.events import Value
from streams import Topic, event_type, join_step

VISIT_MS, RATE_MS, WINDOW_MS = 5_000, 60_000, 10_000
LATENESS_MS = 480_000
"""Above the skew of the sources: what is minutes behind is in time."""


class Payment(Value):
    """A customer pays a merchant."""

    order: str
    customer: str
    merchant: str
    amount_sat: int


class Visit(Value):
    """A customer is seen in a country."""

    visit: str
    customer: str
    country: str


class Paid(Value):
    """A payment with where the customer was."""

    order: str
    merchant: str
    country: str
    amount_sat: int


class Rate(Value):
    """What a merchant pays from now on."""

    rate: str
    merchant: str
    per_mille: int


class Rated(Value):
    """A payment with its fee; 0 where no rate is known."""

    order: str
    country: str
    fee_sat: int


class Total(Value):
    """The fees of a country and window."""

    country: str
    window_end_ts: int
    number: int
    fee_sat: int


event_type("shop.payment.v1", Payment, lambda v: v.customer, lambda v: (v.order,))
event_type("shop.visit.v1", Visit, lambda v: v.customer, lambda v: (v.visit,))
event_type("shop.rate.v1", Rate, lambda v: v.merchant, lambda v: (v.rate,))
event_type("shop.paid.v1", Paid, lambda v: v.merchant)
event_type("shop.rated.v1", Rated, lambda v: v.country)
event_type("shop.total.v1", Total, lambda v: v.country)


def _source(name: str, by: Any, type_name: str) -> Topic[Any]:
    return Topic(name, by, "generated", type_name, source=True, declared=False)


payments = _source("shop.payments", "customer", "shop.payment.v1")
visits = _source("shop.visits", "customer", "shop.visit.v1")
rates = _source("shop.rates", "merchant", "shop.rate.v1")
paid: Topic[Any] = Topic("shop.paid", "merchant", "payments with a place", "shop.paid.v1")
rated: Topic[Any] = Topic("shop.rated", "country", "payments with a fee", "shop.rated.v1")
totals: Topic[Any] = Topic("shop.totals", "country", "fees a window", "shop.total.v1")
SOURCES, DERIVED = (payments, visits, rates), (paid, rated, totals)


def _paid(result: Matched | Unmatched) -> Paid:
    payment, visit = _value(result, "left"), _value(result, "right")
    return Paid(payment.order, payment.merchant, visit.country, payment.amount_sat)


def _rated(result: Matched | Unmatched) -> Rated:
    payment, rate = _value(result, "left"), _value(result, "right")
    fee = 0 if rate is None else payment.amount_sat * rate.per_mille // 1000
    return Rated(payment.order, payment.country, fee)


def _total(result: Matched | Unmatched) -> Total:
    assert isinstance(result, Matched)
    return Total(result.key, result.ts + 1, result.value["n"], result.value["fee"])


def _value(result: Matched | Unmatched, side: str) -> Any:
    member: Any = result.members[side]
    return None if member is None else member.value


steps = (
    join_step(
        IntervalJoin(name="paid_at", before=VISIT_MS, after=VISIT_MS, lateness=LATENESS_MS),
        {"left": payments, "right": visits},
        paid,
        _paid,
    ),
    join_step(
        AsOfJoin(name="rated", tolerance=RATE_MS, kind="left", lateness=LATENESS_MS),
        {"left": paid, "right": rates},
        rated,
        _rated,
    ),
    join_step(
        WindowAggregate(
            name="totals",
            windows=Tumbling(size=WINDOW_MS),
            aggregates={"n": Count(), "fee": Sum("fee_sat")},
            emit="eager",
        ),
        {"left": rated},
        totals,
        _total,
    ),
)
