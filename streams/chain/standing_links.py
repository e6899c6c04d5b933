"""Which links stand at an address: the set of them, at any time.

::

    record a    |claimed 10 ----------- revoked 40|
    record b             |claimed 20 ------------------ ends 60|
    the set     [a]      [a, b]         [b]            []
                10       20             40             60
"""

from __future__ import annotations

from collections.abc import Iterable

from schemas.envelope import Event
from schemas.events import AddressIdentities, IdentityLink

MOST = 64
"""Anybody may claim any address: a version lists so many links, the oldest, and counts the rest."""


def change_times(versions: Iterable[Event]) -> set[int]:
    """When the set may change (ms): with each version, and where one ends by its own words."""
    found: set[int] = set()
    for event in versions:
        ends: int | None = event.value.valid_to
        found.add(event.ts)
        if ends is not None and ends > event.ts:
            found.add(ends)
    return found


def standing(versions: Iterable[Event], at: int) -> list[IdentityLink]:
    """The links that stand ``at`` a time (ms), oldest first.

    Of each record its newest version counts, unless it revokes the link or has ended.
    """
    newest: dict[str, Event] = {}
    for event in sorted(versions, key=lambda e: (e.ts, e.id)):
        if event.ts <= at:
            newest[event.value.record_id] = event
    stands = [e for e in newest.values() if not e.value.revoked and not _ended(e.value, at)]
    return [event.value for event in sorted(stands, key=lambda e: (e.ts, e.id))]


def identities(address: str, versions: Iterable[Event], at: int) -> AddressIdentities:
    """The version of the set that begins ``at`` a time (ms)."""
    links = standing(versions, at)
    return AddressIdentities(address, links[:MOST], len(links[MOST:]))


def _ended(link: IdentityLink, at: int) -> bool:
    return link.valid_to is not None and link.valid_to <= at
