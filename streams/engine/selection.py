"""Which part of a topology an application runs, and under which id.

State keeps its name wherever it runs: changelogs and transactional ids are made from the base
application id and the sub-topology. What differs is the consumer group, so a deployment goes from
one worker with everything to one group a part, and back, and the state moves with it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

import msgspec

from streams.engine.topology import SubTopology, Topology, TopologyError

EXIT_TOPOLOGY = 6
EXIT_USAGE = 2
PART_SIGN = "."
"""Between the base application id and what is run of it; no sub-topology has one in its name."""


class WrongSelection(TopologyError):
    """What is to be run cannot be; ``cause`` and ``remedy`` are one line each."""

    def __init__(self, cause: str, remedy: str, code: int = EXIT_TOPOLOGY) -> None:
        super().__init__(f"{cause}: {remedy}")
        self.cause, self.remedy, self.code = cause, remedy, code


class Selection(msgspec.Struct, frozen=True):
    """What one application runs."""

    topology: Topology
    """Everything that is known: it tells who writes a topic, also where others run it."""
    run: tuple[SubTopology, ...]
    application: str
    """The application id that is used: the consumer group."""
    base: str
    """The application id that names changelogs and transactional ids."""
    module: str | None = None
    """The label of the module whose steps these are; None: the main job's."""
    called: str | None = None
    """The module by its own name, as ``--module`` takes it."""

    @property
    def names(self) -> tuple[str, ...]:
        """The sub-topologies that run."""
        return tuple(sub.name for sub in self.run)

    @property
    def part(self) -> Topology:
        """What runs, as a topology of its own."""
        return Topology(self.run)

    def shared_with(self, application: str) -> tuple[str, ...]:
        """The sub-topologies that another application of this base runs too, by its id."""
        if application == self.base:
            return self.names if self.module is None else ()
        if not application.startswith(self.base + PART_SIGN):
            return ()
        parts = set(application.removeprefix(self.base + PART_SIGN).split(PART_SIGN))
        known = {sub.name for sub in self.topology.subs}
        modules = tuple(f"{part}-" for part in sorted(parts - known))
        return tuple(
            name for name in self.names if name in parts or (modules and name.startswith(modules))
        )


def whole(topology: Topology, base: str) -> Selection:
    """Everything, under the base application id."""
    return Selection(topology, topology.subs, base, base)


def only(selection: Selection, steps: Sequence[str]) -> Selection:
    """The whole sub-topologies that contain ``steps``; raises WrongSelection.

    A sub-topology may be named itself. Naming all of them is the same as naming none.
    """
    named = [_home(selection.run, step) for step in steps]
    run = tuple(sub for sub in selection.run if sub in named)
    if not run or run == selection.run:
        return selection
    own = PART_SIGN.join((selection.base, *(sub.name for sub in run)))
    return msgspec.structs.replace(selection, run=run, application=own)


def _home(subs: Iterable[SubTopology], name: str) -> SubTopology:
    homes = {sub.name: sub for sub in subs} | {s.name: sub for sub in subs for s in sub.steps}
    if name in homes:
        return homes[name]
    near = difflib.get_close_matches(name, homes, 1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise WrongSelection(
        f"there is no step {name or '(empty name)'}",
        f"{hint}`streams topology` draws them all",
        EXIT_USAGE,
    )


def beside(main: Topology, own: Topology, base: str, label: str) -> Selection:
    """Somebody's own steps as sub-topologies of their own, beside the main job.

    They are named ``label-...``, so that state and writers have no name twice; the main job is
    known as the writer of what they read. Raises WrongSelection for a label of ours.
    """
    if label in {sub.name for sub in main.subs}:
        raise WrongSelection(
            f"a module cannot be named {label}, as a sub-topology is", "rename the module"
        )
    run = tuple(msgspec.structs.replace(sub, name=f"{label}-{sub.name}") for sub in own.subs)
    known = Topology((*main.subs, *run))
    return Selection(known, run, f"{base}{PART_SIGN}{label}", base, label)
