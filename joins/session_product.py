"""Session product: every pair in one session, and who has no partner in it.

::

    gap 10:   l1(0)   r1(8)    l2(15)           l3(40)
              l1 x r1, l2 x r1                  l3 has no partner

State beside that of sessions: ``("/", "h", ts, key, first)``, the least ts that a result of an open
session may have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise
from typing import ClassVar

from joins.clock import NEG_INF
from joins.errors import JoinError
from joins.join import first_at
from joins.liveness import Change
from joins.outcome import Matched, Outcome, Row, Unmatched, changes
from joins.pairs import UNMATCHED, PairJoin
from joins.session import SessionJoin
from joins.session_state import Found
from joins.state import Key, Store
from schemas.envelope import Event
from schemas.ids import digest_id

Two = tuple[list[Event], list[Event]]


@dataclass(frozen=True, kw_only=True)
class SessionProduct(SessionJoin):
    """All pairs that are in one session (``WindowJoin(windows=Session(...), mode="product")``)."""

    kinds: ClassVar[tuple[str, ...]] = PairJoin.kinds

    def _check(self) -> None:
        super()._check()
        if len(self.sides) != 2:
            raise JoinError(f"this join has two sides, not {len(self.sides)}: {self.sides}")

    @property
    def reach(self) -> int:
        """Sessions have no greatest length; this covers pairs of neighbours."""
        return self.windows.gap

    @cached_property
    def _pairs(self) -> bool:
        return self.kind not in ("semi", "anti")

    @cached_property
    def _alone(self) -> tuple[int, ...]:
        return UNMATCHED.get(self.kind, ())

    @property
    def _waits(self) -> bool:
        return self.kind == "semi" or (bool(self._alone) and self.emit == "final")

    def _apply(self, store: Store, change: Change, watermark: int) -> list[Outcome]:
        """Compare the sessions around the event before and after the change."""
        event, work = change.event, self._working(store)
        old = work.around(event.key, event.ts)
        before = self._stands(event.key, old, change, watermark)
        held = set(self._holds(old, watermark))
        self._record(store, change, watermark)
        new = work.renew(old, change)
        corrects = new[0].story.corrects if new else change.correction
        after = self._stands(event.key, new, change, watermark)
        self._turn(store, held, set(self._holds(new, watermark)))
        self._save(work, watermark)
        return changes(before, after, corrects)

    # --- time -------------------------------------------------------------------------------

    def _turn(self, store: Store, before: set[Key], after: set[Key]) -> None:
        for entry in before - after:
            store.delete(entry)
        for entry in after - before:
            store.put(entry, 0)

    def _holds(self, sessions: Iterable[Found], watermark: int) -> Iterator[Key]:
        for session in sessions:
            least = self._least(session)
            if self._waits and least is not None and self._closes(session.last) > watermark:
                yield (*self.prefix, "h", least, session.key, session.first)

    def holdback(self, store: Store) -> int | None:
        """The least ts of a result of any open session."""
        return first_at(store, (*self.prefix, "h"), 2)

    def _closed(self, store: Store, session: Found) -> None:
        for entry in self._holds([session], NEG_INF):
            store.delete(entry)

    def _least(self, session: Found) -> int | None:
        """The least ts of a result that is still to come of an open session."""
        positions = (0,) if self.kind == "semi" else self._alone
        lonely = [position for position in positions if not session.filled[1 - position]]
        return session.first if lonely else None

    # --- what stands ------------------------------------------------------------------------

    def _stands(self, key: str, sessions: list[Found], change: Change, watermark: int) -> list[Row]:
        rows: list[Row] = []
        for session in sessions:
            if self._pairs:
                rows += self._pairs_through(session, change)
            if self._seen(session, watermark) or self.kind == "semi":
                rows += self._singles(session)
        return rows

    def _at_close(self, key: str, session: Found) -> list[Row]:
        return [] if self.kind == "semi" else list(self._singles(session))

    def _two(self, session: Found) -> Two:
        left, right = (list(session.members[side]) for side in self.sides)
        return left, right

    # --- pairs ------------------------------------------------------------------------------

    def _pairs_through(self, session: Found, change: Change) -> Iterator[Row]:
        """Pairs that hold only by the changed event: with it, and across the gap it bridges."""
        event, position = change.event, self.sides.index(change.side)
        two = self._two(session)
        own = [e for e in two[position] if (e.ts, e.id) == (event.ts, event.id)]
        if not own:
            return
        for partner in two[1 - position]:
            yield self._matched(*((own[0], partner) if position == 0 else (partner, own[0])))
        two[position].remove(own[0])
        low, high = self._bridged(two)
        yield from (self._matched(x, y) for x in low[0] for y in high[1])
        yield from (self._matched(x, y) for x in high[0] for y in low[1])

    def _bridged(self, two: Two) -> tuple[Two, Two]:
        """The parts that a session without the event would fall into."""
        times = sorted(event.ts for event in chain(*two))
        splits = [after for before, after in pairwise(times) if after - before > self.windows.gap]
        if not splits:
            return ([], []), ([], [])
        low = tuple([e for e in events if e.ts < splits[0]] for events in two)
        high = tuple([e for e in events if e.ts >= splits[0]] for events in two)
        return (low[0], low[1]), (high[0], high[1])

    def _matched(self, left: Event, right: Event | None) -> Row:
        ts = left.ts if right is None else max(left.ts, right.ts)
        right_id = None if right is None else right.id
        id = digest_id(self.name, self.word, "matched", left.id, right_id)
        return Matched(id, left.key, ts, dict(zip(self.sides, (left, right), strict=True)))

    # --- events by themselves ---------------------------------------------------------------

    def _singles(self, session: Found) -> Iterator[Row]:
        two = self._two(session)
        if self.kind == "semi":
            yield from (self._matched(event, None) for event in two[0] if two[1])
        for position in self._alone:
            if not two[1 - position]:
                yield from (self._unmatched(position, event) for event in two[position])

    def _unmatched(self, position: int, event: Event) -> Row:
        pair = (event, None) if position == 0 else (None, event)
        ids = [None if member is None else member.id for member in pair]
        id = digest_id(self.name, self.word, "unmatched", *ids)
        members = dict(zip(self.sides, pair, strict=True))
        return Unmatched(id, event.key, event.ts, self.sides[position], members)
