"""The stages of a checkpoint, and of taking a task over: named, in their order, with a hook.

``with Stage.COMMIT: ...`` is all that production code knows of it. Whoever wants to see a worker
between two stages, or to end it there, watches: a test in its own process, or a worker that was
told by an environment variable (``streams.engine.doom``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Literal

When = Literal["before", "after"]
Hook = Callable[[When, "Stage"], None]
"""Told in the thread that does the work; what it raises is raised there."""

_hook: Hook | None = None


class Stage(StrEnum):
    """One stage; as a context manager it is told of before it and, unless it failed, after it."""

    FENCE = "fence"
    """Take the transactional id over (InitProducerId): nothing older is written any more."""
    REPLAY = "replay"
    """Read the changelog to its end, committed records only."""
    RESTORE = "restore"
    """Stand where its last position record stands."""
    SEEK = "seek"
    """Read the inputs from there on."""
    RESUME = "resume"
    """Checkpoint from now on."""

    SETTLE = "settle"
    """What batches wrote stays: nothing of it can be undone."""
    SNAPSHOT = "snapshot"
    """Take all that is new; batches go on beside the stages that follow."""
    BEGIN = "begin"
    """Begin the transaction."""
    OUTPUTS = "outputs"
    """Write results and letters; with at-least-once delivery before the transaction begins."""
    DECLARE = "declare"
    """Write the watermarks that are declared; with at-least-once delivery after the commit."""
    CHANGELOG = "changelog"
    """Write the state that changed."""
    POSITION = "position"
    """Write the position record, which is the last one."""
    COMMIT = "commit"
    """Commit the transaction: before it nothing has happened, after it all of it."""
    KEEP = "keep"
    """Have the store on disk follow."""
    KEPT = "kept"
    """Let the task know, on the event loop."""

    ABORT = "abort"
    """A stage from begin to commit failed: abort the transaction."""
    RETAKE = "retake"
    """The transaction took too long: take the id again, and see who went on."""
    PUT_BACK = "put_back"
    """What the failed checkpoint took goes with the next one."""

    def __enter__(self) -> None:
        if _hook is not None:
            _hook("before", self)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if _hook is not None and kind is None:
            _hook("after", self)


TAKEOVER = (Stage.FENCE, Stage.REPLAY, Stage.RESTORE, Stage.SEEK, Stage.RESUME)
"""How a task is taken over, in order."""
CHECKPOINT = (
    Stage.SETTLE, Stage.SNAPSHOT, Stage.BEGIN, Stage.OUTPUTS, Stage.DECLARE, Stage.CHANGELOG,
    Stage.POSITION, Stage.COMMIT, Stage.KEEP, Stage.KEPT,
)  # fmt: skip
"""A checkpoint, in order."""
FAILED = (Stage.ABORT, Stage.RETAKE, Stage.PUT_BACK)
"""What takes the place of the rest where a stage of a checkpoint failed."""


def watch(hook: Hook | None) -> None:
    """Let somebody be told of every stage of this process; None: nobody."""
    global _hook  # noqa: PLW0603
    _hook = hook


@contextmanager
def watched(hook: Hook) -> Iterator[None]:
    """The same for a while."""
    watch(hook)
    try:
        yield
    finally:
        watch(None)
