"""``streams worker``: run the main job's tasks, a part of them, or somebody's own steps."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from streams.cli.options import current

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.config import Config
    from streams.engine.application import Companion
    from streams.engine.runner import Report
    from streams.engine.selection import Selection
    from streams.engine.settings import EngineSettings

ModuleOption = Annotated[
    str | None,
    typer.Option(
        metavar="MODULE",
        help="Your own steps instead of the main job's: a module or entry point of streams.steps.",
    ),
]
OnlyOption = Annotated[
    str | None,
    typer.Option(
        metavar="STEP,...",
        help="Only the sub-topologies with these steps, in a consumer group of their own.",
    ),
]


WaitOption = Annotated[
    int, typer.Option(help="Seconds to wait for the broker, its topics and the group.")
]
CreateOption = Annotated[
    bool,
    typer.Option(
        "--create-topics", help="Create the topics that --module writes, and its own sources."
    ),
]
HealthOption = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Answer /livez, /readyz and /metrics there."),
]
LevelOption = Annotated[
    Literal["debug", "info", "warn", "error"] | None,
    typer.Option(help="The least that is logged."),
]
FormatOption = Annotated[
    Literal["auto", "console", "json"] | None,
    typer.Option(help="Form of the log; auto: console on a terminal, else json."),
]


def worker(
    wait: WaitOption = 0,
    only: OnlyOption = None,
    module: ModuleOption = None,
    create_topics: CreateOption = False,
    health: HealthOption = None,
    log_level: LevelOption = None,
    log_format: FormatOption = None,
) -> None:
    """Run a worker: it takes its share of the partitions and works until it is told to stop.

    Start as many as you like: they share the partitions, and take over when one of them ends.
    Ctrl-C or SIGTERM finishes the work under way and leaves.

    Examples:
      streams --broker 127.0.0.1:9092 worker
      streams worker --only join_entities,follow_lifecycle
      streams worker --module my.steps --create-topics --health 127.0.0.1:8080
    """
    from streams.cli.runs import selected  # noqa: PLC0415
    from streams.engine.settings import settings_of  # noqa: PLC0415

    options = current()
    given = {"health_listen": health, "log_level": log_level, "log_format": log_format}
    options.flags |= {name: value for name, value in given.items() if value is not None}
    config, selection = selected(module, only, wait)
    settings = settings_of(config, options.bootstrap())
    app, report = application(config, selection, settings)
    _begin(selection, settings, wait, create_topics)
    app.checked = True
    run(app, report, selection, settings)


def run(app: Any, report: Report, selection: Selection, settings: EngineSettings) -> None:
    """Say what runs, and run it until it is stopped; the process ends with the exit code."""
    from streams.engine.durability import look  # noqa: PLC0415

    facts = {"application": selection.application, "sub_topologies": list(selection.names)}
    report("worker", {**facts, "steps": [step.name for step in selection.part.steps]})
    for finding in look(selection, settings):
        report("durability", finding.facts)
    if settings.delivery == "at_least_once":
        words = (
            "a crash may repeat outputs, or orphan a correction; a worker that stood still may "
            "write older ones behind newer ones"
        )
        report("delivery", {"at_least_once": words})
    _run(app)


def application(
    config: Config, selection: Selection, settings: EngineSettings, more: Iterable[Companion] = ()
) -> tuple[Any, Report]:
    """The application, its logs and its health; nothing is connected yet."""
    from streams.app import make_app  # noqa: PLC0415
    from streams.ops.health import bind, companions  # noqa: PLC0415
    from streams.ops.logs import reporter, secrets_of, set_up  # noqa: PLC0415
    from streams.ops.outage import Flood, Outage  # noqa: PLC0415
    from streams.ops.watching import Watch  # noqa: PLC0415

    outage = Outage()
    set_up(config.log_format, config.log_level, secrets_of(config, settings.kafka), [Flood(outage)])
    watch = Watch(reporter(), outage)
    taken = None if config.health_listen is None else bind(config.health_listen)
    beside = companions(taken, watch, outage, settings)
    return make_app(config, settings.bootstrap, watch, selection, [*beside, *more]), watch


def _begin(selection: Selection, settings: EngineSettings, wait: int, create: bool) -> None:
    """See that the worker may begin, waiting for what may still come; raises OpsError."""
    from streams.ops.admin import Admin  # noqa: PLC0415
    from streams.ops.begin import until_it_may  # noqa: PLC0415
    from streams.ops.target import require_broker  # noqa: PLC0415

    if not wait:
        require_broker(settings.bootstrap, settings.kafka)
    until_it_may(Admin(settings), selection, wait, create)


def _run(app: Any) -> None:
    """Run until stopped; the process ends with the worker's exit code."""
    import asyncio  # noqa: PLC0415

    import faust  # noqa: PLC0415

    quiet: dict[str, Any] = {"override_logging": False, "redirect_stdouts": False, "quiet": True}
    running = faust.Worker(app, **quiet)
    running.spinner = None
    try:
        running.execute_from_commandline()
    except asyncio.CancelledError:  # what had just begun when the worker was told to stop
        if not app.should_stop:
            raise
        sys.exit(0)
