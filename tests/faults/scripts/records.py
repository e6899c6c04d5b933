"""What is wrong with the input: the load itself is the fault."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise

from tests.faults.arena import Arena
from tests.faults.crew import Failed, until
from tests.faults.inputs import PARTITIONS, STRUCK
from tests.faults.oracle.reading import Topics
from tests.faults.tail import WRITER

STORM_MS = 5000
"""How long of a storm is judged."""
SILENT_MS = 4000
"""What a task may be silent for in any case: the soak has seen three seconds without a storm."""
SHARE = 3
"""A task that gives less than this part of what it gave before a storm is slowed by it."""


def just_load(arena: Arena) -> None:
    """Nothing else is broken."""
    until("the load has ended", lambda: arena.loaded, arena.shape.seconds * 4 + 120)


def kill_once(arena: Arena) -> None:
    """The same with one ``kill -9`` in the middle."""
    arena.pause(arena.shape.seconds * 0.3, arena.shape.seconds * 0.6)
    arena.kill()
    just_load(arena)


def storm(arena: Arena) -> None:
    """A partition gets nothing but poison; the others go on. Then a ``kill -9`` in the storm.

    ::

        struck   |--------|xxxxxxxxxxxxxxxxxxxxxxxx|----->
        others   |--------|<--- judged --->|------------->
        worker   |---------------------------| |--------->
    """
    until("the storm begins", lambda: arena.tail.net["dead_letters"] or arena.loaded)
    if arena.loaded:
        raise Failed("the load was over before its storm was seen")
    time.sleep(STORM_MS / 1000)
    arena.pause(1, 2)  # what a transaction still has open is not judged
    arena.kill()
    just_load(arena)
    since, spoken = _said(arena)
    slow = [words for task in spoken if (words := slowed(spoken[task], since))]
    silent = max(silence(spoken[task], since, since + STORM_MS) for task in spoken)
    arena.outcome.notes.append(f"in the storm no other partition was silent for {silent} ms")
    if slow or len(spoken) < PARTITIONS - 1:
        raise Failed(f"the storm slows the good of {sorted(spoken)}: {slow}")


def _said(arena: Arena) -> tuple[int, dict[int, list[int]]]:
    """When the first dead letter was written, and when each task that is not struck gave tallies.

    By the timestamps of their records (ms).
    """
    spoken: defaultdict[int, list[int]] = defaultdict(list)
    with closing(Topics(arena.bootstrap)) as topics:
        since = min(letter.timestamp()[1] for letter in topics.messages("dead_letters"))
        for message in topics.messages("fault.tallies"):
            writer = dict(message.headers() or ()).get(WRITER)
            if writer is not None and message.value() is not None:
                _, _, task, _ = writer.decode().rsplit("/", 3)
                spoken[int(task)].append(message.timestamp()[1])
    return since, {task: sorted(moments) for task, moments in spoken.items() if task != STRUCK}


def slowed(moments: Sequence[int], since: int) -> str:
    """How a task that gave outputs at these moments was slowed by a storm; nothing where not.

    Judged by what it did before, so that a slow machine is not taken for a slow task.
    """
    before = [moment for moment in moments if moment < since]
    during = [moment for moment in moments if since <= moment < since + STORM_MS]
    if not before:
        return "nothing came before the storm"
    usual = len(before) * STORM_MS / (since - before[0])
    silent = silence(moments, since, since + STORM_MS)
    most = max(SILENT_MS, 3 * silence(moments, before[0], since))
    if silent <= most and len(during) * SHARE >= usual:
        return ""
    return f"{len(during)} outputs where {usual:.0f} are usual, none for {silent} ms"


def silence(moments: Sequence[int], since: int, until_ms: int) -> int:
    """The longest time between two of these moments, from one to another."""
    inside = [moment for moment in moments if since <= moment < until_ms]
    return max(later - sooner for sooner, later in pairwise([since, *inside, until_ms]))
