"""Compares what was found with the truth: lost, doubled, wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

from tests.faults.oracle.reading import Row
from tests.faults.oracle.truth import Place, Truth

MOST = 5
"""Examples that are kept of each kind."""
WHERE = {"dead_letters": "dl", "late_records": "late"}


class Verdict:
    """What is amiss, counted, with examples."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: defaultdict[str, list[str]] = defaultdict(list)
        self.checked: Counter[str] = Counter()
        """By what was looked at, how many things had to be there."""

    def note(self, kind: str, what: str) -> None:
        """Count one thing as lost, doubled or wrong."""
        self.counts[kind] += 1
        if len(self.examples[kind]) < MOST:
            self.examples[kind].append(what)

    @property
    def clean(self) -> bool:
        """Whether nothing is amiss."""
        return not self.counts

    def join(self, other: Verdict) -> Verdict:
        """Take in another one, too."""
        self.counts.update(other.counts)
        self.checked.update(other.checked)
        for kind, examples in other.examples.items():
            self.examples[kind] = [*self.examples[kind], *examples][:MOST]
        return self

    def __str__(self) -> str:
        words = ", ".join(f"{self.counts[kind]} {kind}" for kind in ("lost", "doubled", "wrong"))
        return f"{words}; {dict(self.examples)}" if self.counts else words

    # What is compared -----------------------------------------------------------------------------

    def contents(
        self, name: str, expected: Mapping[Any, Any], found: Iterable[tuple[Any, Any]]
    ) -> None:
        """Each identity with its content, once."""
        seen: dict[Hashable, Any] = {}
        self.checked[name] += len(expected)
        for identity, content in found:
            if identity in seen:
                self.note("doubled", f"{name} {identity}: {seen[identity]} and {content}")
            seen[identity] = content
        for identity, content in expected.items():
            if identity not in seen:
                self.note("lost", f"{name} {identity}: {content}")
            elif seen[identity] != content:
                self.note("wrong", f"{name} {identity}: {seen[identity]}, truly {content}")
        for identity in seen.keys() - expected.keys():
            self.note("wrong", f"{name} {identity}: {seen[identity]}, which nothing calls for")

    def live(self, name: str, rows: Sequence[Row]) -> list[Row]:
        """What an output topic asserts in the end; per id, assert and retract must alternate."""
        found: dict[str, Row] = {}
        for row in rows:
            if row.value is None:
                self.note("wrong", f"{name} {row.partition}/{row.offset} cannot be decoded")
            elif row.op == "assert":
                if row.id in found:
                    self.note("doubled", f"{name} {row.partition}/{row.offset}: {row.value}")
                found[row.id] = row
            elif found.pop(row.id, None) is None:
                self.note("doubled", f"{name} {row.partition}/{row.offset}: retract of nothing")
        return list(found.values())

    def chain(self, name: str, rows: Sequence[Row]) -> None:
        """Each output of a key must follow from the state that the one before it left."""
        state: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
        for row in rows:
            value = row.value or {}
            n, total = state[row.key]
            if row.op == "retract":
                state[row.key] = n - 1, total - value["amount_sat"]
                continue
            said = value["n"], value["sum_sat"]
            if said != (n + 1, total + value["amount_sat"]):
                self.note("wrong", f"{name} {row.partition}/{row.offset}: {value} after {n, total}")
            state[row.key] = said

    def aside(self, topic: str, expected: set[Place], messages: Iterable[Any]) -> None:
        """What was put aside, by where it came from."""
        sign = WHERE[topic]
        found = []
        for message in messages:
            headers = dict(message.headers() or ())
            place = [
                headers[f"{sign}.{name}"].decode() for name in ("topic", "partition", "offset")
            ]
            found.append(((place[0], int(place[1]), int(place[2])), True))
        self.contents(topic, dict.fromkeys(expected, True), found)


Read = Callable[[str], list[Row]]


def judge_tallies(verdict: Verdict, truth: Truth, read: Read) -> None:
    """The tally of each order."""
    tallies = verdict.live("tallies", read("fault.tallies"))
    said = [_said(row, "order", "account", "shop", "amount_sat", "n", "sum_sat") for row in tallies]
    verdict.contents("tallies", truth.tallies, [(row[0], row[1:]) for row in said])


def judge_met(verdict: Verdict, truth: Truth, read: Read) -> None:
    """The pairs."""
    met = verdict.live("met", read("fault.met"))
    pairs = [(_said(row, "order", "visit"), True) for row in met]
    verdict.contents("met", dict.fromkeys(truth.met, True), pairs)


def judge_shops(verdict: Verdict, truth: Truth, read: Read) -> None:
    """What the second task counts, and its windows."""
    rows = read("fault.shop_tallies")
    verdict.chain("shop_tallies", rows)
    said = [_said(r, "order", "shop", "amount_sat") for r in verdict.live("shop_tallies", rows)]
    verdict.contents("shop_tallies", truth.shops, [(row[0], row[1:]) for row in said])
    windows = verdict.live("shop_windows", read("fault.shop_windows"))
    said = [_said(row, "shop", "window_end_ts", "n", "sum_sat") for row in windows]
    verdict.contents("shop_windows", truth.windows, [(row[:2], row[2:]) for row in said])


def judge_state(verdict: Verdict, truth: Truth, entries: Mapping[tuple[Any, ...], Any]) -> None:
    """The state of the first task, as its changelog holds it."""
    found = [
        (key[2], tuple(value))
        for key, value in entries.items()
        if key[:2] == ("tally", "sum") and value != [0, 0]
    ]
    verdict.contents("state", truth.state, found)


def judge_rows(
    verdict: Verdict,
    truth: Truth,
    tallies: Iterable[tuple[Any, ...]],
    windows: Iterable[tuple[Any, ...]],
) -> None:
    """The rows of the sink's tables."""
    verdict.contents("sink tallies", truth.tallies, [(row[0], row[1:]) for row in tallies])
    verdict.contents("sink windows", truth.windows, [(row[:2], row[2:]) for row in windows])


def _said(row: Row, *fields: str) -> Any:
    value = row.value or {}
    return tuple(value[field] for field in fields)
