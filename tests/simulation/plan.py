"""Who decides what happens next: a seed, or a list of choices that is played in every order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from random import Random
from typing import NamedTuple


class Action(NamedTuple):
    """Something that may happen now."""

    kind: str
    words: str
    do: Callable[[], None]


class Plan:
    """Decides; ``calm`` ends all faults, so that the run can come to its end."""

    calm = False

    @property
    def spent(self) -> bool:
        """Whether there will be no more faults, calm or not."""
        raise NotImplementedError

    def go_on(self) -> bool:
        """At a point of an owner: whether it just goes on."""
        raise NotImplementedError

    def choose(self, actions: Sequence[Action]) -> Action:
        """What happens next."""
        raise NotImplementedError

    def small(self, many: int) -> int:
        """A number below ``many``: how much, or which."""
        raise NotImplementedError

    def rarely(self, what: str) -> bool:
        """Whether a fault happens that may happen here."""
        raise NotImplementedError


WEIGHTS = {
    "run": 10.0, "beside": 3.0, "source": 3.0, "mark": 3.0, "send": 1.5, "wire": 0.5,
    "restart": 4.0, "thaw": 1.0, "let_go": 0.5, "clean": 0.7,
    "crash": 1.0, "power": 0.3, "freeze": 1.5, "group": 2.5, "expire": 0.5, "day": 0.5,
    "regroup": 0.2,
}  # fmt: skip
FAULTS = frozenset({"crash", "power", "freeze", "group", "expire", "day", "regroup"})


class Seeded(Plan):
    """Decides by a seed, with tastes of its own: some runs crash often, some freeze, some hurry."""

    def __init__(self, seed: int, often: Collection[str] = ()) -> None:
        """``often``: kinds of what happens that are to happen more often."""
        self.random = Random(seed)
        draw = self.random.random
        self.go_on_share = self.random.choice((0.3, 0.6, 0.9))
        self.faults = self.random.randrange(2, 20)
        self.fault_share = self.random.choice((0.03, 0.1, 0.2))
        self.weights = {k: w * self.random.choice((0.3, 1, 1, 3)) for k, w in WEIGHTS.items()}
        self.weights |= {kind: 4 * self.weights[kind] for kind in often if kind in WEIGHTS}
        self.rare = self.random.choice((0.0, 0.05, 0.2)) + 0.2 * ("rare" in often)
        self._draw = draw

    @property
    def spent(self) -> bool:
        return not self._may()

    def go_on(self) -> bool:
        return self._draw() < (0.98 if self.calm else self.go_on_share)

    def choose(self, actions: Sequence[Action]) -> Action:
        faults = [a for a in actions if a.kind in FAULTS]
        others = [a for a in actions if a.kind not in FAULTS]
        strikes = faults and self._may() and (not others or self._draw() < self.fault_share)
        allowed = faults if strikes else others
        weights = [self.weights[a.kind] for a in allowed]
        found = self.random.choices(allowed, weights)[0]
        self.faults -= found.kind in FAULTS
        return found

    def _may(self) -> bool:
        return self.faults > 0 and not self.calm

    def small(self, many: int) -> int:
        return int(self._draw() * many)

    def rarely(self, what: str) -> bool:
        if self._may() and self._draw() < self.rare:
            self.faults -= 1
            return True
        return False


class Listed(Plan):
    """Plays a list of choices, then the first of what there is; keeps how many there were.

    Everything that is not simply going on costs one of ``deviations``; when none is left, there is no
    choice any more. So the lists that ``next_list`` gives are all orders with so many deviations.
    """

    def __init__(self, choices: Sequence[int], deviations: int, kinds: frozenset[str]) -> None:
        self.given, self.left, self.kinds = list(choices), deviations, kinds
        self.made: list[tuple[int, int]] = []
        """What was chosen, of how many."""

    @property
    def spent(self) -> bool:
        return self.calm or self.left == 0

    def _pick(self, many: int) -> int:
        if self.left == 0 or self.calm or many < 2:
            return 0
        at = len(self.made)
        found = self.given[at] if at < len(self.given) else 0
        self.made.append((found, many))
        self.left -= found > 0
        return found

    def go_on(self) -> bool:
        return self._pick(2) == 0

    def choose(self, actions: Sequence[Action]) -> Action:
        allowed = [a for a in actions if a.kind in ("run", "restart", "source") or self._may(a)]
        return allowed[self._pick(len(allowed))]

    def _may(self, action: Action) -> bool:
        return not self.calm and action.kind in self.kinds and self.left > 0

    def small(self, many: int) -> int:
        return many - 1

    def rarely(self, what: str) -> bool:
        return what in self.kinds and self._pick(2) == 1

    def next_list(self) -> list[int] | None:
        """The choices of the next run in order; None after the last."""
        made = list(self.made)
        while made:
            found, many = made.pop()
            if found + 1 < many:
                return [choice for choice, _ in made] + [found + 1]
        return None
