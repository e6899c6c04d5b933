"""Rows as a table for people, or as json, ndjson or csv for programs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

import typer

Output = Literal["table", "json", "ndjson", "csv"]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="Form of the listing.")]
Row = Mapping[str, Any]

WIDE = 100_000
"""Columns of a table that no terminal shows: nothing is cut when output goes to a file."""


def show(rows: Iterable[Row], output: Output, columns: Sequence[str]) -> None:
    """Print rows to standard output; ``columns`` are those of table and csv."""
    if output == "table":
        _table(rows, columns)
    elif output == "json":
        print(json.dumps([dict(row) for row in rows], indent=2, ensure_ascii=False))
    elif output == "ndjson":
        for row in rows:
            print(json.dumps(dict(row), ensure_ascii=False))
    else:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([cell(row.get(name)) for name in columns] for row in rows)


def cell(value: Any) -> str:
    """A value as the text of one cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return str(value)


def printable(text: str) -> str:
    r"""Text of strangers without what could command a terminal.

    >>> printable("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _table(rows: Iterable[Row], columns: Sequence[str]) -> None:
    from rich.console import Console  # noqa: PLC0415 - `streams --help` is fast without it
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    shown = sys.stdout.isatty()
    console = Console(width=None if shown else WIDE)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell(row.get(name)))) for name in columns))
    with console.capture() as captured:
        console.print(table)
    print("\n".join(line if shown else line.rstrip() for line in captured.get().splitlines()))
