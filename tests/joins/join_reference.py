"""The definitions of SEMANTICS 1 to 5 as brute force, knowing nothing of the code.

A *row* is (outcome type, key, ts, members): what a result says, without its id.
"""

# ruff: noqa: N803 - W is the name that the definition uses
from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise, product
from typing import Any

INF = 2**62  # W = +inf


@dataclass
class Partition:
    """W_p, idleness and W_idle of one input partition."""

    watermark: int = -INF
    idle: bool = False
    idle_watermark: int = -INF


@dataclass
class Task:
    """What one task has accepted, by the letter of sections 1 and 2."""

    sides: tuple[str, ...]
    declared: set[str]
    lateness: dict[str, int]
    grace: dict[str, int]
    retract_grace: int
    never_late: set[str]
    W: int = -INF
    live: dict[tuple[str, str], Any] = field(default_factory=dict)
    withdrawn: set[tuple[str, str]] = field(default_factory=set)
    ever: dict[tuple[str, str], Any] = field(default_factory=dict)
    late: list[tuple[Any, ...]] = field(default_factory=list)
    parts: dict[str, Partition] = field(default_factory=dict)
    corrected: bool = False

    def __post_init__(self) -> None:
        self.parts = {side: Partition() for side in self.sides}

    def event(self, side: str, event: Any) -> None:
        p, id = self.parts[side], (side, event.id)
        corrects = event.correction or event.op == "retract" or id in self.withdrawn
        self.corrected = corrects
        g = self.retract_grace if corrects else self.grace[side]
        own = -INF if side in self.declared else p.watermark
        limit = max(own, p.idle_watermark) - g
        if event.ts < limit and side not in self.never_late:
            graces = {g, self.grace[side]} if id in self.withdrawn else {g}
            said = [(side, limit + g - x - event.ts, event.ts >= own - x) for x in graces]
            self.late.append((event.id, limit + g, *said))
            return
        p.idle = False
        self.fold(id, event)
        if side not in self.declared:
            p.watermark = max(p.watermark, event.ts - self.lateness[side])
        self.advance()

    def fold(self, id: tuple[str, str], event: Any) -> None:
        live = self.live.get(id)
        if event.op == "retract":
            if live is not None:
                del self.live[id]
                self.withdrawn.add(id)
        elif live is None or live.value != event.value:
            if live is not None:
                self.withdrawn.add(id)
                self.corrected = True
            self.live[id] = self.ever[id] = event

    def watermark(self, side: str, ts: int) -> None:
        self.corrected = False
        self.parts[side].watermark = max(self.parts[side].watermark, ts)
        self.advance()

    def idle(self, side: str) -> None:
        self.corrected = False
        self.parts[side].idle = True
        self.advance()

    def advance(self) -> None:
        active = [p.watermark for p in self.parts.values() if not p.idle]
        if active:
            self.W = max(self.W, min(active))
            for p in self.parts.values():
                if p.idle:
                    p.idle_watermark = self.W

    def of(self, key: str, side: str) -> list[Any]:
        events = [e for (s, _), e in self.live.items() if s == side and e.key == key]
        return sorted(events, key=lambda e: (e.ts, e.id))

    @property
    def keys(self) -> list[str]:
        return sorted({e.key for e in self.live.values()})


def said(member: Any) -> Any:
    """A member as far as it is content: ids and values."""
    if member is None:
        return None
    if isinstance(member, (tuple, list)):
        return tuple((e.id, repr(e.value)) for e in member)
    return (member.id, repr(member.value))


def row(what: str, key: str, ts: int, **members: Any) -> tuple[Any, ...]:
    return (what, key, ts, tuple((side, said(m)) for side, m in members.items()))


