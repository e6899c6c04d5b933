"""A step whose state has changed its form: what each customer paid, and since version 2 how often.

``STREAMS_TEST_FORM`` is the version that runs, and with ``+`` behind it, it has the upgrade.
"""

from __future__ import annotations

import os
from typing import Any

from schemas.events import Value
from streams import Step, Topic, event_type
from streams.engine.step import Rows
from tests.kafka.shop import payments

FORM = os.environ.get("STREAMS_TEST_FORM", "1")


class Spent(Value):
    """What a customer has paid."""

    customer: str
    amount_sat: int


event_type("grown.spent.v1", Spent, lambda v: v.customer)
spent: Topic[Any] = Topic("grown.spent", "customer", "sums by customer", "grown.spent.v1")


def add_up(batch: Any, state: Any, emit: Any) -> None:
    """Version 1 holds a sum, version 2 holds a sum and a number."""
    rows = Rows("add_up", state, emit)
    for event in batch:
        sign = 1 if event.op == "assert" else -1
        amount, place = sign * event.value.amount_sat, ("sum", event.key)
        if FORM == "1":
            total = (state.get(place) or 0) + amount
            state.put(place, total)
        else:
            held = state.get(place) or {"sat": 0, "n": 0}
            total = held["sat"] + amount
            state.put(place, {"sat": total, "n": held["n"] + sign})
        rows.set(spent, event.key, Spent(event.key, total), 0, event)


def to_two(key: Any, value: Any) -> Any:
    """A sum of version 1 as version 2 holds it."""
    return {"sat": value, "n": 0} if key[0] == "sum" else value


steps = (
    Step(
        "add_up",
        (payments,),
        (spent,),
        add_up,
        version=int(FORM.rstrip("+")),
        upgrades={1: to_two} if "+" in FORM else {},
    ),
)
