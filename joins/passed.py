"""Deadlines without timers: a deadline that is a constant before its event is forgotten.

The timeline on which events are forgotten tells, moved by that constant (``lead``, ms), which
deadlines come next. What has been said already is one entry: the watermark up to which everything
that became certain has been said.
"""

from __future__ import annotations

from joins.state import Key, Store
from schemas.envelope import Event

REACHED: Key = ("/w",)


def reach(store: Store, watermark: int) -> None:
    """Note that what was certain at ``watermark`` has been said."""
    known = store.get(REACHED)
    if known is None or known < watermark:
        store.put(REACHED, watermark)


def since(store: Store, table: str, lead: int, watermark: int) -> list[Event]:
    """The events of a table whose deadline has come by ``watermark``, each once, by deadline."""
    places = store.due(table, _from(store, lead), watermark + 1 + lead)
    if places:
        reach(store, watermark)
    return [store.get(place) for place in places]  # type: ignore[misc]


def next_due(store: Store, table: str, lead: int) -> int | None:
    """When the event is due whose deadline, ``lead`` before that, comes next."""
    return store.next_due(table, _from(store, lead))


def tidy(store: Store, table: str) -> None:
    """Where no event is left, there is nothing to remember."""
    if store.next_due(table) is None:
        store.delete(REACHED)


def _from(store: Store, lead: int) -> int | None:
    known = store.get(REACHED)
    return None if known is None else int(known) + 1 + lead