def paired(kind: str, lefts: list[Any], rights: list[Any], together: Any, sure: Any) -> list[Any]:
    """Rows of pairs by kind; ``sure(side, event)``: it is certain that nothing more comes."""
    rows: list[Any] = []
    pairs = [(x, y) for x, y in product(lefts, rights) if together(x, y)]
    has_l, has_r = {x.id for x, _ in pairs}, {y.id for _, y in pairs}
    if kind in ("inner", "left", "right", "outer"):
        rows += [row("Matched", x.key, max(x.ts, y.ts), left=x, right=y) for x, y in pairs]
    if kind == "semi":
        rows += [row("Matched", x.key, x.ts, left=x, right=None) for x in lefts if x.id in has_l]
    if kind in ("left", "outer", "anti"):
        alone = [x for x in lefts if x.id not in has_l and sure("left", x)]
        rows += [row("Unmatched", x.key, x.ts, left=x, right=None) for x in alone]
    if kind in ("right", "outer"):
        alone = [y for y in rights if y.id not in has_r and sure("right", y)]
        rows += [row("Unmatched", y.key, y.ts, left=None, right=y) for y in alone]
    return rows


def interval(task: Task, W: int, kind: str, before: int, after: int) -> list[Any]:
    def together(x: Any, y: Any) -> bool:
        return bool(x.ts - before <= y.ts <= x.ts + after)

    def sure(side: str, e: Any) -> bool:
        if side == "left":
            return W - task.grace["right"] > e.ts + after
        return W - task.grace["left"] > e.ts + before

    rows: list[Any] = []
    for key in task.keys:
        rows += paired(kind, task.of(key, "left"), task.of(key, "right"), together, sure)
    return rows


def windows(task: Task, size: int, advance: int) -> dict[tuple[str, int], dict[str, list[Any]]]:
    """(key, start) -> side -> events in [start, start + size), by (ts, id)."""
    found: dict[tuple[str, int], dict[str, list[Any]]] = {}
    for key in task.keys:
        for side in task.sides:
            for e in task.of(key, side):
                for start in range(-200, 400):
                    if start % advance == 0 and start <= e.ts < start + size:
                        sides = found.setdefault((key, start), {s: [] for s in task.sides})
                        sides[side].append(e)
    return found


def window_product(task: Task, W: int, kind: str, size: int, advance: int) -> list[Any]:
    rows: list[Any] = []
    for (_, start), sides in windows(task, size, advance).items():

        def sure(side: str, e: Any, end: int = start + size) -> bool:
            return W - task.grace["right" if side == "left" else "left"] > end - 1

        rows += paired(kind, sides["left"], sides["right"], lambda x, y: True, sure)
    return rows


def keep_group(kind: str, sides: dict[str, list[Any]]) -> bool:
    first = next(iter(sides.values()))
    return {"outer": True, "left": bool(first), "inner": all(sides.values())}[kind]


def group(task: Task, W: int, kind: str, size: int, advance: int) -> list[Any]:
    return [
        row("Matched", key, start + size - 1, **{s: tuple(es) for s, es in sides.items()})
        for (key, start), sides in windows(task, size, advance).items()
        if keep_group(kind, sides) and W - max(task.grace.values()) > start + size - 1
    ]


def chosen(task: Task, W: int, kind: str, best: Any) -> list[Any]:
    rows: list[Any] = []
    for key in task.keys:
        for x in task.of(key, "left"):
            if not W - task.grace["right"] > x.ts:
                continue
            y = best(x, task.of(key, "right"))
            if y is None and kind in ("left", "anti"):
                rows.append(row("Unmatched", key, x.ts, left=x, right=None))
            if y is not None and kind != "anti":
                rows.append(row("Matched", key, x.ts, left=x, right=None if kind == "semi" else y))
    return rows


def asof_best(x: Any, rights: list[Any], tolerance: int) -> Any:
    found = [y for y in rights if x.ts - tolerance <= y.ts <= x.ts]
    return max(found, key=lambda y: (y.ts, y.id), default=None)


def asof(task: Task, W: int, kind: str, tolerance: int) -> list[Any]:
    return chosen(task, W, kind, lambda x, rights: asof_best(x, rights, tolerance))


