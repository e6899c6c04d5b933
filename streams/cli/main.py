"""``streams``: the commands as a table, each imported only when it is used."""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, NamedTuple

import typer

from streams.cli.errors import ExitCode
from streams.cli.group import CommandTable, Root
from streams.cli.options import current


class Entry(NamedTuple):
    """Where a command lives, and its line in ``streams --help``."""

    place: str
    """``module:attribute``: a function is one command, a ``typer.Typer`` a group."""
    summary: str


COMMANDS: dict[str, Entry] = {
    "demo": Entry("streams.cli.demo:demo", "Play real Bitcoin input and show what comes out."),
    "worker": Entry("streams.cli.worker:worker", "Run a worker of the main job."),
    "replay": Entry("streams.cli.replay:app", "Do it all again beside what runs; switch over."),
    "backfill": Entry("streams.cli.backfill:backfill", "Replay a part of the past."),
    "lag": Entry("streams.cli.lag:lag", "Show what is left to read and what holds time back."),
    "transactions": Entry(
        "streams.cli.transactions:app", "Show whose transactions readers wait for; end one."
    ),
    "broker": Entry("streams.cli.broker:app", "Start and stop the embedded Kafka broker."),
    "topics": Entry("streams.cli.topics:app", "List the topics; make a broker agree with them."),
    "source": Entry("streams.cli.source:app", "Fill the source topics from outside."),
    "record": Entry("streams.cli.live:record", "Capture the source topics to a file."),
    "sink": Entry("streams.cli.sink:sink", "Carry results from topics to a target."),
    "produce": Entry("streams.cli.produce:produce", "Write JSON lines to a topic as events."),
    "consume": Entry("streams.cli.consume:consume", "Read the events of a topic."),
    "schemas": Entry("streams.cli.schemas:app", "List, number, release and check the schemas."),
    "dlq": Entry("streams.cli.dlq:app", "Look at records that failed; write them back."),
    "late": Entry("streams.cli.late:app", "The same for records that came too late."),
    "topology": Entry("streams.cli.topology:topology", "Draw the steps and the topics."),
    "config": Entry("streams.cli.config:app", "Show the settings and where each comes from."),
    "doctor": Entry("streams.cli.doctor:doctor", "Check this installation and the broker."),
}
"""One line a command; ``streams --help`` reads this table and imports none of the modules."""


class Streams(Root):
    """The root command."""

    table = CommandTable(COMMANDS)


app = typer.Typer(
    cls=Streams,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from streams import __version__  # noqa: PLC0415

        typer.echo(f"streams {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    broker: Annotated[
        str | None,
        typer.Option(
            envvar="STREAMS_BROKER",
            show_envvar=True,
            metavar="HOST:PORT",
            help="Kafka to use; by default the embedded one that runs.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            envvar="STREAMS_CONFIG",
            show_envvar=True,
            metavar="FILE",
            help="Settings in TOML; by default streams.toml in this folder, if there is one.",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="One setting; may be repeated."),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Real-time risk and identity intelligence for Bitcoin, on Kafka.

    The options below may also follow the command.

    Examples:
      streams demo
      streams broker start
      streams topics apply
      streams consume alerts --from-beginning
    """
    options = current()
    options.broker, options.config_file, options.debug = broker, config, debug
    options.flags = dict(_setting(text) for text in set_ or ())


def _setting(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign:
        raise typer.BadParameter(f"--set needs NAME=VALUE, not {text!r}")
    return name.replace("-", "_"), _content(value)


def _content(text: str) -> Any:
    """A list or a table is written as JSON; anything else is converted by the setting's type."""
    if text[:1] not in ("[", "{"):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"--set: not JSON: {error}") from error


def _one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an error that nobody foresaw: the traceback only with ``--debug``."""
    if current().debug:
        traceback.print_exception(kind, error, trace)
    print(f"error: unexpected {kind.__name__}: {' '.join(str(error).split())}", file=sys.stderr)
    print("remedy: run again with --debug and report what it prints", file=sys.stderr)


def main() -> None:
    """Run the command line; the process ends with a code of ``streams.cli.errors.ExitCode``."""
    sys.excepthook = _one_line
    command = typer.main.get_command(app)
    sys.exit(command.main(prog_name="streams") or ExitCode.OK)


if __name__ == "__main__":
    main()
