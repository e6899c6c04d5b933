"""patterns.baits x patterns.payments -> patterns.history_matches: dust that poses as a payee.

An n-way join, driven by the dust: its partners are the payments of the same victim to addresses of
the same look, some days before (an interval). Both sides have the look in their key, so partners
are found by equality. Eager: what arrives later, or is withdrawn, corrects.
"""

from __future__ import annotations

from joins import Interval, Matched, NWayJoin, Unmatched
from schemas.envelope import Event
from schemas.events import PatternMatch
from streams import topics
from streams.config import Config
from streams.engine.joining import join_step
from streams.engine.step import Step
from streams.patterns.address_poisoning import DEFAULTS, judge

NAME = "detect_poisoning"
SIDES = {"baits": topics.baits, "payments": topics.payments}


def step(config: Config) -> Step:
    """The step; a payment is remembered for the pattern's horizon and the undo horizon."""
    join = NWayJoin(
        driver="baits",
        sides={"payments": Interval(before=DEFAULTS.horizon_ms, after=DEFAULTS.slack_ms)},
        name=NAME,
        emit="eager",
        grace=config.engine.grace_ms,
        lateness=config.engine.lateness_ms,
    )
    return join_step(join, SIDES, topics.history_matches, _say)


def _say(result: Matched | Unmatched) -> PatternMatch | None:
    bait, paid = result.members["baits"], result.members["payments"]
    assert isinstance(bait, Event)
    return judge(bait.value, [event.value for event in paid]) if isinstance(paid, tuple) else None
