"""``streams source``: fill the source topics from outside."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from streams.cli import live
from streams.cli.options import current

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
    help="Fill the source topics from outside."
    "\n\nExample: streams source archive 413567.raw.xz --network main",
)


@app.command()
def archive(
    files: Annotated[
        list[Path],
        typer.Argument(exists=True, dir_okay=False, help="Raw block files, plain or .xz."),
    ],
    prevouts: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="What a block's inputs spend; repeatable."),
    ] = None,
    network: Annotated[
        Literal["main", "test", "signet", "regtest"], typer.Option(help="Bitcoin network.")
    ] = "main",
) -> None:
    """Write raw block files to bitcoin.blocks and bitcoin.transactions, in chain order.

    One transaction a block, with its watermark and cursor; sending a block again is harmless.

    Examples:
      streams source archive blocks/*.raw.xz
      streams source archive 413567.raw.xz --prevouts 413567.json.xz
    """
    from streams.ops.play import play_archive  # noqa: PLC0415

    settings = live.ready()
    with _bar(len(files)) as played:
        total = play_archive(settings, files, prevouts or (), network, played, current().codec())
    typer.echo(f"{total} events of {len(files)} blocks written", err=True)


app.command("bitcoin")(live.bitcoin)
app.command("dwn")(live.dwn)
app.command("recording")(live.recording)
app.command("retire")(live.retire)


@contextmanager
def _bar(blocks: int) -> Iterator[Callable[[int], None]]:
    """Blocks done and events written; a line a block where there is no terminal."""
    if not sys.stderr.isatty():
        yield lambda count: typer.echo(f"block of {count} events written", err=True)
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import MofNCompleteColumn, Progress  # noqa: PLC0415

    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("blocks", total=blocks)
        yield lambda count: progress.advance(task)
