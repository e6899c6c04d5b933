"""What each join must produce, as brute force, written from the definition alone.

Nothing of the product is imported. An event is anything with ``id, key, ts, op, value`` and
``correction`` (``Event`` below will do); ``live`` maps each side, in the join's order, to the live
events of *one* key of *one* task. A definition answers a list of ``Row``; a row is certain, so may
be said under ``final``, once ``W - grace[side] > instant`` for every ``(side, instant)`` of its
``waits``. ``reference_time`` says when that is, and what is late.

    >>> left, right = [Event("l", "k", 5, "assert", 1)], [Event("r", "k", 7, "assert", 2)]
    >>> interval("s", {"left": left, "right": right}, "inner", before=0, after=2)[0].ts
    7
"""

# ruff: noqa: E741 - l and r are the names that the definition uses
from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

INF = float("inf")
MATCHED, UNMATCHED = "matched", "unmatched"


Waits = tuple[tuple[str, int], ...]
"""(side, instant): nothing of the side can come any more at or below the instant."""


class Event(NamedTuple):
    """One event of one side."""

    id: str
    key: str
    ts: int
    op: str
    value: Any
    correction: bool = False


class Row(NamedTuple):
    """One result of the definition; `waits` says when it is certain, the rest is the result."""

    id: str
    type: str
    key: str
    ts: int
    side: str | None
    members: Mapping[str, Any]
    value: Any = None
    waits: Waits = ()


Live = Mapping[str, list[Any]]
Window = tuple[int, int]
Windows = Callable[[Iterable[int]], list[Window]]


def identity(*parts: str | int | None) -> str:
    """Hex SHA-256 of the length-prefixed list."""
    return hashlib.sha256(b"".join(map(prefixed, parts))).hexdigest()


def prefixed(part: str | int | None) -> bytes:
    """4 bytes of length, big-endian, and UTF-8; null is ff ff ff ff."""
    if part is None:
        return b"\xff\xff\xff\xff"
    text = str(part).encode()
    return len(text).to_bytes(4, "big") + text


def order(event: Any) -> tuple[int, str]:
    """(ts, id)."""
    return event.ts, event.id


def plain(event: Any) -> tuple[Any, ...]:
    """What of a member counts: its id, key, ts and value."""
    return event.id, event.key, event.ts, event.value


# ---------------------------------------------------------------- pairs: interval, product


def pairing(
    name: str,
    join: str,
    live: Live,
    kind: str,
    partners: Callable[[Any, Any], bool],
    waits: Callable[[str, Any], Waits],
    start: int | None = None,
) -> list[Row]:
    """The rows of `kind` over every l and r for which `partners(l, r)` holds."""
    (left, ls), (right, rs) = live.items()
    extra = () if start is None else (start,)

    def row(type: str, lone: str | None, l: Any, r: Any) -> Row:
        members = {left: l and plain(l), right: r and plain(r)}
        inputs = [e for e in (l, r) if e]
        ident = identity(name, join, type, l and l.id, r and r.id, *extra)
        wait = waits(lone, l or r) if lone else ()
        return Row(ident, type, inputs[0].key, max(e.ts for e in inputs), lone, members, None, wait)

    lone_l = [l for l in ls if not any(partners(l, r) for r in rs)]
    lone_r = [r for r in rs if not any(partners(l, r) for l in ls)]
    rows = []
    if kind in ("inner", "left", "right", "outer"):
        rows += [row(MATCHED, None, l, r) for l in ls for r in rs if partners(l, r)]
    if kind in ("left", "outer", "anti"):
        rows += [row(UNMATCHED, left, l, None) for l in lone_l]
    if kind in ("right", "outer"):
        rows += [row(UNMATCHED, right, None, r) for r in lone_r]
    if kind == "semi":
        rows += [row(MATCHED, None, l, None) for l in ls if l not in lone_l]
    return rows


def interval(name: str, live: Live, kind: str, before: int, after: int) -> list[Row]:
    """All pairs with `l.ts - before <= r.ts <= l.ts + after`."""
    left, right = live

    def waits(side: str, event: Any) -> Waits:
        return ((right, event.ts + after),) if side == left else ((left, event.ts + before),)

    def partners(l: Any, r: Any) -> bool:
        return bool(l.ts - before <= r.ts <= l.ts + after)

    return pairing(name, "interval", live, kind, partners, waits)


