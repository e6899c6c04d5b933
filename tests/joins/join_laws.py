"""What every join is held to after each arrival: the definition, to the letter and in order."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from join_cases import Case
from join_timelines import shrunk
from reference import Row, plain
from reference_time import Lateness, Moments, Said

from joins import JoinTask, Late, Matched, Outcome, Retracted, Store, Unmatched, run
from joins.run import feed
from streams.engine.codec import decode_key, decode_value, encode_changes
from streams.engine.stores import TaskStore

INF = 2**62


class Checkpointed:
    """A task's store whose changes go to a changelog, from which it comes back."""

    def __init__(self) -> None:
        self.log: dict[bytes, bytes | None] = {}
        self.tasks = TaskStore()

    @property
    def store(self) -> Store:
        """Where the join keeps what it remembers."""
        return self.tasks.scope("join")

    def checkpoint(self) -> None:
        """Write what changed to the log."""
        self.tasks.settle()
        for changes in self.tasks.take_changes():
            self.log.update(encode_changes(changes))

    def crash(self) -> None:
        """Nothing is left but the log."""
        self.tasks = TaskStore()
        for key, body in self.log.items():
            self.tasks.load(decode_key(key), None if body is None else decode_value(body))

    def entries(self) -> list[Any]:
        """The keys of all entries."""
        return [key for key, _ in self.store.scan(())]


def members_of(members: Any) -> dict[str, Any]:
    """Members as the definition has them."""
    return {
        side: None
        if member is None
        else tuple(map(plain, member))
        if isinstance(member, tuple)
        else plain(member)
        for side, member in members.items()
    }


def as_row(outcome: Matched | Unmatched, like: Row | None = None) -> Row:
    """What a join said, in the words of the definition; members where ``like`` has them."""
    members = members_of(outcome.members) if like is None or like.members else {}
    if isinstance(outcome, Matched):
        return Row(outcome.id, "matched", outcome.key, outcome.ts, None, members, outcome.value)
    return Row(outcome.id, "unmatched", outcome.key, outcome.ts, outcome.side, members)


def without_echoes(outcomes: list[Outcome]) -> list[Outcome]:
    """Without numbers that are taken back and said again, because other events make them up."""
    gone = {o.of: o.row for o in outcomes if isinstance(o, Retracted)}
    come = {o.id: o for o in outcomes if isinstance(o, Matched)}
    echoes = {id for id in gone.keys() & come.keys() if as_said(gone[id]) == as_said(come[id])}
    return [o for o in outcomes if subject(o) not in echoes]


def subject(outcome: Outcome) -> str | None:
    """The id of the result that an outcome is about."""
    return outcome.of if isinstance(outcome, Retracted) else getattr(outcome, "id", None)


def as_said(row: Any) -> Any:
    """What a number says, whatever events are behind it."""
    return row.id, row.key, row.ts, row.value


def standing_after(
    outcomes: list[Outcome], standing: dict[str, Row] | None = None, alternates: bool = True
) -> dict[str, Row]:
    """The net set; insists that assert and retract alternate."""
    rows = dict(standing or {})
    for outcome in outcomes:
        if isinstance(outcome, Retracted):
            del rows[outcome.of]
        elif not isinstance(outcome, Late):
            assert not alternates or outcome.id not in rows
            rows[outcome.id] = as_row(outcome)
    return rows


def without_waits(net: dict[str, Row], like: dict[str, Row]) -> dict[str, Row]:
    """What the definition has, with the members of what was said where it names none itself."""
    return {
        id: bare(row)._replace(members=row.members or (like[id].members if id in like else {}))
        for id, row in net.items()
    }


def bare(row: Row) -> Row:
    """A row without when it is certain."""
    return row._replace(waits=())


