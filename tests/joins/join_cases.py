"""Every join twice: as the product has it, and as the definition says it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import reference as ref
from reference_time import Define, Rules

from joins import (
    AsOf,
    AsOfJoin,
    Count,
    Fold,
    Hopping,
    Interval,
    IntervalJoin,
    Join,
    Lookup,
    LookupJoin,
    Max,
    Min,
    NWayJoin,
    Session,
    Sum,
    Tumbling,
    WindowAggregate,
    WindowJoin,
)

PAIR_KINDS = ("inner", "left", "right", "outer", "semi", "anti")
CHOICE_KINDS = ("inner", "left", "semi", "anti")
GROUP_KINDS = ("inner", "left", "outer")
EMITS = ("final", "eager")


@dataclass(frozen=True)
class Case:
    """A join and its definition."""

    join: Join
    define: Define
    tables: frozenset[str] = frozenset()
    horizon: int | None = None
    """How long a version may correct, beyond the times of every join (lookup, n-way)."""
    waits: int = 0
    """How much longer than a retract's time an event of the first side is kept (n-way)."""
    alternates: bool = True
    echoes: bool = False
    """Whether a result may be said again when the events behind it change, and its value not."""
    declared: frozenset[str] = field(default_factory=frozenset)

    def rules(self, declared: frozenset[str] = frozenset()) -> Rules:
        """The definition, with the times of the join."""
        join = self.join
        grace, lateness = per_side(join.grace, join.sides), per_side(join.lateness, join.sides)
        undo = join.undo_grace
        kept = None if self.horizon is None else max(self.horizon, undo + self.waits)
        return Rules(
            self.define, join.sides, join.emit, lateness, grace, undo, declared, self.tables, kept
        )


def per_side(value: int | Mapping[str, int], sides: tuple[str, ...]) -> dict[str, int]:
    """A time of every side, 0 where a mapping has none."""
    return {side: value if isinstance(value, int) else value.get(side, 0) for side in sides}


def interval(before: int = 5, after: int = 7, **common: Any) -> Case:
    """Pairs near each other."""
    join = IntervalJoin(before=before, after=after, **common)
    return Case(join, lambda live, known: ref.interval(join.name, live, join.kind, before, after))


def windows_of(windows: Any) -> tuple[ref.Windows, int | None, bool]:
    """The windows as the definition has them; the gap of a session; whether they hop."""
    if isinstance(windows, Session):
        return ref.session(windows.gap), windows.gap, False
    if isinstance(windows, Hopping):
        return ref.hopping(windows.size, windows.advance), None, True
    return ref.tumbling(windows.size), None, False


def product(windows: Any = None, **common: Any) -> Case:
    """Every pair of a window."""
    windows = windows or Tumbling(size=10)
    cut, gap, hops = windows_of(windows)
    join = WindowJoin(windows=windows, mode="product", **common)
    return Case(join, lambda live, known: ref.product(join.name, live, join.kind, cut, gap, hops))


def group(windows: Any = None, **common: Any) -> Case:
    """One record a window."""
    windows = windows or Tumbling(size=10)
    cut, gap, _ = windows_of(windows)
    join = WindowJoin(windows=windows, **common)
    return Case(join, lambda live, known: ref.group(join.name, live, join.kind, cut, gap or 0))


NUMBERS: dict[str, tuple[str, ...]] = {
    "n": ("count",),
    "s": ("sum", "v"),
    "lo": ("min", "v"),
    "hi": ("max", "v"),
}
"""Over values that are mappings."""


def aggregate(windows: Any = None, **common: Any) -> Case:
    """Numbers of a window."""
    windows = windows or Tumbling(size=10)
    cut, gap, _ = windows_of(windows)
    join = WindowAggregate(
        windows=windows,
        aggregates={"n": Count(), "s": Sum("v"), "lo": Min("v"), "hi": Max("v")},
        **common,
    )
    return Case(
        join,
        lambda live, known: ref.aggregate(join.name, live, cut, NUMBERS, gap or 0),
        echoes=True,
    )


def asof(tolerance: int = 9, **common: Any) -> Case:
    """The last one before."""
    join = AsOfJoin(tolerance=tolerance, **common)
    return Case(join, lambda live, known: ref.as_of(join.name, live, join.kind, tolerance))


def lookup(horizon: int = 1000, **common: Any) -> Case:
    """The version of its time."""
    join = LookupJoin(horizon=horizon, **common)
    table = frozenset({"right"})
    return Case(
        join,
        lambda live, known: ref.lookup(join.name, live, join.kind),
        tables=table,
        horizon=horizon,
        declared=table if join.emit == "final" else frozenset(),
    )


