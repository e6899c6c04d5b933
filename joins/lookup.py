"""Lookup join: a stream against a versioned table.

::

    table:   v1 from 0 ------------------ v2 from 50, to 80 ----) 80
    stream:        l1 (20)                     l2 (60)              l3 (90)
    result:        l1 x v1                     l2 x v2              l3 x v1

A version is an event of the second side: its ts is its ``valid_from``, its value has fields and may
have a ``valid_to``; value None deletes, that is, hides every version before it. Each l gets the
version of greatest ``(valid_from, id)`` with ``valid_from <= l.ts`` and no ``valid_to <= l.ts``.

A version is never late: it corrects every l that is still kept (``W <= l.ts + horizon``, and at
least as long as an l can be retracted), and serves all later ones. The versions themselves stay,
being the table, except those whose ``valid_to`` lies before every l that could still ask.

``final`` needs the time of the table, so a table side that is only observed is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from joins.choice import ChoiceJoin
from joins.clock import SideTime
from joins.errors import JoinError
from joins.liveness import Change
from joins.state import Key, Store
from schemas.envelope import Event


@dataclass(frozen=True, kw_only=True)
class LookupJoin(ChoiceJoin):
    """Each left event with its version; ``horizon`` (ms): how long a version may correct it."""

    word: ClassVar[str] = "lookup"

    horizon: int

    def _check(self) -> None:
        super()._check()
        if self.horizon < 0:
            raise JoinError(f"horizon is a number of ms from 0, not {self.horizon}")

    @property
    def needs_declared(self) -> frozenset[str]:
        """The table, when results are to be final."""
        return frozenset(self.sides[1:] if self.emit == "final" else ())

    @property
    def reach(self) -> int:
        """A version corrects events this far back."""
        return self.horizon

    def best(self, store: Store, key: str, ts: int) -> Event | None:
        """The version that is valid at ``ts``."""
        return version_at(store, (*self.prefix, "e", key, self.sides[1]), ts)

    def _choosers(self, store: Store, change: Change) -> Iterator[Event]:
        """Left events from this version up to the next that hides it for good."""
        event = change.event
        high = None
        for other in self._events(store, event.key, self.sides[1], event.ts):
            if (other.ts, other.id) > (event.ts, event.id) and valid_to(other) is None:
                high = other.ts - 1
                break
        return self._events(store, event.key, self.sides[0], event.ts, high)

    def _side_time(self, side: str, declared: bool) -> SideTime:
        table = side == self.sides[1]
        return SideTime(declared, self.lateness_of(side), self.graces[side], never_late=table)

    def _record(self, store: Store, change: Change) -> None:
        if change.side == self.sides[0]:
            super()._record(store, change)
            return
        path = (change.event.key, change.side, change.event.ts, change.event.id)
        for version in (change.before, change.after):
            end = None if version is None else valid_to(version)
            if end is not None:
                timer = (*self.prefix, "x", end + self._kept, *path)
                put_or_delete(store, timer, 0 if version is change.after else None)
        put_or_delete(store, (*self.prefix, "e", *path), change.after)

    @property
    def _kept(self) -> int:
        return max(self.horizon, self.undo_grace)

    def _last_use(self, side: str, ts: int) -> int:
        return ts + self._kept - self.undo_grace


def valid_to(version: Event) -> int | None:
    """The end of a version's validity (exclusive, ms), where it has one."""
    value: Any = version.value
    end = value.get("valid_to") if isinstance(value, Mapping) else getattr(value, "valid_to", None)
    return None if end is None else int(end)


def version_at(store: Store, versions: Key, ts: int) -> Event | None:
    """The live event under ``versions`` that is valid at ``ts``; None too where that deletes."""
    for _, version in store.scan(versions, high=(ts + 1,), reverse=True):
        end = valid_to(version)
        if end is None or end > ts:
            found: Event = version
            return None if found.value is None else found
    return None


def put_or_delete(store: Store, key: Key, value: Any) -> None:
    """Put, or delete where the value is None."""
    if value is None:
        store.delete(key)
    else:
        store.put(key, value)