class Witness:
    """One task of the product beside one of the definition."""

    def __init__(
        self,
        case: Case,
        number: int,
        declared: frozenset[str],
        make: Callable[[], Any] = Checkpointed,
    ) -> None:
        self.case, self.number, self.declared = case, number, declared
        self.kept: Any = make()
        self.task = JoinTask(case.join, number, declared, self.kept.store)
        self.moments = Moments(case.rules(declared))
        self.standing: dict[str, Any] = {}
        self.promised = -INF

    def tell(self, item: Any) -> list[Outcome]:
        """Give both the same arrival and hold every law."""
        outcomes = feed(self.task, item)
        heard = without_echoes(outcomes) if self.case.echoes else outcomes
        self.hold(heard, self.moments.tell(item))
        return outcomes

    def close(self, keeps: frozenset[str] = frozenset()) -> list[Outcome]:
        """Let time pass everything: then nothing is left but the table."""
        outcomes = self.task.close()
        self.hold(outcomes, self.moments.close())
        assert self.moments.net.keys() == self.standing.keys()
        assert [] == [key for key in self.kept.entries() if not set(keeps) & set(key)]
        return outcomes

    def crash(self) -> None:
        """Come back from the checkpoint."""
        self.kept.checkpoint()
        self.kept.crash()
        clock = json.loads(json.dumps(self.task.clock.dump()))
        self.task = JoinTask(self.case.join, self.number, self.declared, self.kept.store)
        self.task.clock.load(clock)

    def hold(self, outcomes: list[Outcome], said: Said) -> None:
        """Exactly what must be said, in the order in which it became certain."""
        self.hold_late([o for o in outcomes if isinstance(o, Late)], said)
        expected = [bare(row) for row in said.come + said.ripe]
        come = [o for o in outcomes if isinstance(o, Matched | Unmatched)]
        likes = expected if len(expected) == len(come) else [None] * len(come)
        assert expected == [as_row(o, like) for o, like in zip(come, likes, strict=True)]
        gone = [o for o in outcomes if isinstance(o, Retracted)]
        self.hold_gone(gone, said)
        self.take(outcomes)
        self.hold_correction(outcomes, come, said)
        assert self.moments.W in (self.task.clock.watermark, *self.limits())
        self.hold_deadline()

    def limits(self) -> tuple[float, ...]:
        """The definition's infinite ``W`` where the product's is."""
        at = self.task.clock.watermark
        return (float("inf"),) if at >= INF else (float("-inf"),) if at <= -INF else ()

    def hold_late(self, late: list[Late], said: Said) -> None:
        """Late exactly when the definition says so, by as much."""
        expected = [] if said.late is None else [said.late]
        found = [Lateness(o.side, o.event.id, o.event.ts, o.watermark, o.by, o.idle) for o in late]
        if said.late is not None and said.late != (found or [None])[0] and found:
            # State may have forgotten that an id was withdrawn; then g is grace.
            rules = self.moments.rules
            less = rules.retract_grace - rules.grace[said.late.side]
            forgotten = said.late._replace(by=said.late.by + less)
            assert (said.late.side, said.late.id) in self.moments.withdrawn
            assert found[0].by == forgotten.by
            return
        assert expected == found

    def hold_gone(self, gone: list[Retracted], said: Said) -> None:
        """Exactly the results that depended on it; each tells the row that it takes back."""
        expected = sorted((row.id, row.key, row.ts) for row in said.gone)
        found = sorted((o.of, o.key, o.ts) for o in gone)
        if self.case.alternates:
            assert expected == found
            said_of = as_said if self.case.echoes else lambda row: row
            assert [] == [o for o in gone if said_of(self.standing[o.of]) != said_of(o.row)]
        else:  # a fold that began anew may have forgotten its old row
            assert set(found) <= set(expected)
            anew = {row.id for row in said.come}
            assert {row[0] for row in set(expected) - set(found)} <= anew

    def take(self, outcomes: list[Outcome]) -> None:
        """Per id, assert and retract alternate; what stands is the net set."""
        for outcome in outcomes:
            if isinstance(outcome, Retracted):
                del self.standing[outcome.of]
            elif not isinstance(outcome, Late):
                assert not self.case.alternates or outcome.id not in self.standing
                self.standing[outcome.id] = outcome

    def hold_correction(self, outcomes: list[Outcome], come: list[Any], said: Said) -> None:
        """What may lie below a watermark that a writer could have declared is marked."""
        for outcome in come:
            assert outcome.correction or outcome.ts >= self.promised
        if self.case.join.emit == "final" and not self.case.tables and self.case.alternates:
            assert said.correction or not said.gone or self.case.join.word == "fold"
        again = {o.of for o in outcomes if isinstance(o, Retracted)}
        assert [] == [o for o in come if o.id in again and not o.correction]
        holdback = self.task.join.holdback(self.kept.store)
        own = self.task.clock.watermark - self.task.join.max_grace
        self.promised = max(self.promised, own if holdback is None else min(own, holdback))

    def hold_deadline(self) -> None:
        """No deadline is overdue; a version that ended long ago goes with the next watermark."""
        if self.case.tables:
            return
        deadline = self.task.join.next_deadline(self.kept.store)
        at = self.task.clock.watermark
        assert deadline is None or deadline > at or at == -INF


def check(
    case: Case,
    items: list[Any],
    declared: frozenset[str] = frozenset(),
    crash_at: int = -1,
    make: Callable[[], Any] = Checkpointed,
) -> None:
    """Feed ``items`` one by one and hold every law after each; ``run`` says the same at once."""
    witnesses: dict[int, Witness] = {}
    said: list[Outcome] = []
    for count, item in enumerate(items):
        if item.partition not in witnesses:
            witnesses[item.partition] = Witness(case, item.partition, declared, make)
        if count == crash_at:
            for witness in witnesses.values():
                witness.crash()
        said += witnesses[item.partition].tell(item)
    assert said == run(case.join, items, close=False, declared=declared)
    for _, witness in sorted(witnesses.items()):
        said += witness.close(case.tables)
    assert said == run(case.join, items, declared=declared)


def prove(
    note: str,
    case: Case,
    items: list[Any],
    declared: frozenset[str] = frozenset(),
    crash_at: int = -1,
    make: Callable[[], Any] = Checkpointed,
) -> None:
    """``check``, which on failure tells the note and the fewest arrivals that still fail."""

    def fails(less: list[Any]) -> bool:
        try:
            check(case, less, declared, crash_at, make)
        except AssertionError:
            return True
        return False

    try:
        check(case, items, declared, crash_at, make)
    except AssertionError:
        few = shrunk(items, fails)
        print(f"{note}, declared {sorted(declared)}, crash at {crash_at}: {case.join}")
        print(*few, sep="\n")
        check(case, few, declared, crash_at, make)
        raise