RULES: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    AsOf: lambda rule: ("as_of", rule.tolerance),
    Lookup: lambda rule: ("lookup",),
    Interval: lambda rule: ("interval", rule.before, rule.after),
}


def nway(rules: Mapping[str, Any] | None = None, **common: Any) -> Case:
    """The driver's events with the partners of every side."""
    rules = rules or {
        "near": Interval(before=5, after=7),
        "price": AsOf(tolerance=9),
        "right": Lookup(horizon=1000),
    }
    join = NWayJoin(driver="left", sides=rules, **common)
    plain = {side: RULES[type(rule)](rule) for side, rule in rules.items()}
    tables = frozenset(side for side, rule in rules.items() if isinstance(rule, Lookup))
    horizons = [rule.horizon for rule in rules.values() if isinstance(rule, Lookup)]
    waits = [max(rule.after, 0) for rule in rules.values() if isinstance(rule, Interval)]
    return Case(
        join,
        lambda live, known: ref.n_way(join.name, live, "left", plain),
        tables=tables,
        horizon=max(horizons, default=None),
        waits=max(waits, default=0),
        declared=tables if join.emit == "final" else frozenset(),
    )


def fold(function: Any = None, horizon: int = 1000, **common: Any) -> Case:
    """A function of all that is known of a key."""
    function = function or history
    join = Fold(function=function, horizon=horizon, **common)
    return Case(
        join,
        lambda live, known: ref.fold(join.name, live, function, horizon, known),
        alternates=horizon >= 1000,
    )


def history(events: list[Any]) -> Any:
    """Says in order what it was given; no row when it begins with a right event."""
    return None if events[0][0] == "right" else [(side, e.id, e.value) for side, e in events]


def everything(events: list[Any]) -> Any:
    """Says in order what it was given."""
    return [(side, e.id, e.value) for side, e in events]


THREE = ("left", "middle", "right")
WINDOWS: dict[str, Any] = {
    "tumbling": Tumbling(size=7),
    "hopping": Hopping(size=9, advance=4),
    "sparse": Hopping(size=4, advance=6),
    "session": Session(gap=5),
    "moment": Session(gap=0),
}

Maker = Callable[..., Case]
MAKERS: dict[str, Maker] = {
    **{f"interval-{kind}": partial(interval, kind=kind) for kind in PAIR_KINDS},
    **{f"after-{kind}": partial(interval, -3, 9, kind=kind) for kind in ("inner", "outer", "anti")},
    **{f"before-{kind}": partial(interval, 9, -3, kind=kind) for kind in ("left", "outer", "semi")},
    **{
        f"product-{name}-{kind}": partial(product, windows, kind=kind)
        for name, windows in WINDOWS.items()
        for kind in (PAIR_KINDS if name in ("tumbling", "hopping", "session") else ("outer",))
    },
    **{
        f"group-{name}-{kind}": partial(group, windows, kind=kind, sides=THREE)
        for name, windows in WINDOWS.items()
        for kind in (GROUP_KINDS if name in ("tumbling", "session") else ("outer",))
    },
    **{f"asof-{kind}": partial(asof, kind=kind) for kind in CHOICE_KINDS},
    **{f"lookup-{kind}": partial(lookup, kind=kind) for kind in CHOICE_KINDS},
    "lookup-short": partial(lookup, 6, kind="left"),
    "nway": nway,
    "nway-short": partial(nway, {"right": Lookup(horizon=6), "near": Interval(before=-1, after=9)}),
    "fold": fold,
    "fold-anew": partial(fold, everything, 6),
    **{
        f"aggregate-{name}": partial(aggregate, WINDOWS[name], sides=("left", "right"))
        for name in ("tumbling", "hopping", "session")
    },
}
"""Name -> what makes the case, given ``emit`` and times: every join, kind and sort of window."""

PLAIN_VALUES: tuple[Any, ...] = (0, 1)
NUMBER_VALUES: tuple[Any, ...] = ({}, {"v": -3}, {"v": 2}, {"v": 2, "w": 1}, {"v": None})
VERSIONS: tuple[Any, ...] = (
    None,
    {"n": 1},
    {"n": 2, "valid_to": None},
    *({"n": 3, "valid_to": end} for end in (0, 4, 9, 17, 30)),
)


def values_of(name: str) -> tuple[Any, ...]:
    """What the events of a case may say."""
    if name.startswith("aggregate"):
        return NUMBER_VALUES
    return VERSIONS if name.startswith(("lookup", "nway")) else PLAIN_VALUES
