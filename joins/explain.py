"""What joins say, arrival by arrival, as a table for people.

>>> from joins import Arrival, Event, IntervalJoin, Watermark
>>> def event(id, ts):
...     return Event(id=id, key="k", ts=ts, op="assert", value=id)
>>> arrivals = [
...     Arrival("left", 0, event("l1", 100)),
...     Arrival("right", 0, event("r1", 104)),
...     Arrival("right", 0, event("r2", 103)),
... ]
>>> final = IntervalJoin(before=5, after=5, kind="left")
>>> eager = IntervalJoin(before=5, after=5, kind="left", emit="eager")
>>> print(table(arrivals, final=final, eager=eager))
arrives    at  time  final           eager
left l1   100     -  -               + l1 alone at 100
right r1  104   100  + l1 r1 at 104  - l1 alone at 100
                                     + l1 r1 at 104
right r2  103   100  late r2, by 1   late r2, by 1
the end        +inf  -               -

``time`` is the watermark after the arrival, of the first join's task; ``+`` is a result, ``-`` one
that no longer holds. Members that are none are written ``none``; several of one side stand in
brackets.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest

from joins.clock import NEG_INF
from joins.errors import JoinError
from joins.join import Join
from joins.outcome import Late, Matched, Member, Outcome, Retracted, Row
from joins.run import Arrival, Idle, Input, Watermark, feed
from joins.task import JoinTask

HEAD = ("arrives", "at", "time")
_RIGHT = (1, 2)
"""Columns of numbers."""


def table(arrivals: Iterable[Input], *, close: bool = True, **joins: Join) -> str:
    """What each join says at each arrival, a column each; one task, whatever the partition.

    Raises JoinError without a join, or for a side that one does not have.
    """
    if not joins:
        raise JoinError("name at least one join, for example final=IntervalJoin(...)")
    inputs = list(arrivals)
    for name, join in joins.items():
        stray = sorted({item.side for item in inputs} - set(join.sides))
        if stray:
            known = ", ".join(join.sides)
            raise JoinError(f"join {name!r} has the sides {known}, not {stray[0]!r}")
    declared = {item.side for item in inputs if isinstance(item, Watermark)}
    tasks = [JoinTask(join, 0, declared & set(join.sides)) for join in joins.values()]
    stands: list[dict[str, Row]] = [{} for _ in tasks]
    lines: list[tuple[str, ...]] = [(*HEAD, *joins)]
    for item in inputs:
        said = [
            _words(feed(task, _here(item)), rows) for task, rows in zip(tasks, stands, strict=True)
        ]
        lines += _block(_arrival(item), tasks[0], said)
    if close:
        said = [_words(task.close(), rows) for task, rows in zip(tasks, stands, strict=True)]
        lines += _block(("the end", ""), None, said)
    return _aligned(lines)


def _here(item: Input) -> Input:
    if isinstance(item, Arrival):
        return Arrival(item.side, 0, item.event)
    return Idle(item.side, 0) if isinstance(item, Idle) else Watermark(item.side, 0, item.ts)


def _arrival(item: Input) -> tuple[str, str]:
    if isinstance(item, Arrival):
        undo = "not " if item.event.op == "retract" else ""
        return f"{item.side} {undo}{item.event.id}", str(item.event.ts)
    return (f"{item.side} idle", "") if isinstance(item, Idle) else (item.side, f"W {item.ts}")


def _block(
    arrival: tuple[str, str], task: JoinTask | None, said: list[list[str]]
) -> list[tuple[str, ...]]:
    """The lines of one arrival: as many as the join that says most has."""
    columns = list(zip_longest(*(words or ["-"] for words in said), fillvalue=""))
    firsts = [(*arrival, _time(task)), *([("", "", "")] * (len(columns) - 1))]
    return [(*first, *words) for first, words in zip(firsts, columns, strict=True)]


def _time(task: JoinTask | None) -> str:
    if task is None:
        return "+inf"
    return "-" if task.clock.watermark == NEG_INF else str(task.clock.watermark)


def _words(outcomes: list[Outcome], stands: dict[str, Row]) -> list[str]:
    return [_said(outcome, stands) for outcome in outcomes]


def _said(outcome: Outcome, stands: dict[str, Row]) -> str:
    if isinstance(outcome, Late):
        return f"late {outcome.event.id}, by {outcome.by}"
    if isinstance(outcome, Retracted):
        return f"- {_row(stands.pop(outcome.of))}"
    stands[outcome.id] = outcome
    return f"+ {_row(outcome)}"


def _row(row: Row) -> str:
    if not isinstance(row, Matched):
        return f"{_member(row.members[row.side])} alone at {row.ts}"
    if row.value is not None:
        return f"{row.value} at {row.ts}"
    return f"{' '.join(_member(member) for member in row.members.values())} at {row.ts}"


def _member(member: Member) -> str:
    if member is None:
        return "none"
    if isinstance(member, tuple):
        return f"({' '.join(event.id for event in member)})"
    return member.id


def _aligned(lines: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place in _RIGHT else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
