"""State of an older version of a step made that of this one, by the step's own functions.

::

    changelog   entries of version 1, position says 1 | entries of version 2, position says 2
                                                        one transaction: all of it, or nothing

A task reads its changelog to the end, changes the entries in memory, and its next checkpoint writes
all of them together with the position that names the new version. Until that is committed the
changelog is of the old version, so a crash at any moment means that it is done again from there.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from streams.engine.guard import attempt

if TYPE_CHECKING:
    from joins.state import Key
    from streams.engine.step import Step, Upgrade
    from streams.engine.stores import Scope, TaskStore

REMEDY = (
    "run the version that wrote it, give the step `upgrades`, or make its state anew beside this "
    "one: `streams replay plan NAME` (docs/how-to/replay.md)"
)


class UpgradeFailed(RuntimeError):
    """A function of ``Step.upgrades`` failed; nothing was written."""


def upgrades_from(step: Step, known: int) -> list[Upgrade] | None:
    """The functions that lead from version ``known`` to the step's, in order; None: there is a gap.

    >>> from streams.engine.step import Step
    >>> step = Step("s", (), (), lambda *_: None, version=3, upgrades={2: lambda key, value: value})
    >>> [upgrades_from(step, known) is None for known in (1, 2, 3, 4)]
    [True, False, False, True]
    """
    if known > step.version:
        return None
    found = [step.upgrades.get(version) for version in range(known, step.version)]
    return None if None in found else [upgrade for upgrade in found if upgrade is not None]


def upgrade(store: TaskStore, step: Step, known: int) -> int:
    """Bring a step's entries from version ``known`` to its own; how many changed.

    They are written with the next checkpoint. Raises UpgradeFailed.
    """
    scope, changed = store.scope(step.name), 0
    for function in upgrades_from(step, known) or ():
        made = _Changed(scope)
        error = attempt(partial(made.work_out, function))
        if error is not None:
            raise UpgradeFailed(f"step {step.name}, state of version {known}: {error!r}") from error
        changed += made.write()
        store.settle()
    return changed


class _Changed:
    """The entries of a step that are not what they were: worked out first, then written."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._entries: dict[Key, Any] = {}
        self._plain: dict[tuple[str, Any], Any] = {}

    def work_out(self, function: Upgrade) -> None:
        """Ask the step's function; changes nothing."""
        plain = [((n, k), v) for n, t in self._scope.plain.items() for k, v in t.items()]
        self._entries = _differing(self._scope.scan(()), function)
        self._plain = _differing(plain, function)

    def write(self) -> int:
        """Write what was worked out; how many entries."""
        dues = self._scope.dump().dues if self._entries else {}
        for key, value in self._entries.items():
            self._scope.put(key, value, dues.get(key))
        for (table, own), value in self._plain.items():
            self._scope.table(table)[own] = value
        return len(self._entries) + len(self._plain)


def _differing(entries: Iterable[tuple[Any, Any]], function: Upgrade) -> dict[Any, Any]:
    found = ((key, value, function(key, value)) for key, value in entries)
    return {key: new for key, old, new in found if new != old}
