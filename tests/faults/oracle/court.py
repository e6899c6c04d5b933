"""Judging in processes of their own: reading takes long, and a process has one core.

Two judge what fits into memory, and two others, at their leisure, what does not.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing
from functools import cache, reduce
from typing import Any

from tests.faults.inputs import ORDERS, PARTITIONS, VISITS, Shape, written
from tests.faults.oracle.long import Found, Long, digests, judge_long
from tests.faults.oracle.reading import Topics
from tests.faults.oracle.truth import Truth, truth_of, unlike
from tests.faults.oracle.verdict import Verdict, judge_met, judge_shops, judge_state, judge_tallies

PROCESSES = 2
HALVES = [range(first, PARTITIONS, PROCESSES) for first in range(PROCESSES)]
PATIENT = 15
"""How nice those are that judge a long input: beside them other runs are under way."""


@cache
def _processes(nice: int = 0) -> ProcessPoolExecutor:
    # Spawned: a fork would take over the locks of librdkafka's threads.
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(PROCESSES, spawn, initializer=os.nice, initargs=(nice,))


class Unfit(Exception):
    """The input topics do not hold what was to be written."""

    @classmethod
    def unless(cls, unfit: list[str]) -> None:
        """Raise it where something differs."""
        if unfit:
            raise cls(f"the input is not what was to be written: {unfit[:3]}")


# An input that fits into memory ------------------------------------------------------------------


def truth_in(bootstrap: str, shape: Shape, retract_grace_ms: int) -> Future[tuple[int, Truth]]:
    """How many events the input holds, and what must come of them; raises Unfit, Unread."""
    return _processes().submit(_truth, bootstrap, shape, retract_grace_ms)


def _truth(bootstrap: str, shape: Shape, retract_grace_ms: int) -> tuple[int, Truth]:
    with closing(Topics(bootstrap)) as topics:
        rows = [row for name in (ORDERS, VISITS) for row in topics.rows(name)]
    Unfit.unless(unlike(list(written(shape)), rows))
    return len(rows), truth_of(rows, retract_grace_ms)


def verdict_on(bootstrap: str, truth: Truth, changelog: str) -> Verdict:
    """What the topics hold against the truth; raises Unread."""
    judges = (judge_tallies, judge_shops, judge_met)
    parts = [_processes().submit(_judged, judge, bootstrap, truth) for judge in judges]
    parts.append(_processes().submit(_judge_rest, bootstrap, truth, changelog))
    return reduce(Verdict.join, (part.result() for part in parts))


def _judged(judge: Callable[..., None], bootstrap: str, truth: Truth) -> Verdict:
    verdict = Verdict()
    with closing(Topics(bootstrap)) as topics:
        judge(verdict, truth, topics.rows)
    return verdict


def _judge_rest(bootstrap: str, truth: Truth, changelog: str) -> Verdict:
    verdict = Verdict()
    with closing(Topics(bootstrap)) as topics:
        judge_state(verdict, truth, topics.entries(changelog))
        verdict.aside("dead_letters", truth.dead, topics.messages("dead_letters"))
        verdict.aside("late_records", truth.late, topics.messages("late_records"))
    return verdict


# A long one --------------------------------------------------------------------------------------


def digests_of(shape: Shape) -> Future[dict[tuple[str, str], int]]:
    """What the input is to hold, worked out while it is written."""
    return _processes(PATIENT).submit(digests, shape)


def long_verdict(
    bootstrap: str,
    expected: Future[dict[tuple[str, str], int]],
    changelog: str,
    windows: list[tuple[Any, ...]],
) -> tuple[int, Verdict]:
    """The number of events, and what came of them; raises Unfit, Unread."""
    truths = _halves(_long_truth, bootstrap)
    found = _halves(_long_found, bootstrap)
    truth = reduce(Long.joined, (half.result() for half in truths))
    Unfit.unless(truth.unlike(expected.result()))
    rest = _processes(PATIENT).submit(_judge_rest, bootstrap, truth.rest, changelog)
    verdict = Verdict()
    judge_long(verdict, truth, reduce(Found.joined, (half.result() for half in found)), windows)
    return truth.events, verdict.join(rest.result())


def _halves(read: Callable[[str, range], Any], bootstrap: str) -> list[Future[Any]]:
    return [_processes(PATIENT).submit(read, bootstrap, half) for half in HALVES]


def _long_truth(bootstrap: str, partitions: range) -> Long:
    with closing(Topics(bootstrap)) as topics:
        truth = Long()
        truth.read(topics, partitions)
        return truth


def _long_found(bootstrap: str, partitions: range) -> Found:
    with closing(Topics(bootstrap)) as topics:
        found = Found()
        found.read(topics, partitions)
        return found
