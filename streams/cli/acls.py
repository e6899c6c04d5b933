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
    from streams.engine.rights import Right
    from streams.topics import Topic

Role = Literal["worker", "operator", "observer", "source", "sink", "reader", "producer"]
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
        list[str] | None, typer.Option(help="Topic that is read or written; repeatable.")
    ] = None,
    group: Annotated[str | None, typer.Option(help="Consumer group of a reader.")] = None,
    kind: Annotated[Kind, typer.Option(help="Which source.")] = "bitcoin",
    network: Network = names.NETWORK,
    name: Annotated[
        str | None,
        typer.Option(
            help="--name of the source, by default that of its command; file of a recording; or "
            "which sink, as postgres."
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

    Roles: worker, operator (topics apply, doctor), observer (lag, topics plan), source, sink,
    reader (consume), producer (produce).

    Examples:
      streams topics acls worker --principal User:worker
      streams topics acls worker --only join_entities -o json
      streams topics acls source --kind bitcoin --network main --principal User:node
      streams topics acls reader --topic alerts --group my-app --principal User:app
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

    if role not in ("worker", "operator", "observer", "sink", "reader"):
        return []
    return [Right("topic", topic_of(current().config().application), "READ")]


def _rights(
    role: Role,
    module: str | None,
    only: str | None,
    chosen: list[str] | None,
    group: str | None,
    kind: Kind,
    own: str,
) -> list[Right]:
    from streams.engine import rights as engine  # noqa: PLC0415
    from streams.engine.settings import settings_of  # noqa: PLC0415
    from streams.ops import rights  # noqa: PLC0415
    from streams.ops.modules import select  # noqa: PLC0415
    from streams.topics import DERIVED  # noqa: PLC0415

    config = current().config()
    selection, settings = select(config, module, only), settings_of(config, "")
    if role == "sink":
        return rights.of_sink(own, _topics(chosen, module) or DERIVED)
    if role == "reader":
        return rights.of_reader(_topics(chosen, module, role), group)
    if role == "producer":
        return rights.of_producer(_topics(chosen, module, role))
    if role == "source":
        return rights.of_source(kind, own, settings)
    if role == "operator":
        return rights.of_operator(selection, settings)
    if role == "observer":
        return rights.of_observer(selection, settings)
    return engine.of_worker(selection, settings)


def _own(role: Role, kind: Kind, network: str, name: str | None) -> str:
    """The name in the rights of a source or a sink: what the source writes as, and which sink."""
    if role == "sink" and name is None:
        raise UserError("which sink is not said", "name it with --name, such as --name postgres")
    if role != "source":
        return name or ""
    if kind == "archive":
        return names.of_archive(network, name)
    if kind == "bitcoin":
        return names.of_bitcoin(network, name or names.BITCOIN)
    if kind == "dwn":
        return names.of_dwn(name or names.DWN)
    if name is None:
        raise UserError("which recording is not said", "name its file with --name")
    return names.of_recording(name)


def _topics(chosen: list[str] | None, module: str | None, role: Role | None = None) -> list[Topic]:
    from streams.cli.naming import find_typed  # noqa: PLC0415

    if role is not None and not chosen:
        raise UserError(f"a {role} of which topics is not said", "name each with --topic")
    return [find_typed(name, module) for name in chosen or ()]


def _principal() -> str:
    """Who the settings say that we are, as Kafka names him."""
    user = current().config().kafka.user
    if user is None:
        raise UserError("to whom is not said", "name the principal: --principal User:NAME")
    return f"User:{user}"
