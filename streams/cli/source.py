"""``streams source``: fill the source topics from outside."""

from __future__ import annotations

import typer

from streams.cli import live
from streams.cli.archive import archive
from streams.cli.dwn import dwn

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
    help="Fill the source topics from outside."
    "\n\nExample: streams source archive 413567.raw.xz --network main",
)

app.command("archive")(archive)
app.command("bitcoin")(live.bitcoin)
app.command("dwn")(dwn)
app.command("recording")(live.recording)
app.command("retire")(live.retire)
