"""``streams replay``: the same steps again, beside those that run; then switch over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.errors import UserError
from streams.cli.listing import Output, OutputOption, Row, show
from streams.cli.options import current
from streams.cli.replay_bar import Bar
from streams.cli.replay_jobs import (
    begin,
    complete,
    confirm,
    incomplete,
    job_of,
    proposed,
    refuse_change,
    require_caught_up,
    require_nobody,
    require_whole,
    runs_of,
)
from streams.cli.runs import admin_of, known_runs
from streams.cli.worker import ModuleOption

if TYPE_CHECKING:
    from streams.config import Config
    from streams.ops.replaying import Job
    from streams.ops.runs import Known, Run

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
    help="Do it all again beside what runs, from the sources; switch over when it has caught up."
    "\n\nExample: streams replay plan v2 --partitions 6",
)
NameArgument = Annotated[str, typer.Argument(help="Name of the run, such as v2.")]
BeginningOption = Annotated[
    bool, typer.Option("--from-beginning", help="All that the sources keep; the default.")
]
OffsetOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TOPIC[/PARTITION]=OFFSET", help="From an offset of a source; repeatable."
    ),
]
TimeOption = Annotated[
    str | None, typer.Option(metavar="TIME", help="What has arrived since: 2h, 3d, or ISO 8601.")
]
HeightOption = Annotated[
    int | None, typer.Option(min=0, help="What has arrived since the block of this height.")
]
PartitionsOption = Annotated[
    int | None, typer.Option(min=1, help="Partitions of what it writes; by default the same.")
]
PartialOption = Annotated[
    bool, typer.Option("--partial", help="Accept that what lies before the start is missing.")
]
WithinOption = Annotated[
    int, typer.Option(min=0, help="Caught up: at most so many offsets behind an input's end.")
]
BehindOption = Annotated[
    int, typer.Option(min=0, help="And at most so many ms of event time behind the current run.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
NoWorkerOption = Annotated[
    bool, typer.Option("--no-worker", help="Only create topics; say how to start workers.")
]
WITHIN, BEHIND_MS = 1000, 60_000


@app.command()
def plan(
    name: NameArgument,
    from_beginning: BeginningOption = False,
    from_offset: OffsetOption = None,
    from_time: TimeOption = None,
    from_height: HeightOption = None,
    partitions: PartitionsOption = None,
    module: ModuleOption = None,
    rate: Annotated[int, typer.Option(min=1, help="Records a second, for the estimate.")] = 5000,
    output: OutputOption = "table",
) -> None:
    """Show what a replay would read and create; change nothing.

    Examples:
      streams replay plan v2
      streams replay plan v2 --partitions 6 --module my.steps
      streams replay plan week --from-time 7d
    """
    places = (from_beginning, from_offset, from_time, from_height)
    run, job = proposed(name, places, partitions, module)
    _print_plan(run, job, rate, output)


@app.command()
def start(
    name: NameArgument,
    from_beginning: BeginningOption = False,
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
    """Create the topics of a run, and work on it until it has caught up with what runs.

    The same command goes on with a run that was stopped or killed: what was done is kept, and where
    it began was recorded. More workers may share the work: the command says how to start them.
    Nothing that runs is touched, and no reader sees the run before `streams replay switch`.

    Examples:
      streams replay start v2 --from-beginning
      streams replay start v2 --partitions 6 --no-worker
      streams replay start week --from-time 7d --partial
    """
    places = (from_beginning, from_offset, from_time, from_height)
    config = current().config()
    known = known_runs(config)
    if name in known.runs:
        run = known.run(name, module)
        refuse_change(run, places, partitions)
        typer.echo(f"going on with run {name}, as it was begun", err=True)
    else:
        run, job = proposed(name, places, partitions, module)
        require_whole(run, job, partial)
        begin(run, job)
    job = job_of(run.name, run.module, config, run)
    complete(job)
    typer.echo(_how_to_help(run), err=True)
    if not no_worker:
        _work(job, job_of(known.current_of(module), module, config, None, known), within, behind_ms)


@app.command()
def status(
    output: OutputOption = "table",
    json_: Annotated[bool, typer.Option("--json", help="The same as --output json.")] = False,
    within: WithinOption = WITHIN,
    behind_ms: BehindOption = BEHIND_MS,
) -> None:
    """List the runs, how far they are, and which one is the current one.

    Example: streams replay status --json
    """
    config = current().config()
    known = known_runs(config)
    rows = [_row(run, config, known, within, behind_ms) for _, run in sorted(known.runs.items())]
    form: Output = "json" if json_ else output
    show(rows, form, ("run", "module", "current", "partitions", "read", "total", "lag",
                      "behind_ms", "caught_up", "partial"))  # fmt: skip
    if form == "table":
        words = ", ".join(f"{m or 'the main job'}: {n}" for m, n in known.current.items())
        typer.echo(f"current: {words or 'the original, whose topics have plain names'}", err=True)


@app.command()
def switch(
    name: Annotated[str, typer.Argument(help="Name of the run; `original` goes back.")],
    module: ModuleOption = None,
    within: WithinOption = WITHIN,
    behind_ms: BehindOption = BEHIND_MS,
    yes: YesOption = False,
) -> None:
    """Make a run that has caught up the current one.

    Workers, sinks and readers that start from now on take it: `streams worker`, `streams sink`,
    `streams consume`, `streams lag`. Those that run go on with what they have until they are
    restarted. Nothing is deleted; `streams replay switch original` goes back.

    Example: streams replay switch v2
    """
    config = current().config()
    known = known_runs(config)
    job = job_of(name, module, config, None, known)
    old = job_of(known.current_of(module), module, config, None, known)
    if name == known.current_of(module):
        typer.echo(f"{name} is the current run already", err=True)
        return
    require_caught_up(name, job, old, within, behind_ms)
    confirm(f"make {name} the current run in place of {known.current_of(module)}?", yes)
    runs_of(config).switch(name, module)
    typer.echo(
        f"{name} is the current run: start its workers (`streams worker`), then restart sinks "
        "and consumers; docs/how-to/replay.md has the order",
        err=True,
    )


@app.command()
def drop(
    name: Annotated[str, typer.Argument(help="Name of the run, or `original`.")],
    module: ModuleOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would go.")] = False,
    yes: YesOption = False,
) -> None:
    """Delete what a run has written, its state included; sources and letters stay.

    Refused for the current run, and while workers of the run are there.

    Examples:
      streams replay drop v2 --dry-run
      streams replay drop original --yes
    """
    from streams.config import ORIGINAL  # noqa: PLC0415
    from streams.ops.replaying import drop as delete  # noqa: PLC0415

    config = current().config()
    known = known_runs(config)
    job = job_of(name, module, config, None, known)
    if name == known.current_of(module):
        raise UserError(f"{name} is the current run", "switch to another one first")
    require_nobody(name, job)
    present = admin_of(config).partitions()
    names = [planned.topic for planned in job.made if planned.topic in present]
    show([{"topic": topic} for topic in names], "table", ("topic",))
    if dry_run:
        typer.echo(f"{len(names)} topics would be deleted; nothing was", err=True)
        return
    confirm(f"delete these {len(names)} topics for good?", yes)
    delete(admin_of(config), job)
    if name != ORIGINAL:
        runs_of(config).forget(name)
    typer.echo(f"{len(names)} topics deleted", err=True)


# Showing ----------------------------------------------------------------------------------------


def _print_plan(run: Run, job: Job, rate: int, output: Output) -> None:
    from msgspec.structs import asdict  # noqa: PLC0415

    from streams.ops.replaying import spans  # noqa: PLC0415

    found = spans(job, run.starts)
    rows: list[Row] = [{"what": "read", **asdict(span)} for span in found]
    rows += [{"what": "create", "topic": p.topic, "partitions": p.partitions} for p in job.made]
    show(rows, output, ("what", "topic", "partitions", "first", "records"))
    records = sum(span.records for span in found)
    typer.echo(
        f"{records} offsets to read, about {records / rate / 60:.1f} minutes at {rate} a second; "
        f"application id {job.settings.application}",
        err=True,
    )
    if run.partial:
        typer.echo(f"partial: {incomplete(job)}", err=True)


def _row(run: Run, config: Config, known: Known, within: int, behind_ms: int) -> Row:
    from msgspec.structs import asdict  # noqa: PLC0415

    from streams.ops.replaying import progress  # noqa: PLC0415

    job = job_of(run.name, run.module, config, run)
    now = known.current_of(run.module)
    old = None if now == run.name else job_of(now, run.module, config, None, known)
    found = progress(job, old, within, behind_ms)
    return {
        "run": run.name, "module": run.module, "current": now == run.name,
        "partitions": run.partitions, **asdict(found), "partial": run.partial,
    }  # fmt: skip


def _how_to_help(run: Run) -> str:
    own = f" --module {run.module}" if run.module else ""
    return (
        f"at most {run.partitions} workers can share it: `streams --set run.name={run.name} "
        f"worker{own}`"
    )


# Working ----------------------------------------------------------------------------------------


def _work(job: Job, old: Job, within: int, behind_ms: int) -> None:
    """Be a worker of the run until it has caught up; the process ends with its exit code."""
    from streams.cli import worker  # noqa: PLC0415
    from streams.ops.admin import Admin  # noqa: PLC0415
    from streams.ops.begin import until_it_may  # noqa: PLC0415
    from streams.ops.catching_up import CatchingUp  # noqa: PLC0415
    from streams.ops.replaying import progress  # noqa: PLC0415

    bar = Bar(job.settings.run)

    def watch(app: Any) -> Any:
        return CatchingUp(
            lambda: progress(job, old, within, behind_ms),
            bar.tell,
            loop=app.loop,
            beacon=app.beacon,
        )

    made, report = worker.application(job.config, job.selection, job.settings, [watch])
    until_it_may(Admin(job.settings), job.selection, 30)
    made.checked = True
    worker.run(made, report, job.selection, job.settings)
