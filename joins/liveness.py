"""What an event changes, given what its id said before (SEMANTICS 1).

========================  =================================================
assert, id not live       it becomes live
assert, live, same value  no effect
assert, live, other       a retract of the old and an assert of the new
retract, id live          it ceases to be live
retract, id not live      no effect
========================  =================================================

One or two entries stand for an id, since an id has one key and one ts for ever: the live event at
``(side, key, ts, id)``, and at ``(RETRACTED, side, key, ts, id)`` the mark that a retract of it has
had an effect, because from then on ``retract_grace`` decides whether it is late. Each is due when
it is to be forgotten, so it is found by time without another entry.
"""

from __future__ import annotations

import msgspec

from joins.state import Key, Store
from schemas.envelope import Event

RETRACTED = "/r"
"""The table of the marks. Tables of events are named by their side, all others begin with ``/``."""


class Change(msgspec.Struct, frozen=True, gc=False):
    """An accepted event with effect: ``before`` stops being live, ``after`` becomes live."""

    side: str
    before: Event | None
    after: Event | None
    correction: bool
    """A retract, a changed value, an id that was retracted, or marked so by its writer."""

    @property
    def event(self) -> Event:
        """The event that came, or for a retract the event that went."""
        event = self.after or self.before
        assert event is not None
        return event


def effect(store: Store, side: str, event: Event) -> Change | None:
    """What ``event`` changes, or None when it has no effect. Reads only."""
    live: Event | None = store.get((side, event.key, event.ts, event.id))
    if event.op == "retract":
        return None if live is None else Change(side, live, None, True)
    if live is None:
        again = retracted(store, side, event)
        return Change(side, None, event, event.correction or again)
    return None if live.value == event.value else Change(side, live, event, True)


def record(store: Store, change: Change, due: int | None) -> None:
    """Write a change down, to be forgotten at ``due`` (ms)."""
    event = change.event
    place = (change.side, event.key, event.ts, event.id)
    if change.before is not None:
        store.put((RETRACTED, *place), 1, due)
    if change.after is None:
        store.delete(place)
    else:
        store.put(place, change.after, due)


def retracted(store: Store, side: str, event: Event) -> bool:
    """Whether a retract of this event's id has had an effect."""
    return store.get((RETRACTED, side, event.key, event.ts, event.id)) is not None


def keep(store: Store, place: Key, due: int) -> None:
    """Forget what is known of the id at ``place`` only at ``due`` (ms)."""
    for entry in (place, (RETRACTED, *place)):
        value = store.get(entry)
        if value is not None:
            store.put(entry, value, due)


def forget(store: Store, place: Key) -> None:
    """Drop all that is known of the id at ``place``."""
    store.delete(place)
    store.delete((RETRACTED, *place))
