"""What waits for a checkpoint is counted in results and in bytes, and both bound it."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from schemas.envelope import Event
from schemas.wire import Codec
from streams import topics
from streams.engine.emit import Fan, Outbox, Pending
from streams.engine.guard import Letter
from streams.engine.mover import Place
from streams.engine.runner import Runner
from streams.engine.settings import EngineSettings
from streams.engine.topology import build
from tests.engine.world import OBSERVED, OUT, SETTINGS, T0, steps

EVENT = Event("id", "key", T0, "assert", None)


def one(number: int) -> Pending | Fan:
    """A result, a fan of three or a letter, with values of so many bytes in all."""
    value = b"x" * number
    if number % 3 == 0:
        return Pending(OUT, EVENT, value)
    if number % 3 == 1:
        return Pending(topics.dead_letters, Letter(b"key", value, []))
    return Fan(
        OUT, "step", EVENT, 1, False, [(0, "a", value[:2]), (1, "b", value[2:]), (2, "c", b"")]
    )


def test_its_size_is_that_of_what_waits_whatever_was_taken_back() -> None:
    """Adds, undone batches, checkpoints and failed ones in any order: the sum of what waits."""
    for seed in range(50):
        chance, outbox, number = random.Random(seed), Outbox(), 0
        expected: list[int] = []
        taken: tuple[list[Pending | Fan], list[int]] = [], []
        for _ in range(60):
            mark, held = outbox.mark(), list(expected)
            for _ in range(chance.randrange(5)):
                number += 1
                outbox.add(one(number))
                expected.append(number)
            deed = chance.randrange(4)
            if deed == 0:
                outbox.back(mark)
                expected = held
            elif deed == 1:
                taken, expected = (outbox.take(), expected), []
            elif deed == 2 and taken[1]:
                outbox.put_back(taken[0])
                taken, expected = ([], []), taken[1] + expected
            assert (len(expected), sum(expected)) == outbox.mark()


@pytest.mark.parametrize("limit", [{"max_pending": 2}, {"max_pending_bytes": 20}])
def test_a_task_with_more_reads_nothing_until_it_is_written(limit: dict[str, int]) -> None:
    """Three results of 9 bytes are too many by both settings, two are not."""
    settings: EngineSettings = msgspec.structs.replace(SETTINGS, partitions=1, **limit)
    topology = build(steps(OBSERVED))
    with ThreadPoolExecutor(1) as pool:
        runner = Runner(
            topology, topology.subs[0], 0, settings, Codec(), pool, pool, lambda event, facts: None
        )
    place, outbox = Place(OBSERVED.name, 0), runner.task.outbox
    for _ in range(2):
        outbox.add(Pending(OUT, EVENT, b"x" * 9))
    assert ([], []) == runner.skew()
    outbox.add(Pending(OUT, EVENT, b"x" * 9))
    assert ([place], []) == runner.skew()
    outbox.take()
    assert ([], [place]) == runner.skew()
    runner.tx.close()
