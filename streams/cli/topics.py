"""``streams topics``: the topics as data, and on a broker."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.acls import acls
from streams.cli.errors import ExitCode, UserError
from streams.cli.listing import OutputOption, Row, show
from streams.cli.options import current

if TYPE_CHECKING:
    from streams.ops.admin import Admin, Planned
    from streams.ops.own_topics import Share

ModulesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--module",
        metavar="MODULE",
        help="Also those of your own steps: a module or entry point of streams.steps; repeatable.",
    ),
]
app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
    help="List the topics; make a broker agree with them.\n\nExample: streams topics plan",
)


@app.command("list")
def list_(output: OutputOption = "table") -> None:
    """List every topic: what it carries, its key, how it is kept. No broker is needed.

    Example: streams topics list --output json
    """
    from streams.engine.settings import settings_of  # noqa: PLC0415
    from streams.topics import ALL  # noqa: PLC0415

    settings = settings_of(current().config(), "")
    rows: list[Row] = [
        {
            "topic": topic.name,
            "kind": _kind(topic.source, topic.stored, topic.event_type is not None),
            "key": topic.by,
            "type": topic.event_type,
            "partitions": settings.count_of(topic) if topic.stored else 0,
            **(topic.settings() if topic.stored else {}),
            "about": topic.about,
        }
        for topic in ALL
    ]
    kept = ("cleanup.policy", "retention.ms", "max.message.bytes", "message.timestamp.type")
    show(rows, output, ("topic", "kind", "key", "type", "partitions", *kept, "about"))


@app.command()
def plan(module: ModulesOption = None, output: OutputOption = "table") -> None:
    """Compare the topics that are needed with those of the broker; change nothing.

    They are those of the current run (`streams replay`), or of the one that run.name names. Ends
    with exit code 7 when a topic has the wrong partition count.

    Examples:
      streams topics plan
      streams topics plan --module my.steps
    """
    from streams.ops.admin import refuse_wrong_counts  # noqa: PLC0415
    from streams.ops.own_topics import needed  # noqa: PLC0415

    admin, shares = _shares(module)
    planned = admin.plan(needed(shares))
    _show(planned, output)
    refuse_wrong_counts(planned)


@app.command()
def apply(module: ModulesOption = None, output: OutputOption = "table") -> None:
    """Create what is missing and set what differs; wrong partition counts are refused.

    With --module also what your own steps write, their changelogs, and the topics that they declare
    as sources, before a worker needs them. What else they read is somebody else's: it is never
    created, and must be there.

    Examples:
      streams topics apply --broker 127.0.0.1:9092
      streams topics apply --module my.steps --module more.steps
    """
    from streams.ops.own_topics import apply as apply_with  # noqa: PLC0415

    admin, shares = _shares(module, surely=True)
    changed = apply_with(admin, shares)
    _show([_done(planned) for planned in changed], output)
    typer.echo(f"{len(changed)} topics changed", err=True)


@app.command()
def copies(module: ModulesOption = None) -> None:
    """Print where more copies would lie of topics that have fewer than three; change nothing.

    It is what kafka-reassign-partitions.sh of Apache Kafka takes; the line that runs it is printed,
    too. Looked at are the topics that are needed, and the brokers' own that transactions and groups
    are kept in. Where there are fewer than three brokers, each is to have a copy. Ends with exit
    code 7 and prints nothing where no copy is missing.

    Examples:
      streams topics copies > copies.json
      streams topics copies --module my.steps > copies.json
    """
    from streams.engine.durability import reassign  # noqa: PLC0415
    from streams.ops.cluster import LOGS  # noqa: PLC0415
    from streams.ops.copies import as_json, lacking  # noqa: PLC0415
    from streams.ops.own_topics import needed  # noqa: PLC0415
    from streams.ops.runs import topic_of  # noqa: PLC0415

    admin, shares = _shares(module)
    runs = topic_of(current().config().application)
    found = lacking(admin, [*LOGS, runs, *(planned.topic for planned in needed(shares))])
    if not found:  # Kafka's tool, should it follow, would fail on an empty list
        cause = "every topic has the copies that it can have"
        raise UserError(cause, "there is nothing to do", ExitCode.TOPICS)
    print(as_json(found))
    typer.echo(f"{len(found)} topics: {reassign(admin.settings.bootstrap)}", err=True)


app.command()(acls)


def _done(planned: Planned) -> Planned:
    """As it was planned, and is now."""
    from msgspec.structs import replace  # noqa: PLC0415

    return replace(planned, state="created") if planned.state == "missing" else planned


def _kind(source: bool, stored: bool, typed: bool) -> str:
    if source:
        return "source"
    if not typed:
        return "original"
    return "derived" if stored else "in memory"


def _shares(modules: list[str] | None, surely: bool = False) -> tuple[Admin, list[Share]]:
    """Who asks and changes the broker, and what it is about: each part as its run has it."""
    from streams.cli.runs import admin_of  # noqa: PLC0415
    from streams.ops.modules import select  # noqa: PLC0415
    from streams.ops.own_topics import shares  # noqa: PLC0415
    from streams.ops.runs import Runs  # noqa: PLC0415

    config = current().config()
    for module in modules or ():  # what is wrong with a name is said also without a broker
        select(config, module)
    admin = admin_of(config)
    known = Runs(admin, config.application).read(surely)
    return admin, shares(config, known, admin.settings.bootstrap, modules or ())


def _show(planned: Iterable[Planned], output: OutputOption) -> None:
    rows: list[Row] = [
        {
            "topic": p.topic,
            "partitions": p.partitions,
            "state": p.state,
            "settings": p.settings,
            "about": p.about,
        }
        for p in planned
    ]
    show(rows, output, ("topic", "partitions", "state", "about"))
