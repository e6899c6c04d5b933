"""payments.decisions -> alerts: payments that must not be credited.

A payment whose replacement pays as much is refused (this outpoint never comes), but is no alert.
"""

from __future__ import annotations

from joins.state import Store
from schemas.events import Alert, Decision
from streams import topics
from streams.engine.step import Batch, Emit, Step, derived

NAME = "raise_payment_alerts"
SEVERITY = {"refuse": "high", "review": "medium"}


def process(batch: Batch, state: Store, emit: Emit) -> None:
    """Turn refusals and reviews into alerts."""
    for event in batch:
        decision: Decision = event.value
        severity = SEVERITY.get(decision.decision)
        bumped = decision.decision == "refuse" and decision.lost_sat == 0
        if severity is not None and not bumped:
            emit(topics.alerts, derived(NAME, event, topics.alerts, _alert(decision, severity)))


def _alert(decision: Decision, severity: str) -> Alert:
    words = f"{decision.decision}: payment {decision.txid}:{decision.vout}"
    words += f" of {decision.amount_sat} sat"
    return Alert(
        entity=decision.address,
        kind="decision",
        severity=severity,
        reasons=[words, *decision.reasons],
        evidence=[decision.txid],
        network=decision.network,
    )


step = Step(NAME, (topics.decisions,), (topics.alerts,), process)
