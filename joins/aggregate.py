"""Window aggregates: one row a key and window, of numbers over its events.

>>> from joins import Arrival, Count, Event, Sum, Tumbling, WindowAggregate, run
>>> join = WindowAggregate(windows=Tumbling(size=10), aggregates={"n": Count(), "s": Sum("sat")})
>>> arrivals = [
...     Arrival("left", 0, Event(id=f"e{ts}", key="k", ts=ts, op="assert", value={"sat": ts}))
...     for ts in (1, 4, 12)
... ]
>>> [(row.ts, row.value) for row in run(join, arrivals)]
[(9, {'n': 2, 's': 5}), (19, {'n': 1, 's': 12})]

A result is always that of the window's live events by ``Aggregate.of``, to the bit: whatever the
order of arrival, the batches and the retracts. It is told from a state that is kept beside the
events, which are only read where the state cannot know:

=========  ============================  ===============================================
Count      the number                    exact
Sum        the exact sum                 exact, also of floats
Mean       number, exact sum             exact; the float nearest to the mean
Variance   number, exact sum, squares    exact; the float nearest to it
Min, Max   value, how many have it       reads the events when the last of these goes
Distinct   a count by value              exact up to ``exact`` values (256)
           1 byte x 2^precision          error 1.04 / sqrt(2^precision); a retract reads
TopK       a count by value              exact; above 1000 values each result reads
Quantiles  a count by bucket             within ``error``; above 5000 buckets each result
                                         reads
others     (only ``of``)                 each result reads
=========  ============================  ===============================================

*exact*: a retract is followed without reading an event. Where the tallies of windows are kept:
``joins.aggregate_windows``, ``joins.aggregate_panes`` (hopping and ``final``) and
``joins.session_state``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from joins.aggregate_panes import PaneAggregate
from joins.aggregate_windows import Aggregating, FixedAggregate
from joins.errors import JoinError
from joins.group import GroupJoin
from joins.mergeable import Aggregate
from joins.outcome import Member
from joins.session import SessionGroup
from joins.session_state import Found
from joins.windows import Hopping, Session, Windows
from schemas.envelope import Event


@dataclass(frozen=True, kw_only=True)
class SessionAggregate(Aggregating, SessionGroup):
    """Aggregates over session windows."""

    def _shown(self, session: Found) -> Mapping[str, Member]:
        return session.members if self.members else dict.fromkeys(self.sides)

    def _value(self, session: Found) -> Any:
        def read() -> Iterator[Event]:
            return chain.from_iterable(session.members.values())

        return self._tallies.values(session.tally, read)


def WindowAggregate(  # noqa: N802 - it reads as a class, like its siblings
    *,
    windows: Windows,
    aggregates: Mapping[str, Aggregate],
    members: bool = True,
    **common: Any,
) -> GroupJoin | SessionGroup:
    """Aggregates of each key's windows: ``Matched.value`` is a dict, the events are the members.

    With ``members=False`` each side's member is None: results are small, a result whose value does
    not change is not said again, and no result reads the window. ``common``: as in ``Join``; by
    default there is one side, ``left``.
    """
    if not aggregates:
        raise JoinError("name at least one aggregate, for example {'n': Count()}")
    machine = _machine(windows, common.get("emit", "final"))
    return machine(windows=windows, aggregates=dict(aggregates), members=members, **common)


def _machine(windows: Windows, emit: str) -> Callable[..., GroupJoin | SessionGroup]:
    if isinstance(windows, Session):
        return SessionAggregate
    overlap = isinstance(windows, Hopping) and windows.advance < windows.size
    return PaneAggregate if overlap and emit == "final" else FixedAggregate
