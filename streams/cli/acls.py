"""``streams topics acls``: the rights of least right, role by role, for a broker with ACLs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streams.cli.errors import UserError
from streams.cli.listing import show
from streams.cli.live import Network
from streams.cli.options import current
from streams.sources import names

if TYPE_CHECKING:
    from collections.abc import Callable

    from streams.config import Config
    from streams.engine.rights import Right
    from streams.ops.replaying import Job
    from streams.topics import Topic

Role = Literal[
    "worker", "operator", "observer", "source", "sink", "reader", "producer", "reviewer",
    "redriver", "replayer", "recorder", "aborter",
]  # fmt: skip
Form = Literal["lines", "table", "json", "ndjson", "csv"]
Kind = Literal["archive", "bitcoin", "dwn", "recording"]


def acls(
    role: Annotated[Role, typer.Argument(help="Who is to have the rights.")],
    principal: Annotated[
        str, typer.Option(help="To whom Kafka gives them; by default the user of the settings.")
    ] = "",
    module: Annotated[
        str | None, typer.Option(metavar="MODULE", help="Of a worker or topics of your own steps.")
    ] = None,
    only: Annotated[
        str | None, typer.Option(metavar="STEP,...", help="Of a worker of these steps alone.")
    ] = None,
    topic: Annotated[
        list[str] | None,
        typer.Option(help="Topic that is read or written, as alerts or v2.alerts; repeatable."),
    ] = None,
    group: Annotated[str | None, typer.Option(help="Consumer group of a reader.")] = None,
    kind: Annotated[Kind, typer.Option(help="Which source.")] = "bitcoin",
    network: Network = names.NETWORK,
    name: Annotated[
        str | None,
        typer.Option(
            help="--name of the source, by default that of its command; file of a recording; "
            "which sink, as postgres; or somebody else's transactional id, of an aborter."
        ),
    ] = None,
    command_config: Annotated[
        str, typer.Option(metavar="FILE", help="Of kafka-acls.sh: how it reaches the broker.")
    ] = "admin.properties",
    output: Annotated[
        Form, typer.Option("--output", "-o", help="lines: commands to run; else a listing.")
    ] = "lines",
) -> None:
    """Print the rights that a role needs on a broker with ACLs, and no more. No broker is needed.

    Roles: worker, operator (topics apply, doctor), observer (lag, topics plan, transactions ls),
    source, sink, reader (consume), producer (produce), reviewer (dlq and late: ls, show), redriver
    (dlq and late: redrive), replayer (replay, backfill), recorder (record), aborter (transactions).

    The run that run.name names is meant, else the original: the current one is not asked for.

    Examples:
      streams topics acls worker --principal User:worker
      streams topics acls worker --only join_entities -o json
      streams topics acls source --kind bitcoin --network main --principal User:node
      streams topics acls reader --topic alerts --group my-app --principal User:app
      streams --set run.name=v2 topics acls replayer --principal User:replay
    """
    from streams.ops.rights import lines, rows  # noqa: PLC0415

    options = current()
    own = _own(role, kind, network, name)
    found = sorted({*_rights(role, module, only, topic, group, kind, own), *_of_runs(role)})
    who = principal or _principal()
    if output == "lines":
        bootstrap = options.broker or "localhost:9092"
        print("\n".join(lines(found, who, bootstrap, command_config)))
        return
    columns = ("principal", "kind", "name", "pattern", "operation")
    show(rows(found, who), output, columns)


def _of_runs(role: Role) -> list[Right]:
    """Who follows the current run has to be able to read which one that is."""
    from streams.engine.rights import Right  # noqa: PLC0415
    from streams.ops.runs import topic_of  # noqa: PLC0415

    if role not in ("worker", "operator", "observer", "sink", "reader", "replayer"):
        return []
    return [Right("topic", topic_of(current().config().application), "READ")]


def _rights(
    role: Role,
    module: str | None,
    only: str | None,
    chosen: list[str] | None,
    group: str | None,
    kind: Kind,
    own: str | None,
) -> list[Right]:
    from streams.engine import rights as engine  # noqa: PLC0415
    from streams.engine.settings import settings_of  # noqa: PLC0415
    from streams.ops import rights  # noqa: PLC0415
    from streams.ops.modules import select  # noqa: PLC0415

    config, found = current().config(), _topics(role, chosen, module)
    selection, settings = select(config, module, only), settings_of(config, "")
    of: dict[Role, Callable[[], list[Right]]] = {
        "worker": lambda: engine.of_worker(selection, settings),
        "operator": lambda: rights.of_operator(selection, settings),
        "observer": lambda: rights.of_observer(selection, settings),
        "source": lambda: rights.of_source(kind, own or "", settings),
        "sink": lambda: rights.of_sink(own or "", found),
        "reader": lambda: rights.of_reader(found, group),
        "producer": lambda: rights.of_producer(found),
        "reviewer": rights.of_reviewer,
        "redriver": lambda: rights.of_redriver(selection, settings, found),
        "replayer": lambda: rights.of_replayer(*_jobs(config, module)),
        "recorder": rights.of_recorder,
        "aborter": lambda: rights.of_aborter(selection, settings, own),
    }
    return of[role]()


def _jobs(config: Config, module: str | None) -> tuple[Job, Job]:
    """The run that is named, and the original."""
    from msgspec.structs import replace  # noqa: PLC0415

    from streams.config import RunSettings  # noqa: PLC0415
    from streams.engine.settings import settings_of  # noqa: PLC0415
    from streams.ops.modules import select  # noqa: PLC0415
    from streams.ops.replaying import Job  # noqa: PLC0415

    if not config.run.name:
        raise UserError(
            "a replayer of which run is not said",
            "name it: streams --set run.name=NAME topics acls replayer",
        )
    run, first = (
        Job(select(own, module), settings_of(own, ""), own)
        for own in (config, replace(config, run=RunSettings()))
    )
    return run, first


def _own(role: Role, kind: Kind, network: str, name: str | None) -> str | None:
    """The name in the rights of a source, a sink or an aborter: what is known by it."""
    if role == "sink" and name is None:
        raise UserError("which sink is not said", "name it with --name, such as --name postgres")
    if role != "source":
        return name
    if kind == "archive":
        return names.of_archive(network, name)
    if kind == "bitcoin":
        return names.of_bitcoin(network, name or names.BITCOIN)
    if kind == "dwn":
        return names.of_dwn(name or names.DWN)
    if name is None:
        raise UserError("which recording is not said", "name its file with --name")
    return names.of_recording(name)


def _topics(role: Role, chosen: list[str] | None, module: str | None) -> list[Topic]:
    """What is read or written, as the run that is meant names it; producers fill sources."""
    from streams.cli.naming import find_in_run, find_typed  # noqa: PLC0415
    from streams.engine.rerun import topic_in  # noqa: PLC0415
    from streams.topics import DERIVED  # noqa: PLC0415

    run = current().config().run.beside
    if role in ("reader", "producer") and not chosen:
        raise UserError(f"a {role} of which topics is not said", "name each with --topic")
    if role == "producer":
        return [find_typed(name, module) for name in chosen or ()]
    if role == "sink" and not chosen:
        return [topic_in(run, topic) for topic in DERIVED]
    return [find_in_run(name, module, run) for name in chosen or ()]


def _principal() -> str:
    """Who the settings say that we are, as Kafka names him."""
    user = current().config().kafka.user
    if user is None:
        raise UserError("to whom is not said", "name the principal: --principal User:NAME")
    return f"User:{user}"
