"""A task whose transaction timed out takes its id again, if nobody else went on meanwhile.

librdkafka says the same of a producer that was fenced by another owner and of one whose transaction
the broker aborted because it took too long: it is fenced, for good. Who is to blame stands in the
changelog. Each position record names the owner and the checkpoint that it is of; once the id is
taken again nothing can be added, so the last record tells all (it is looked at before, too, so that
a healthy owner is not fenced for nothing):

===============================  ===================================================================
it is of the checkpoint itself   it had been committed, only the answer was lost
it is of the one before          it was aborted: put back, and go on
it is of somebody else           the task has another owner: the process ends
===============================  ===================================================================
"""

from __future__ import annotations

import time
from collections.abc import Callable
from secrets import token_hex
from typing import Any, Protocol

from confluent_kafka import KafkaException

from streams.engine.checkpoint import FENCES, Fenced, Transactions
from streams.engine.codec import decode_value
from streams.engine.emit import POSITION

AGAIN_SECONDS = 0.5
RENEW_SECONDS = 20.0
GROUP_SECONDS = 2.0
"""Two heartbeats."""
LOOK_BACK = 1000
"""Offsets before the end among which the last position record is looked for first."""


class Log(Protocol):
    """The changelog of a task, as ``recovery.Reader`` reads it."""

    def ends(self) -> tuple[int, int]: ...
    def read(self, recovery: Any, start: int, wanted: Callable[[], bool]) -> bool: ...
    def close(self) -> None: ...


class Signature:
    """Names an owner and its checkpoints in the position records."""

    def __init__(self) -> None:
        self.owner, self.number = token_hex(8), 0
        self.committed: Any = None
        """Of the last checkpoint that is known to be committed, by whomever."""

    def next(self) -> list[Any]:
        """The signature of one more checkpoint."""
        self.number += 1
        return [self.owner, self.number]


class _Last:
    """Takes records and remembers the last position record."""

    def __init__(self) -> None:
        self.found: dict[str, Any] | None = None

    def take(self, offset: int, key: bytes, body: bytes | None) -> None:
        if key == POSITION and body is not None:
            self.found = decode_value(body)


def retaken(
    tx: Transactions,
    open_log: Callable[[], Log],
    ours: tuple[Any, Any],
    wanted: Callable[[], bool],
    fenced: Fenced,
) -> Any:
    """Take the id again; the last signature on the changelog, which is one of ``ours``.

    Raises Fenced where somebody else has the task, or it is not ``wanted`` any more.
    """
    _hear_the_group(wanted)
    _require(ours, open_log, wanted, fenced)  # a healthy owner is not to be fenced for nothing
    renew(tx, wanted, fenced)
    return _require(ours, open_log, wanted, fenced)


def _hear_the_group(wanted: Callable[[], bool]) -> None:
    """One that stood still for long learns from its first heartbeats who has the task now: a new
    owner that has not written anything yet is not to be fenced either."""
    deadline = time.monotonic() + GROUP_SECONDS
    while wanted() and time.monotonic() < deadline:
        time.sleep(0.1)


def _require(
    ours: tuple[Any, Any], open_log: Callable[[], Log], wanted: Callable[[], bool], fenced: Fenced
) -> Any:
    """The last signature on the changelog; raises Fenced where it is of somebody else."""
    ended, last = last_signature(open_log, wanted)
    if not ended or last not in ours:
        raise Fenced(f"{fenced}; the last checkpoint is {last}, of ours it were {ours}")
    return last


def renew(tx: Transactions, wanted: Callable[[], bool], fenced: Fenced) -> None:
    """Take the id again, as a broker that comes back may need more than once.

    Raises Fenced for a fence, and for what the broker goes on refusing for ``RENEW_SECONDS``.
    """
    deadline = time.monotonic() + RENEW_SECONDS
    while True:
        try:
            return tx.renew(wanted)
        except KafkaException as error:
            over = time.monotonic() > deadline or not wanted()
            if over or error.args[0].code() in FENCES:
                raise Fenced(f"{fenced}; then {error}") from error
            time.sleep(AGAIN_SECONDS)


def last_signature(open_log: Callable[[], Log], wanted: Callable[[], bool]) -> tuple[bool, Any]:
    """Whether the end was reached, and the signature of the last position record.

    None: there is no such record; empty: it has none, as those of earlier versions. Asks again
    while no broker answers, for as long as that is ``wanted``.
    """
    while wanted():
        log = open_log()
        try:
            return _look(log, wanted)
        except KafkaException:
            time.sleep(AGAIN_SECONDS)
        finally:
            log.close()
    return False, None


def _look(log: Log, wanted: Callable[[], bool]) -> tuple[bool, Any]:
    low, end = log.ends()
    back = LOOK_BACK
    while True:
        start, last = max(low, end - back), _Last()
        if not log.read(last, start, wanted):
            return False, None
        if last.found is not None or start == low:
            return True, None if last.found is None else last.found.get("by", "")
        back *= 100
