"""``streams transactions``: what is open on the brokers, and an end to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.listing import Output, OutputOption, Row, show
from streams.cli.options import current

if TYPE_CHECKING:
    from streams.ops.transactions import Transaction

COLUMNS = (
    "transactional_id", "state", "age_s", "timeout_s", "producer_id", "epoch", "coordinator",
    "partitions",
)  # fmt: skip
app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
    help="Show whose transactions readers wait for; end one.\n\nExample: streams transactions ls",
)


@app.command()
def ls(
    older_than: Annotated[
        float, typer.Option(metavar="SECONDS", help="Only those open for longer.", min=0)
    ] = 0,
    output: OutputOption = "table",
    json_: Annotated[bool, typer.Option("--json", help="The same as --output json.")] = False,
) -> None:
    """List the transactions that are open now, of everybody, the oldest first.

    Whoever reads committed data waits where they have written (`partitions`) until they end. Kafka
    ends one that is older than its `timeout_s` by itself. Only what we may DESCRIBE is shown. In a
    running system there are always some, a fraction of a second old.

    Examples:
      streams transactions ls
      streams transactions ls --older-than 10 --json
    """
    from streams.ops.transactions import open_transactions  # noqa: PLC0415

    found = [t for t in open_transactions(_kafka()) if t.age_s >= older_than]
    _show(found, "json" if json_ else output)
    typer.echo(f"{len(found)} open transactions", err=True)


@app.command()
def abort(
    transactional_id: Annotated[str, typer.Argument(help="As `streams transactions ls` says.")],
    output: OutputOption = "table",
) -> None:
    """End an open transaction: nothing of it will ever be read, and its writer is shut out.

    A writer that still lives finds that out at its next call, and fails: a worker of ours ends with
    exit code 3, is started again, and does the work again. Needs the right to WRITE on the id.

    Example: streams transactions abort billing-7
    """
    from streams.ops.transactions import abort as end  # noqa: PLC0415

    _show([end(_kafka(), transactional_id)], output)
    typer.echo("1 transaction aborted", err=True)


def _kafka() -> dict[str, Any]:
    from streams.ops.target import require_broker  # noqa: PLC0415
    from streams.wire.mapping import librdkafka  # noqa: PLC0415

    options = current()
    bootstrap, kafka = options.bootstrap(), librdkafka(options.config().kafka)
    require_broker(bootstrap, kafka)
    return {**kafka, "bootstrap.servers": bootstrap}


def _show(found: list[Transaction], output: Output) -> None:
    import msgspec  # noqa: PLC0415

    rows: list[Row] = [msgspec.structs.asdict(transaction) for transaction in found]
    if output == "table":
        rows = [{**row, "partitions": " ".join(row["partitions"])} for row in rows]
    show(rows, output, COLUMNS)
