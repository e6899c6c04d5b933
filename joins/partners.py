"""Who the partners of an event are, given its ts: as-of, lookup, interval.

Each rule looks in the live events of one key and side, at ``events`` in a store. They are the parts
of an n-way join, and the first two are the rules of ``AsOfJoin`` and ``LookupJoin``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from joins.errors import JoinError
from joins.liveness import Change
from joins.outcome import Member
from joins.state import Key, Store
from schemas.envelope import Event


@dataclass(frozen=True, kw_only=True)
class AsOf:
    """The event of greatest (ts, id) in ``[ts - tolerance, ts]`` (ms)."""

    table: ClassVar[bool] = False
    tolerance: int

    def __post_init__(self) -> None:
        if self.tolerance < 0:
            raise JoinError(f"tolerance is a number of ms from 0, not {self.tolerance}")

    @property
    def reach(self) -> int:
        """A partner serves only later events."""
        return 0

    @property
    def wait(self) -> int:
        """How long after the asker a partner may still appear (ms)."""
        return 0

    @property
    def serves(self) -> int:
        """How long after a partner an asker may still appear (ms)."""
        return self.tolerance

    def find(self, store: Store, events: Key, ts: int) -> Event | None:
        """The partner of an event at ``ts``."""
        found: Event | None = store.last(events, (ts - self.tolerance,), (ts + 1,))
        return found

    def touched(self, store: Store, events: Key, event: Event) -> tuple[int, int | None]:
        """From this event up to the next one, as far as tolerance goes."""
        high = event.ts + self.tolerance
        for _, other in _after(store, events, event, (high + 1,)):
            return event.ts, other.ts - 1
        return event.ts, high


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """The version of greatest (valid_from, id) that is valid at ``ts``.

    ``horizon`` (ms): how long after its event a version may still correct it.
    """

    table: ClassVar[bool] = True
    horizon: int

    def __post_init__(self) -> None:
        if self.horizon < 0:
            raise JoinError(f"horizon is a number of ms from 0, not {self.horizon}")

    @property
    def reach(self) -> int:
        """A version corrects events this far back."""
        return self.horizon

    @property
    def wait(self) -> int:
        """Versions that matter begin no later than the asker (ms)."""
        return 0

    @property
    def serves(self) -> int:
        """A version's end says how long it serves, not this."""
        return 0

    def find(self, store: Store, events: Key, ts: int) -> Event | None:
        """The version at ``ts``; None too where that one deletes."""
        version: Event | None = store.last(events, None, (ts + 1,))
        while version is not None:
            end = valid_to(version)
            if end is None or end > ts:
                return None if version.value is None else version
            version = store.last(events, None, (version.ts, version.id))
        return None

    def touched(self, store: Store, events: Key, event: Event) -> tuple[int, int | None]:
        """From this version up to the next that hides it for good."""
        for _, other in _after(store, events, event, None):
            if valid_to(other) is None:
                return event.ts, other.ts - 1
        return event.ts, None


@dataclass(frozen=True, kw_only=True)
class Interval:
    """All events in ``[ts - before, ts + after]`` (ms), by (ts, id)."""

    table: ClassVar[bool] = False
    before: int
    after: int

    def __post_init__(self) -> None:
        if self.before + self.after < 0:
            raise JoinError(f"no time lies in [-({self.before}), {self.after}]: swap or widen it")

    @property
    def reach(self) -> int:
        """The asker may lie this far below its partner."""
        return max(self.after, 0)

    @property
    def wait(self) -> int:
        """How long after the asker a partner may still appear (ms)."""
        return self.after

    @property
    def serves(self) -> int:
        """How long after a partner an asker may still appear (ms)."""
        return self.before

    def find(self, store: Store, events: Key, ts: int) -> Member:
        """The partners, or None where there is none."""
        return tuple(store.between(events, (ts - self.before,), (ts + self.after + 1,))) or None

    def touched(self, store: Store, events: Key, event: Event) -> tuple[int, int | None]:
        """All that have this event in their interval."""
        return event.ts - self.after, event.ts + self.before


Rule = AsOf | Lookup | Interval


def valid_to(version: Event) -> int | None:
    """The end of a version's validity (exclusive, ms), where it has one."""
    value: Any = version.value
    if isinstance(value, msgspec.Struct) or not isinstance(value, Mapping):
        end = getattr(value, "valid_to", None)
    else:
        end = value.get("valid_to")
    return None if end is None else int(end)


def record_version(store: Store, change: Change, kept: int) -> None:
    """Write a version down. One with an end is forgotten ``kept`` ms after it."""
    version = change.event
    place = (change.side, version.key, version.ts, version.id)
    if change.after is None:
        store.delete(place)
    else:
        store.put(place, version, gone(version, kept))


def gone(version: Event, kept: int) -> int | None:
    """When a version is forgotten, ``kept`` ms after its end; None: never."""
    end = valid_to(version)
    return None if end is None else end + kept


def _after(
    store: Store, events: Key, event: Event, high: Key | None
) -> Iterable[tuple[Key, Event]]:
    """The events behind ``event``, mostly none."""
    last = store.last(events, (event.ts,), high)
    if last is None or (last.ts, last.id) <= (event.ts, event.id):
        return ()
    # The least id that is greater than this one begins with it.
    return store.scan(events, (event.ts, event.id + "\0"), high)
