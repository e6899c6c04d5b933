"""What an event changes, given what its id said before (SEMANTICS 1).

========================  =================================================
assert, id not live       it becomes live
assert, live, same value  no effect
assert, live, other       a retract of the old and an assert of the new
retract, id live          it ceases to be live
retract, id not live      no effect
========================  =================================================

Two entries can stand for an id, since an id has one key and one ts for ever: the live event at
``(*prefix, "e", key, side, ts, id)``, and at ``(*prefix, "r", key, side, ts, id)`` the mark that a
retract of it has had an effect, because from then on ``retract_grace`` decides whether it is late.
"""

from __future__ import annotations

from dataclasses import dataclass

from joins.state import Key, Store
from schemas.envelope import Event


@dataclass(frozen=True, slots=True)
class Change:
    """An accepted event with effect: ``before`` stops being live, ``after`` becomes live."""

    side: str
    before: Event | None
    after: Event | None
    correction: bool
    """A retract, a changed value, an id that was retracted, or marked so by its writer."""
    known: bool
    """Something was already kept of its id."""

    @property
    def event(self) -> Event:
        """The event that came, or for a retract the event that went."""
        event = self.after or self.before
        assert event is not None
        return event


def effect(store: Store, prefix: Key, side: str, event: Event) -> Change | None:
    """What ``event`` changes, or None when it has no effect. Reads only."""
    live: Event | None = store.get((*prefix, "e", event.key, side, event.ts, event.id))
    if event.op == "retract":
        return None if live is None else Change(side, live, None, True, True)
    if live is None:
        again = retracted(store, prefix, side, event)
        return Change(side, None, event, event.correction or again, again)
    return None if live.value == event.value else Change(side, live, event, True, True)


def record(store: Store, prefix: Key, change: Change) -> None:
    """Write a change down."""
    event = change.event
    path = (event.key, change.side, event.ts, event.id)
    if change.before is not None:
        store.put((*prefix, "r", *path), 1)
    if change.after is None:
        store.delete((*prefix, "e", *path))
    else:
        store.put((*prefix, "e", *path), change.after)


def retracted(store: Store, prefix: Key, side: str, event: Event) -> bool:
    """Whether a retract of this event's id has had an effect."""
    return store.get((*prefix, "r", event.key, side, event.ts, event.id)) is not None


def forget(store: Store, prefix: Key, path: Key) -> None:
    """Drop all that is known of one id; ``path`` is (key, side, ts, id)."""
    for entry in ("e", "r"):
        if store.get((*prefix, entry, *path)) is not None:
            store.delete((*prefix, entry, *path))
