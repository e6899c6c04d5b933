"""Checkpoints of several tasks at once, and what their failures mean for the process."""

from __future__ import annotations

import asyncio

from confluent_kafka import KafkaException

from streams.engine.checkpoint import Fenced
from streams.engine.mover import EXIT_BROKEN_CHAIN, EXIT_FENCED, EXIT_MOVER, end_process
from streams.engine.rights import named
from streams.engine.runner import Report, Runner
from streams.engine.stores import StateLost
from streams.wire.errors import no_right


async def settle(runners: list[Runner], report: Report) -> None:
    """Checkpoint these tasks; a fenced one ends the process, other failures are tried again."""
    results = await asyncio.gather(*[r.checkpoint() for r in runners], return_exceptions=True)
    for runner, result in zip(runners, results, strict=True):
        if isinstance(result, StateLost):
            runner.lost(result)
        if isinstance(result, Fenced) and runner.abandoned:
            report("task_abandoned", {"task": str(runner), "error": str(result)})
            continue
        refused = no_right(result, f"write what task {runner} has made")
        if refused is not None:
            end_process(EXIT_MOVER, str(named(refused, runner.sub, runner.settings)))
        if isinstance(result, Fenced):
            end_process(EXIT_FENCED, f"task {runner} has another owner now: {result}")
        if isinstance(result, (KafkaException, BufferError)):
            report("checkpoint_put_back", {"task": str(runner), "error": str(result)})
        elif isinstance(result, Exception):
            end_process(EXIT_BROKEN_CHAIN, f"task {runner} cannot write: {result!r}")
        elif result is not None and not isinstance(result, asyncio.CancelledError):
            raise result  # it is to end the process
