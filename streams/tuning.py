"""Tuning of the engine: configuration section ``[engine]``."""

from __future__ import annotations

from typing import Literal

import msgspec

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class EngineTuning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Times in milliseconds."""

    delivery: Literal["exactly_once", "at_least_once"] = "exactly_once"
    """``at_least_once``: outputs are written as they come, before their checkpoint; what a crash or
    a frozen worker may leave of them is in docs/reference/delivery.md."""
    checkpoint_ms: int = 0
    """Time between two checkpoints of a task: exactly once, results are visible that much later. 0:
    the engine chooses, from 30 ms for up to four tasks in a worker to 300 ms for 40 and more (at
    least once from 200 ms); up to a second where checkpoints take long."""
    checkpoint_busy_ms: int = 1000
    """The same while a task is behind its inputs, as long as it always finds as many records as it
    can take at once: fewer checkpoints, each entry written once."""
    transaction_timeout_ms: int = 10_000
    """How long a checkpoint, or a transaction of a source, may take: then the broker aborts it, and
    readers of committed records no longer wait for it. Who has the task, or the name, still goes
    on."""
    declare_ms: int = 0
    """Least time between two declarations of a task's watermark; 0: with each checkpoint. Each is
    a record to every partition of its outputs, so raise it where partitions are many."""
    max_pending: int = 200_000
    """Results that wait for a checkpoint; a task with more reads nothing until they are written."""
    max_pending_bytes: int = 128 << 20
    """The same in bytes of their values."""
    store: Literal["memory", "rocks"] = "memory"
    """Where tasks keep their state: in memory, or on local disk as a copy of the changelog
    (``streams[rocks]``), for state that is larger than memory and quicker to take up again."""
    state_dir: str = ""
    """The folder of that copy, on a local disk; without it, ``state`` in the user's cache."""
    cached_entries: int = 20_000
    """Entries that a step of a task remembers in memory beside what changed, where the others
    are on disk."""
    standby_ms: int = 0
    """With the store on disk: how long a worker waits after each round through the changelogs of
    the tasks that others have; taking one over then needs the rest only. 0: it makes no rounds."""
    lateness_ms: int = 10_000
    """Disorder that observed topics may have."""
    grace_ms: int = 0
    """How long after the watermark an event still counts."""
    retract_grace_ms: int = DAY_MS
    """The same for corrections: the undo horizon, at most a day."""
    idle_timeout_ms: int = 30_000
    """Silence after which an observed input no longer holds the watermark back."""
    future_cap_ms: int = HOUR_MS
    """An event further ahead of its arrival is a dead letter."""
    block_future_cap_ms: int = 3 * HOUR_MS
    """The same for blocks, whose miners may be two hours ahead."""
    max_skew_ms: int = HOUR_MS
    """An input this far ahead of the task's watermark is paused."""
    check_partitioner: bool = True
    """Refuse inputs of a join whose records lie where their key does not belong."""
    generation: int = 0
    """Part of a writer's name; leave it: another partition count takes a replay."""
    session_timeout_ms: int = 6000
    """Silence after which a worker's partitions go to the others; brokers refuse less."""
    instance_id: str = ""
    """A name of this worker alone (Kafka's ``group.instance.id``): when it is back under that name
    within ``session_timeout_ms`` it has the same partitions, and nobody else is disturbed."""
    stall_ms: int = 30_000
    """A worker that makes no progress for so long, though its broker answers, ends; at least ten
    times ``checkpoint_ms``. A batch has up to 2,000 records: steps that take longer for it need
    more."""
    held_ms: int = 10_000
    """Time for which an input may stand at a transaction that is not over, of anybody; then the
    worker says whose it is (``held_by_transaction``)."""
    retries: int = 2
    """How often a failing record is tried again before it is dead-lettered."""
    breaker: int = 100
    """Records that a step fails on in a row, of those that come to it, until its task takes back
    what it can of them, stops reading and tries again every 10 s; 0: all are dead letters."""
