"""``streams source archive``: many raw blocks into their topics."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli import live
from streams.cli.options import current
from streams.sources import names

if TYPE_CHECKING:
    from rich.progress import Progress

    from streams.ops.archive import Summary, Watcher
    from streams.sources.archive import Archive


Files = Annotated[
    list[Path],
    typer.Argument(
        exists=True, help="Raw blocks (.raw, .hex, .xz), blk*.dat, or folders that hold them."
    ),
]
Prevouts = Annotated[
    list[Path] | None,
    typer.Option(exists=True, help="What a block's inputs spend: file or folder; repeatable."),
]
First = Annotated[
    int, typer.Option("--from", min=0, help="Lowest height to write; lower blocks are read.")
]
Last = Annotated[int | None, typer.Option("--to", min=0, help="Highest height to write.")]
Tip = Annotated[
    str | None, typer.Option(metavar="HASH", help="The chain ends here; else by most work.")
]
WithForks = Annotated[
    bool, typer.Option("--with-forks", help="Write stale blocks too, connected and undone.")
]
ParentTs = Annotated[
    int | None,
    typer.Option(metavar="MS", help="Event time of the first block's parent, if not here."),
]
Table = Annotated[
    bool | None,
    typer.Option(help="Keep a table of outputs for prevouts; else only without rev files."),
]
SkipDamaged = Annotated[
    bool, typer.Option("--skip-damaged", help="Leave out what is no block, and say so.")
]
Name = Annotated[str | None, typer.Option(help="Name of this source; by default archive-NETWORK.")]
Json = Annotated[bool, typer.Option("--json", help="A summary in JSON at the end.")]


def archive(
    files: Files,
    prevouts: Prevouts = None,
    network: live.Network = names.NETWORK,
    first: First = 0,
    last: Last = None,
    tip: Tip = None,
    with_forks: WithForks = False,
    parent_ts: ParentTs = None,
    table: Table = None,
    skip_damaged: SkipDamaged = False,
    name: Name = None,
    json_: Json = False,
) -> None:
    """Write many blocks to bitcoin.blocks and bitcoin.transactions, in the order of their chain.

    Files may be given in any order. A run that was stopped or killed goes on where it stood; the
    same blocks again are harmless.

    Examples:
      streams source archive ~/.bitcoin/blocks --from 840000
      streams source archive blocks/*.raw.xz --prevouts prevouts/
    """
    from streams.ops.archive import run_archive  # noqa: PLC0415
    from streams.sources.archive import ALL, Wanted  # noqa: PLC0415

    settings = live.ready()
    top = ALL if last is None else last
    wanted = Wanted(
        network=network, first=first, last=top, tip=tip, forks=with_forks, parent_ts=parent_ts,
        skip_damaged=skip_damaged, table=table,
    )  # fmt: skip
    asked, codec = live.end_asked(), current().codec()
    with _bar() as watcher, live.owned(names.of_archive(network, name)):
        summary = run_archive(
            settings, files, prevouts or (), wanted, name, watcher, asked.is_set, codec
        )
    _tell(summary, asked.is_set(), json_)


def _tell(summary: Summary, stopped: bool, as_json: bool) -> None:
    """What a person must know of the archive, on standard error; for programs, standard output."""
    if as_json:
        import msgspec  # noqa: PLC0415

        typer.echo(msgspec.json.encode(summary).decode())
    for words in _notes(summary):
        typer.echo(f"note: {words}", err=True)
    rate = round(summary.transactions / summary.seconds) if summary.seconds else 0
    typer.echo(
        f"heights {summary.first} to {summary.last}, {rate} transactions/s"
        if summary.blocks
        else "nothing was left to write",
        err=True,
    )
    if stopped:
        typer.echo("stopped; the same command goes on from here", err=True)
    typer.echo(f"{summary.events} events of {summary.blocks} blocks written", err=True)


def _notes(summary: Summary) -> Iterator[str]:
    if summary.resumed:
        yield summary.resumed
    yield from (f"no parent {gap}" for gap in summary.missing)
    yield from (f"damaged: {spoilt}" for spoilt in summary.damaged)
    if summary.repeated:
        yield f"{summary.repeated} blocks are there more than once"
    if summary.stale_count:
        shown = ", ".join(summary.stale)
        yield f"{summary.stale_count} stale blocks ({summary.disconnected} written): {shown}"
    yield from (f"a branch too long to be undone was left out: {one}" for one in summary.too_deep)
    if summary.unknown_prevouts:
        yield f"{summary.unknown_prevouts} inputs spend outputs that are not in the archive"


@contextmanager
def _bar() -> Iterator[Watcher | None]:
    """A bar by bytes, with rate and remaining time, where standard error is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Bar(progress)


class _Bar:
    """Shows how far a run is."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("reading headers", total=None, rate="")
        self._transactions = self._filled = 0

    def begins(self, archive: Archive, size: int) -> None:
        self._progress.reset(self._task, total=size, description="blocks", rate="")

    def fills(self, blocks: int) -> None:
        self._filled += blocks
        words = f"{self._filled} earlier blocks read for their outputs"
        self._progress.update(self._task, rate=words)

    def wrote(self, size: int, transactions: int, height: int) -> None:
        self._transactions += transactions
        elapsed = self._progress.tasks[self._task].elapsed or 1.0
        words = f"height {height}, {self._transactions / elapsed:.0f} tx/s"
        self._progress.update(self._task, advance=size, rate=words)
