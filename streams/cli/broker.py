"""``streams broker``: the embedded Kafka that outlives its command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.errors import ExitCode, UserError
from streams.cli.listing import OutputOption, show

if TYPE_CHECKING:
    from streams.broker import BrokerInfo

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
    help="Start and stop the embedded Kafka broker.\n\nExample: streams broker start",
)


@app.command()
def start(
    data_dir: Annotated[
        Path | None, typer.Option(help="Where its data lies; by default the user's data folder.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 0,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for it.")] = 60.0,
    output: OutputOption = "table",
) -> None:
    """Start Apache Kafka on 127.0.0.1, or show the one that runs; it stays when this ends.

    Its parts are fetched once and checked against the committed lock before every start.

    Example: streams broker start --port 9092
    """
    from streams.broker import start_detached  # noqa: PLC0415

    info = start_detached(data_dir, port=port, timeout_s=timeout, progress=_say)
    _show(info, output)


@app.command()
def stop(output: OutputOption = "table") -> None:
    """Stop the broker that `streams broker start` started; its data stays.

    Example: streams broker stop
    """
    from streams.broker import stop_detached  # noqa: PLC0415

    info = stop_detached(progress=_say)
    if info is None:
        _say("no embedded broker was running")
    else:
        _show(info, output, "stopped")


@app.command()
def status(output: OutputOption = "table") -> None:
    """Show the embedded broker that runs; exit code 4 when there is none.

    Example: streams broker status --output json
    """
    from streams.broker import running  # noqa: PLC0415

    info = running()
    if info is None:
        raise UserError(
            "no embedded broker is running",
            "start one with `streams broker start`",
            ExitCode.BROKER,
        )
    _show(info, output)


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _show(info: BrokerInfo, output: OutputOption, state: str = "running") -> None:
    from schemas.headers import time_text  # noqa: PLC0415

    row = {
        "state": state,
        "broker": info.bootstrap,
        "pid": info.pid,
        "kafka": info.kafka,
        "started": time_text(info.started_ms),
        "detached": info.detached,
        "data_dir": str(info.data_dir),
        "log": str(info.log),
    }
    show([row], output, tuple(row))