def lookup_best(x: Any, versions: list[Any]) -> Any:
    def ended(v: Any) -> bool:
        end = (v.value or {}).get("valid_to")
        return end is not None and end <= x.ts

    found = [v for v in versions if v.ts <= x.ts and not ended(v)]
    best = max(found, key=lambda v: (v.ts, v.id), default=None)
    return None if best is None or best.value is None else best


def lookup(task: Task, W: int, kind: str) -> list[Any]:
    return chosen(task, W, kind, lookup_best)


def fold(task: Task, W: int, function: Any, horizon: int) -> list[Any]:
    """The function of the live events since the key's last pause of more than ``horizon``."""
    known: dict[str, list[int]] = defaultdict(list)
    for e in task.ever.values():
        known[e.key].append(e.ts)
    rows: list[Any] = []
    for key, times in known.items():
        times.sort()
        pauses = [b for a, b in pairwise(times) if b - a > horizon]
        start = pauses[-1] if pauses else times[0]
        events = [(s, e) for s in task.sides for e in task.of(key, s) if e.ts >= start]
        order = {s: i for i, s in enumerate(task.sides)}
        events.sort(key=lambda item: (item[1].ts, item[1].id, order[item[0]]))
        value = function(events) if events else None
        if value is not None:
            by = {s: tuple(e for side, e in events if side == s) for s in task.sides}
            rows.append((*row("Matched", key, events[-1][1].ts, **by), repr(value)))
    return rows


def nway(task: Task, W: int, driver: str, rules: dict[str, Any]) -> list[Any]:
    """``rules``: side -> (name, *times)."""
    rows: list[Any] = []
    for x in [e for (side, _), e in task.live.items() if side == driver]:
        members: dict[str, Any] = {driver: x}
        certain = True
        for side, (rule, *times) in rules.items():
            others = task.of(x.key, side)
            last = x.ts + (times[1] if rule == "interval" else 0)
            certain = certain and W - task.grace[side] > last
            if rule == "asof":
                members[side] = asof_best(x, others, times[0])
            elif rule == "lookup":
                members[side] = lookup_best(x, others)
            else:
                near = [y for y in others if x.ts - times[0] <= y.ts <= x.ts + times[1]]
                members[side] = tuple(near) or None
        if certain:
            rows.append(row("Matched", x.key, x.ts, **members))
    return rows


def sessions(task: Task, gap: int) -> list[tuple[str, list[tuple[str, Any]]]]:
    """(key, [(side, event), ...] by ts) of each session."""
    found: list[tuple[str, list[tuple[str, Any]]]] = []
    for key in task.keys:
        events = [(side, e) for side in task.sides for e in task.of(key, side)]
        events.sort(key=lambda item: item[1].ts)
        for item in events:
            if found and found[-1][0] == key and item[1].ts - found[-1][1][-1][1].ts <= gap:
                found[-1][1].append(item)
            else:
                found.append((key, [item]))
    return found


def session_group(task: Task, W: int, kind: str, gap: int) -> list[Any]:
    rows: list[Any] = []
    for key, events in sessions(task, gap):
        last = events[-1][1].ts
        sides = {s: [e for side, e in events if side == s] for s in task.sides}
        for side in sides.values():
            side.sort(key=lambda e: (e.ts, e.id))
        if keep_group(kind, sides) and W - max(task.grace.values()) > last + gap:
            rows.append(row("Matched", key, last, **{s: tuple(es) for s, es in sides.items()}))
    return rows


def session_product(task: Task, W: int, kind: str, gap: int) -> list[Any]:
    rows: list[Any] = []
    for _, events in sessions(task, gap):
        closed = W - max(task.grace.values()) > events[-1][1].ts + gap
        lefts = [e for side, e in events if side == "left"]
        rights = [e for side, e in events if side == "right"]
        rows += paired(kind, lefts, rights, lambda x, y: True, lambda s, e, c=closed: c)
    return rows
