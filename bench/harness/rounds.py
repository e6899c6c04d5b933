"""Runs contenders in turn, several rounds, so that a busy minute hits all of them alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Protocol

import msgspec

from bench.harness.ground import Ground
from bench.harness.process import Outcome
from bench.harness.progress import say
from bench.harness.stats import Spread, spread

Figures = dict[str, Any]
Results = dict[str, dict[str, Figures]]
"""Contender, case, figures."""
WARM = "warm_rate"
"""The rate of the second half of the input, where a contender notes it."""


class Bench(Protocol):
    """One bench: its input, its contenders, its oracle."""

    name: str
    about: str
    cases: Sequence[str]
    contenders: Sequence[str]
    baselines: Mapping[str, float]
    """Contender, or contender/case, to the goal of ours: this many times its rate."""

    def __init__(self, ground: Ground, quick: bool = False) -> None: ...

    def prepare(self, case: str, contenders: Sequence[str]) -> None:
        """Load the input of a case."""

    def run(self, case: str, contender: str) -> Figures:
        """Run a contender once, check its output, return the figures of the round."""


class Measured(msgspec.Struct, frozen=True):
    """All rounds of a bench."""

    rounds: dict[str, dict[str, list[Figures]]]
    """Contender, case, the figures of each round."""

    def spreads(self, contender: str, case: str) -> dict[str, Spread]:
        """By figure, median and extremes over the rounds."""
        rows = self.rounds[contender][case]
        names = dict.fromkeys(name for row in rows for name in row)
        return {name: spread([row[name] for row in rows if name in row]) for name in names}

    def ratio(self, case: str, contender: str, figure: str) -> float:
        """How many times a contender's figure ours is: the median of what it is in each round.

        What the machine does to one round it does to both of them, so this moves less than the
        ratio of two medians, of which each may be of another round.
        """
        rounds = zip(self.rounds["ours"][case], self.rounds[contender][case], strict=True)
        both = [(ours, other) for ours, other in rounds if figure in ours and figure in other]
        found: float = median(ours[figure] / other[figure] for ours, other in both)
        return found

    def results(self) -> Results:
        """The medians."""
        return {
            contender: {case: self._medians(contender, case) for case in cases}
            for contender, cases in self.rounds.items()
        }

    def _medians(self, contender: str, case: str) -> Figures:
        spreads = self.spreads(contender, case)
        return {name: _rounded(found.median) for name, found in spreads.items()}


def measure(bench: Bench, cases: Sequence[str], contenders: Sequence[str], rounds: int) -> Measured:
    """Run every contender in every case, interleaved.

    Raises WrongResult for the first wrong output, before any rate is told.
    """
    found: dict[str, dict[str, list[Figures]]] = {contender: {} for contender in contenders}
    for case in cases:
        able = [name for name in contenders if f"{name}/{case}" not in reasons(bench)]
        for contender in able:
            found[contender][case] = []
        say(f"{bench.name} {case}: loading the input")
        bench.prepare(case, able)
        for number in range(rounds):
            for contender in turned(able, number):
                found[contender][case].append(bench.run(case, contender))
                say(f"{bench.name} {case}: round {number + 1} of {rounds}, {contender} is done")
    return Measured(found)


def reasons(bench: Bench) -> Mapping[str, str]:
    """Why a contender has no run in a case: ``contender/case`` to the reason."""
    found: Mapping[str, str] = getattr(bench, "cannot", {})
    return found


def turned(contenders: Sequence[str], by: int) -> list[str]:
    """The contenders, beginning with another one each round.

    >>> turned(["a", "b", "c"], 1)
    ['b', 'c', 'a']
    """
    start = by % max(len(contenders), 1)
    return [*contenders[start:], *contenders[:start]]


def figures_of(outcome: Outcome) -> Figures:
    """The figures of a contender that worked through an input."""
    found = {"rate": outcome.rate, "cpu_us_per_event": outcome.cpu_us_per_event}
    return found | {name: outcome.more[name] for name in (WARM,) if name in outcome.more}


def _rounded(value: float) -> float:
    return round(value) if abs(value) >= 1000 else round(value, 2)
