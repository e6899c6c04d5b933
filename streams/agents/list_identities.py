"""web5.identity_links -> web5.address_identities: the links of an address as one versioned value.

An address may have the links of several DIDs at once, and a lookup finds one version: so the
versions are those of the whole set. A link that is proved late, revoked or withdrawn changes the
versions from its time on: a version is never late (SEMANTICS 4), though its time is waited for.
"""

from __future__ import annotations

from joins.clock import SideTime
from joins.state import Store
from schemas.envelope import Event
from streams import topics
from streams.chain.standing_links import change_times, identities
from streams.engine.step import Batch, Emit, Rows, Step

NAME = "list_identities"


def process(batch: Batch, state: Store, emit: Emit) -> None:
    """Put each version in or out, and say again what holds from its time on."""
    rows = Rows(NAME, state, emit)
    for event in batch:
        before = _versions(state, event.key)
        place = ("link", event.key, event.ts, event.id)
        if event.op == "retract":
            state.delete(place)
        else:
            state.put(place, event)
        after = _versions(state, event.key)
        times = change_times(after)
        for at in sorted(change_times(before) | times):
            if at >= event.ts:
                value = identities(event.key, after, at) if at in times else None
                rows.set(topics.address_identities, f"{event.key}:{at}", value, at, event)


def _versions(state: Store, address: str) -> list[Event]:
    return [event for _, event in state.scan(("link", address))]


step = Step(
    NAME,
    (topics.identity_links,),
    (topics.address_identities,),
    process,
    times={topics.identity_links.name: SideTime(declared=True, never_late=True)},
)
