"""patterns.peel_hops -> patterns.history_matches: hops that follow each other, as chains.

All hops of a network come to one task (docs/adr/0007): a chain is then a walk in state, of any
length. Hops arrive in any order; each change is passed on along the chain, and what a batch changes
is said once, at its end.

State: ``("hop", txid, id)`` the event of a live hop, ``("next", txid, vout, child, child id)`` who
spends a coin, ``("chain", txid, id)`` the chain up to a hop, and the matches that stand.
"""

from __future__ import annotations

from joins.state import Store
from schemas.envelope import Event
from schemas.events import PeelHop
from streams import topics
from streams.config import Config
from streams.engine.codec import register
from streams.engine.step import Batch, Emit, Rows, Step
from streams.patterns.peel_chain import DEFAULTS, Chain, chain_of, follows, match

NAME = "follow_peel_chains"
register(Chain)

Place = tuple[str, str]
"""A hop in state: its txid and its event's id."""


def step(config: Config) -> Step:
    """The step; a hop is kept for the longest pause, and as long as it can be corrected."""
    return _keeping(config.engine.retract_grace_ms)


def _keeping(undo: int) -> Step:
    """The step whose hops can be corrected for ``undo`` ms."""
    keep = DEFAULTS.max_pause_ms + undo

    def advance(watermark: int, state: Store, emit: Emit) -> None:
        for key in state.due("hop", high=watermark - keep):
            _forget(state, (str(key[1]), str(key[2])))

    writes = (topics.history_matches,)
    return Step(NAME, (topics.peel_hops,), writes, process, advance, bind=_keeping)


def process(batch: Batch, state: Store, emit: Emit) -> None:
    """Take the hops in, follow what changed along each chain, then say what stands."""
    changed: dict[Place, Event] = {}
    for event in batch:
        for place in _take(state, event):
            _follow(state, place, event, changed)
    rows = Rows(NAME, state, emit)
    for place, cause in changed.items():
        _say(rows, state, place, cause)


def _take(state: Store, event: Event) -> list[Place]:
    """Put the hop in, or out; the hops whose chain is to be looked at again."""
    hop: PeelHop = event.value
    place = (hop.txid, event.id)
    spent = ("next", hop.prev_txid, hop.prev_vout, *place)
    if event.op == "retract":
        state.delete(("hop", *place))
        state.delete(spent)
    else:
        state.put(("hop", *place), event, due=event.ts)
        state.put(spent, True)
    return [place, *_after(state, hop)]


def _after(state: Store, hop: PeelHop) -> list[Place]:
    spenders = state.scan(("next", hop.txid, hop.change_vout))
    return [(str(key[3]), str(key[4])) for key, _ in spenders]


def _follow(state: Store, start: Place, cause: Event, changed: dict[Place, Event]) -> None:
    """Work out the chain of ``start`` again, and of those after it as far as anything changes."""
    waiting, seen = [start], set[Place]()
    while waiting:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        event: Event | None = state.get(("hop", *place))
        old: Chain | None = state.get(("chain", *place))
        new = None if event is None else chain_of(event.value, event.ts, _before(state, event))
        if new == old:
            continue
        changed[place] = cause
        if new is None:
            state.delete(("chain", *place))
        else:
            state.put(("chain", *place), new)
        if event is not None:
            waiting += _after(state, event.value)


def _before(state: Store, event: Event) -> Chain | None:
    """The chain that a hop goes on with: of the live form of the transaction it spends from."""
    hop: PeelHop = event.value
    forms = [known for _, known in state.scan(("hop", hop.prev_txid))]
    fits = [e for e in forms if follows(hop, event.ts, e.value, e.ts, DEFAULTS)]
    if not fits:
        return None
    last = max(fits, key=lambda e: (e.ts, e.id))
    found: Chain | None = state.get(("chain", hop.prev_txid, last.id))
    return found


def _say(rows: Rows, state: Store, place: Place, cause: Event) -> None:
    event: Event | None = state.get(("hop", *place))
    chain: Chain | None = state.get(("chain", *place))
    if event is None or chain is None:
        rows.set(topics.history_matches, place[1], None, cause.ts, cause)
        return
    found = match(event.value, event.ts, chain)
    rows.set(topics.history_matches, place[1], found, event.ts, cause, anchor=event.anchor)


def _forget(state: Store, place: Place) -> None:
    event: Event | None = state.get(("hop", *place))
    if event is None:
        return
    hop: PeelHop = event.value
    state.delete(("next", hop.prev_txid, hop.prev_vout, *place))
    state.delete(("row", topics.history_matches.name, place[1]))
    state.delete(("chain", *place))
    state.delete(("hop", *place))
