"""``streams backfill``: a replay of a part of the past."""

from __future__ import annotations

from streams.cli.errors import UserError
from streams.cli.replay import (
    BEHIND_MS,
    WITHIN,
    BehindOption,
    HeightOption,
    NameArgument,
    NoWorkerOption,
    OffsetOption,
    PartialOption,
    PartitionsOption,
    TimeOption,
    WithinOption,
    start,
)
from streams.cli.worker import ModuleOption


def backfill(
    name: NameArgument,
    from_offset: OffsetOption = None,
    from_time: TimeOption = None,
    from_height: HeightOption = None,
    partitions: PartitionsOption = None,
    module: ModuleOption = None,
    partial: PartialOption = False,
    no_worker: NoWorkerOption = False,
    within: WithinOption = WITHIN,
    behind_ms: BehindOption = BEHIND_MS,
) -> None:
    """Replay from some point of the past on: `streams replay start` with a place to begin at.

    What was written to the sources late, such as old blocks by `streams source archive`, is read by
    whatever runs; this is for results that have to be made again, of a part of the past.

    Examples:
      streams backfill june --from-time 2026-06-01T00:00Z --partial
      streams backfill halving --from-height 840000 --partial
    """
    if not (from_offset or from_time or from_height is not None):
        raise UserError(
            "a backfill needs a place to begin at",
            "use --from-offset, --from-time or --from-height, or `streams replay start`",
        )
    start(name, False, from_offset, from_time, from_height, partitions, module, partial, no_worker,
          within, behind_ms)  # fmt: skip
