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
    rests = False
    """Whether there are no more faults once there is nothing else to do."""

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
    "crash": 1.0, "power": 0.3, "freeze": 1.5, "group": 2.5, "expire": 3.0, "day": 0.5,
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
        idle = all(a.kind == "clean" for a in others)
        strikes = faults and self._may() and (idle or self._draw() < self.fault_share)
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
    """Plays a list of choices, then goes on without any; keeps how many there were to choose from.

    Where there is a choice, one of ``kinds`` may happen instead of what comes by itself: that many
    ``deviations``, each at every point. ``next_list`` leads through all of these runs.
    """

    def __init__(self, choices: Sequence[int], deviations: int, kinds: frozenset[str]) -> None:
        self.given, self.left, self.kinds = list(choices), deviations, kinds
        self.made: list[tuple[int, int]] = []
        """What was chosen, of how many."""
        self._paused, self.rests = False, True

    @property
    def spent(self) -> bool:
        return self.calm or self.left == 0

    def _pick(self, many: int) -> int:
        if many < 2:
            return 0
        at = len(self.made)
        found = self.given[at] if at < len(self.given) else 0
        self.made.append((found, many))
        return found

    def _deviates(self, many: int) -> int:
        """0, or which one of so many others happens now."""
        found = 0 if self.spent else self._pick(many + 1)
        self.left -= found > 0
        return found

    def go_on(self) -> bool:
        self._paused = self._deviates(1) == 1
        return not self._paused

    def choose(self, actions: Sequence[Action]) -> Action:
        others = [a for a in actions if a.kind in self.kinds]
        usual = [a for a in actions if a.kind not in FAULTS and a.kind != "clean"]
        if self._paused and others:
            self._paused = False
            return others[self._pick(len(others))]
        which = self._deviates(len(others))
        first = next((a for a in usual if a.kind == "mark"), usual[0])
        return others[which - 1] if which else first

    def small(self, many: int) -> int:
        return many - 1

    def rarely(self, what: str) -> bool:
        return what in self.kinds and self._deviates(1) == 1

    def next_list(self) -> list[int] | None:
        """The choices of the next run in order; None after the last."""
        made = list(self.made)
        while made:
            found, many = made.pop()
            if found + 1 < many:
                return [choice for choice, _ in made] + [found + 1]
        return None
