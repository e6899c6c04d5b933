"""facts -> patterns.peel_hops, patterns.payments, patterns.baits: what others are held against.

One transaction does not show a peel chain, nor whom an address looks like. What it adds to either
is keyed anew: hops by network, contacts by the address and the look of the other one. Few
transactions add anything; the first conditions are the cheap ones.
"""

from __future__ import annotations

from joins.state import Store
from schemas.envelope import Event
from streams import topics
from streams.engine.step import Batch, Emit, Step, derived
from streams.patterns.address_poisoning import approaches, payments
from streams.patterns.peel_chain import hop_of

NAME = "trace_history"


def process(batch: Batch, state: Store, emit: Emit) -> None:
    """Say each hop and each contact; they are withdrawn with their fact."""
    for fact in batch:
        hop = hop_of(fact.value)
        if hop is not None:
            emit(topics.peel_hops, derived(NAME, fact, topics.peel_hops, hop, "hop"))
        _contacts(fact, emit)


def _contacts(fact: Event, emit: Emit) -> None:
    for paid in payments(fact.value):
        part = f"paid:{paid.address}:{paid.other}"
        emit(topics.payments, derived(NAME, fact, topics.payments, paid, part))
    for bait in approaches(fact.value):
        part = f"bait:{bait.address}:{bait.other}"
        emit(topics.baits, derived(NAME, fact, topics.baits, bait, part))


step = Step(NAME, (topics.facts,), (topics.peel_hops, topics.payments, topics.baits), process)