# ---------------------------------------------------------------- windows


def tumbling(size: int) -> Callable[[Iterable[int]], list[Window]]:
    """Windows `[n * size, (n + 1) * size)`."""
    return hopping(size, size)


def hopping(size: int, advance: int) -> Callable[[Iterable[int]], list[Window]]:
    """Every `[n * advance, n * advance + size)` that contains one of the ts."""

    def windows(stamps: Iterable[int]) -> list[Window]:
        low, high = (lambda ts: (ts - size) // advance), (lambda ts: ts // advance)
        starts = {
            n * advance
            for ts in stamps
            for n in range(low(ts), high(ts) + 1)
            if n * advance <= ts < n * advance + size
        }
        return sorted((start, start + size) for start in starts)

    return windows


def session(gap: int) -> Callable[[Iterable[int]], list[Window]]:
    """`[first, last + 1)` of every run of ts that are at most `gap` apart."""

    def windows(stamps: Iterable[int]) -> list[Window]:
        runs: list[list[int]] = []
        for ts in sorted(stamps):
            if runs and ts - runs[-1][-1] <= gap:
                runs[-1].append(ts)
            else:
                runs.append([ts])
        return [(run[0], run[-1] + 1) for run in runs]

    return windows


def cut(live: Live, window: Window) -> dict[str, list[Any]]:
    """The live events of each side in the window, by (ts, id)."""
    start, end = window
    return {
        side: sorted((e for e in events if start <= e.ts < end), key=order)
        for side, events in live.items()
    }


def stamps(live: Live) -> list[int]:
    """The ts of every live event of every side."""
    return [e.ts for events in live.values() for e in events]


def product(
    name: str, live: Live, kind: str, windows: Windows, gap: int | None = None, hops: bool = False
) -> list[Row]:
    """For each window, all pairs in it; `gap` of a session, `hops` for a hopping window."""
    rows = []
    left, right = live
    other = {left: right, right: left}
    for window in windows(stamps(live)):
        last = window[1] - 1 + (gap or 0)

        def waits(side: str, event: Any, last: int = last) -> Waits:
            # A partner comes from the other side; a session grows by either.
            return ((left, last), (right, last)) if gap is not None else ((other[side], last),)

        start = window[0] if hops else None
        inside = cut(live, window)
        rows += pairing(name, "window", inside, kind, lambda l, r: True, waits, start)
    return rows


def group(name: str, live: Live, kind: str, windows: Windows, gap: int = 0) -> list[Row]:
    """One record a window with the tuple of every side, by (ts, id)."""
    rows = []
    for start, end in windows(stamps(live)):
        inside = cut(live, (start, end))
        if kind == "inner" and not all(inside.values()):
            continue
        if kind == "left" and not next(iter(inside.values())):
            continue
        key = next(e.key for events in inside.values() for e in events)
        members = {side: tuple(map(plain, events)) for side, events in inside.items()}
        waits = tuple((side, end - 1 + gap) for side in live)
        ident = identity(name, "window", MATCHED, key, start, end)
        rows.append(Row(ident, MATCHED, key, end - 1, None, members, None, waits))
    return rows


# ---------------------------------------------------------------- as-of, lookup


def as_of_of(l: Any, rs: Iterable[Any], tolerance: float) -> Any:
    """The r of greatest (ts, id) with `l.ts - tolerance <= r.ts <= l.ts`, or None."""
    return max((r for r in rs if l.ts - tolerance <= r.ts <= l.ts), key=order, default=None)


def version_of(l: Any, versions: Iterable[Any]) -> Any:
    """The version of greatest (valid_from, id) that is valid at l.ts, or None; None deletes."""
    valid = [v for v in versions if v.ts <= l.ts and not ended(v, l.ts)]
    found = max(valid, key=order, default=None)
    return None if found is None or found.value is None else found


def ended(version: Any, ts: int) -> bool:
    """True when the version's `valid_to` is at or below ts."""
    until = version.value.get("valid_to") if isinstance(version.value, Mapping) else None
    return until is not None and until <= ts


def choosing(
    name: str, join: str, live: Live, kind: str, choose: Callable[[Any, list[Any]], Any]
) -> list[Row]:
    """Each l with the r that `choose(l, rs)` names."""
    (left, ls), (right, rs) = live.items()
    rows = []
    for l in ls:
        r = choose(l, rs)
        type = MATCHED if r else UNMATCHED
        if kind not in {MATCHED: ("inner", "left", "semi"), UNMATCHED: ("left", "anti")}[type]:
            continue
        r = None if kind == "semi" else r
        ident = identity(name, join, type, l.id, r and r.id)
        members = {left: plain(l), right: r and plain(r)}
        side = left if type == UNMATCHED else None
        rows.append(Row(ident, type, l.key, l.ts, side, members, None, ((right, l.ts),)))
    return rows


def as_of(name: str, live: Live, kind: str, tolerance: float) -> list[Row]:
    """Each l with the r of greatest (ts, id) not after it and at most `tolerance` before it."""
    return choosing(name, "asof", live, kind, lambda l, rs: as_of_of(l, rs, tolerance))


def lookup(name: str, live: Live, kind: str) -> list[Row]:
    """Each l with the version of the table that is valid at its ts."""
    return choosing(name, "lookup", live, kind, version_of)


# ---------------------------------------------------------------- n-way, fold, aggregates


def n_way(name: str, live: Live, driver: str, sides: Mapping[str, tuple[Any, ...]]) -> list[Row]:
    """For each event of the driver the partners of every other side, each by its own rule.

    A rule is `("as_of", tolerance)`, `("lookup",)` or `("interval", before, after)`.
    """
    rows = []
    for d in live[driver]:
        members: dict[str, Any] = {}
        waits = []
        for side in live:
            if side == driver:
                members[side] = plain(d)
                continue
            members[side], until = partner_of(d, live[side], *sides[side])
            waits.append((side, until))
        ident = identity(name, "nway", MATCHED, d.id)
        rows.append(Row(ident, MATCHED, d.key, d.ts, None, members, None, tuple(waits)))
    return rows


def partner_of(d: Any, others: list[Any], rule: str, *args: Any) -> tuple[Any, float]:
    """What one side of an n-way join gives to d, and the instant until which that may change."""
    if rule == "interval":
        before, after = args
        found = [e for e in others if d.ts - before <= e.ts <= d.ts + after]
        return tuple(map(plain, sorted(found, key=order))) or None, d.ts + after
    one = as_of_of(d, others, *args) if rule == "as_of" else version_of(d, others)
    return one and plain(one), d.ts


Function = Callable[[list[tuple[str, Any]]], Any]


def fold(
    name: str, live: Live, function: Function, horizon: float = INF, known: Iterable[int] = ()
) -> list[Row]:
    """The function of the key's live events of all sides by (ts, id); None is no row.

    ``known``: the ts of every id of the key that was ever live; a pause of more than ``horizon``
    between two of them begins the key anew.
    """
    events = [(side, e) for side, events in live.items() for e in events]
    events.sort(key=lambda pair: order(pair[1]))  # stable: of equals, the earlier side first
    times = sorted({*known, *(e.ts for _, e in events)})
    pauses = [after for before, after in pairwise(times) if after - before > horizon]
    events = [pair for pair in events if pair[1].ts >= max(pauses, default=-INF)]
    value = function(events) if events else None
    if value is None:
        return []
    key, ts = events[-1][1].key, events[-1][1].ts
    return [Row(identity(name, "fold", MATCHED, key), MATCHED, key, ts, None, {}, value)]


def aggregate(
    name: str, live: Live, windows: Windows, numbers: Mapping[str, Sequence[str]], gap: int = 0
) -> list[Row]:
    """For each window ``{name: number}``; a number is ("count",), ("sum", field), min or max.

    A value without the field, or with None in it, does not count; the least of nothing is None.
    """
    rows = []
    for row in group(name, live, "outer", windows, gap):
        values = [e[3] for events in row.members.values() for e in events]
        said = {label: number_of(values, *number) for label, number in numbers.items()}
        rows.append(row._replace(members={}, value=said))
    return rows


def number_of(values: list[Any], function: str, field: str = "") -> Any:
    """One aggregate over the values of a window."""
    if function == "count":
        return len(values)
    found = [value[field] for value in values if value.get(field) is not None]
    if function == "sum":
        return sum(found)
    return {"min": min, "max": max}[function](found, default=None)  # type: ignore[operator]
