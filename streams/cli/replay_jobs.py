"""What the commands of ``streams replay`` work on, and what they refuse."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from streams.cli.errors import ExitCode, UserError
from streams.cli.options import current
from streams.cli.runs import admin_of
from streams.cli.times import moment_ms

if TYPE_CHECKING:
    from streams.config import Config
    from streams.ops.replaying import Job, Progress
    from streams.ops.runs import Known, Run, Runs

Where = tuple[bool, list[str] | None, str | None, int | None]


def job_of(
    name: str, module: str | None, config: Config, run: Run | None, known: Known | None = None
) -> Job:
    """A run as it is to be worked on, by its record or by its name."""
    from msgspec.structs import replace  # noqa: PLC0415

    from streams.config import RunSettings  # noqa: PLC0415
    from streams.engine.settings import settings_of  # noqa: PLC0415
    from streams.ops.modules import select  # noqa: PLC0415
    from streams.ops.replaying import Job  # noqa: PLC0415
    from streams.ops.runs import applied, followed  # noqa: PLC0415

    if run is not None:
        own = applied(config, run)
    else:
        assert known is not None
        own = followed(replace(config, run=RunSettings(name)), known, module)
    return Job(select(own, module), settings_of(own, current().bootstrap()), own)


def proposed(
    name: str, where: Where, partitions: int | None, module: str | None
) -> tuple[Run, Job]:
    """The run that is asked for; nothing is recorded yet."""
    from msgspec.structs import replace  # noqa: PLC0415

    from streams.ops.runs import Run, check_name  # noqa: PLC0415

    check_name(name)
    config = current().config()
    count = partitions or config.partitions
    run = Run(
        name, module, count, config.partitions if count != config.partitions else 0, {}, False,
        time.time_ns() // 1_000_000,
    )  # fmt: skip
    job = job_of(name, module, config, run)
    _require_sources(job)
    starts = _starts(job, where)
    whole = all(offset == 0 for offsets in starts.values() for offset in offsets)
    run = replace(run, starts=starts, partial=not whole)
    return run, job_of(name, module, config, run)


def _starts(job: Job, where: Where) -> dict[str, list[int]]:
    from streams.ops import replaying  # noqa: PLC0415

    beginning, offsets, moment, height = where
    if sum((beginning, bool(offsets), moment is not None, height is not None)) > 1:
        raise UserError("more than one place to begin at is named", "name one of them")
    if offsets:
        return replaying.from_offsets(job, offsets)
    ms = moment_ms(moment)
    if ms is not None:
        return replaying.from_time(job, ms)
    return replaying.from_beginning(job) if height is None else replaying.from_height(job, height)


def _require_sources(job: Job) -> None:
    from streams.engine.rights import Right  # noqa: PLC0415

    admin = admin_of(job.config)
    present = admin.partitions()
    for name, count in sorted(job.sources.items()):
        if present.get(name) != count:
            admin.require([Right("topic", name, "DESCRIBE")])
            has = (
                f"has {present[name]} partitions, not {count}" if name in present else "is missing"
            )
            raise UserError(
                f"topic {name} {has}",
                "set `partitions` to what the sources have; --partitions is for what is written",
                ExitCode.TOPICS,
            )


def require_whole(run: Run, job: Job, partial: bool) -> None:
    if run.partial and not partial:
        raise UserError(
            "something lies before the start, or is not kept any more: state would be incomplete",
            f"{incomplete(job)}; accept that with --partial, or replay --from-beginning",
        )


def incomplete(job: Job) -> str:
    hours = job.memory_ms / 3_600_000
    return (
        f"what windows and joins remember is complete {hours:g} h of event time after the start; "
        "what steps keep for longer (links, tables, histories of addresses) never is"
    )


def refuse_change(run: Run, where: Where, partitions: int | None) -> None:
    """A run that was begun cannot be begun otherwise."""
    beginning, *others = where
    if any(other is not None for other in others) or (beginning and run.partial):
        typer.echo(f"run {run.name} goes on from where it was begun, whatever is named", err=True)
    if partitions not in (None, run.partitions):
        raise UserError(
            f"run {run.name} has {run.partitions} partitions",
            "leave --partitions out to go on with it, or give the new one another name",
        )


def begin(run: Run, job: Job) -> None:
    """Record the run before its topics: whatever is killed here, the same command goes on."""
    present = admin_of(job.config).partitions()
    taken = [planned.topic for planned in job.made if planned.topic in present]
    if taken:
        raise UserError(
            f"topic {taken[0]} is there already, and no run {run.name} is known",
            "choose another name",
            ExitCode.TOPICS,
        )
    runs_of(current().config()).record(run)


def complete(job: Job) -> None:
    admin = admin_of(job.config)
    present = admin.partitions()
    missing = [planned for planned in job.made if planned.topic not in present]
    admin.create(missing)
    if missing:
        typer.echo(f"{len(missing)} topics created", err=True)


def runs_of(config: Config) -> Runs:
    from streams.ops.runs import Runs  # noqa: PLC0415

    return Runs(admin_of(config), config.application)


def require_caught_up(name: str, job: Job, old: Job, within: int, behind_ms: int) -> None:
    from streams.ops.replaying import progress  # noqa: PLC0415

    found = progress(job, old, within, behind_ms)
    if not found.caught_up:
        raise UserError(
            f"run {name} has not caught up ({words_of(found)})",
            "let its workers go on: `streams replay start` ends when it has",
            ExitCode.UNHEALTHY,
        )


def require_nobody(name: str, job: Job) -> None:
    from streams.engine.precheck import groups  # noqa: PLC0415

    for group in groups(job.selection, job.settings):
        own = group.name == job.selection.application or job.selection.shared_with(group.name)
        if own and group.members:
            raise UserError(
                f"{len(group.members)} workers of run {name} are in group {group.name}",
                "stop them first (a killed one leaves after a few seconds)",
            )


def confirm(question: str, yes: bool) -> None:
    if not yes and not typer.confirm(question, err=True):
        raise UserError("nothing was changed", "answer y, or use --yes")


def words_of(found: Progress) -> str:
    behind = "no time yet" if found.behind_ms is None else f"{found.behind_ms} ms behind"
    return f"{found.read} of {found.total} source offsets, {found.lag} left in all, {behind}"
