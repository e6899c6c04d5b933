"""Letters for people: a table of groups with histograms, one letter whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from streams.cli.listing import printable, show

if TYPE_CHECKING:
    from streams.ops.letters import Letter

_ORIGIN = ("topic", "step", "reason", "version")
GROUP_COLUMNS = {
    "dlq": (*_ORIGIN, "letters", "open", "redriven", "quarantined", "first", "last", "detail"),
    "late": (
        *_ORIGIN, "letters", "open", "redriven", "quarantined", "first", "last",
        "least_by_ms", "greatest_by_ms",
    ),
}  # fmt: skip
"""What a listing of groups shows."""
LETTER_COLUMNS = {
    "dlq": (
        "letter", "at", "topic", "partition", "offset", "step", "reason", "state", "replays",
        "detail",
    ),
    "late": (
        "letter", "at", "topic", "partition", "offset", "step", "reason", "by_ms", "state",
        "replays",
    ),
}  # fmt: skip
"""What a listing of letters shows."""
DETAIL = 60
"""Characters of a detail in the table of groups."""


def show_groups(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    """Print groups with a histogram each, and how wide its columns are."""
    from streams.ops.letter_counts import bars  # noqa: PLC0415

    shown = []
    for row in rows:
        detail = row["detail"]
        short = detail if len(detail) <= DETAIL else f"{detail[: DETAIL - 1]}…"
        when = {name: _second(row[name]) for name in ("first", "last")}
        shown.append({**row, **when, "detail": short, "when": f"▕{bars(row['histogram'])}▏"})
    at = columns.index("first")
    show(shown, "table", (*columns[:at], "when", *columns[at:]))
    if rows:
        first, last = min(row["first"] for row in rows), max(row["last"] for row in rows)
        letters = sum(row["letters"] for row in rows)
        typer.echo(f"\n{letters} letters; `when` is from {_second(first)} to {_second(last)}")
    else:
        typer.echo("\nno letters")


def _second(text: str) -> str:
    """A time without its milliseconds."""
    return f"{text[:19]}Z" if text.endswith("Z") and len(text) == 24 else text


def show_letter(letter: Letter, row: dict[str, Any], whole: bool) -> None:
    """Print one letter: what is known of it, then its headers, event and bytes."""
    from streams.ops.letter_show import HEX_BYTES, hex_dump  # noqa: PLC0415

    origin = f"{row['topic'] or '?'}:{_known(row['partition'])}:{_known(row['offset'])}"
    fields = {
        "letter": row["letter"],
        "written": row["at"],
        "state": row["state"],
        "reason": row["reason"],
        **{n: t for n, t in row["why"].items() if n not in _TOLD},
        "origin": origin,
        "origin time": row["timestamp"],
        "replays": "unreadable" if row["replays"] is None else row["replays"],
        "redriven": ", ".join(f"{done['at']} to {done['to']}" for done in row["redriven"]),
        "key": "none" if letter.key is None else _bytes(letter.key),
        "value": "none" if letter.value is None else f"{row['bytes']} bytes",
    }
    for name, content in fields.items():
        if content not in (None, ""):
            typer.echo(f"{name:<13}{printable(str(content))}")
    for name, text in row["headers"]:
        typer.echo(printable(f"header       {name}: {'null' if text is None else text}"))
    if row["event"] is not None:
        typer.echo(f"event        {printable(json.dumps(row['event'], ensure_ascii=False))}")
    elif row["error"]:
        typer.echo(f"no event     {printable(row['error'])}")
    if letter.value:
        typer.echo(hex_dump(letter.value, len(letter.value) if whole else HEX_BYTES))


_TOLD = ("cause", "topic", "partition", "offset", "timestamp")


def _known(number: int | None) -> str:
    return "?" if number is None else str(number)


def _bytes(raw: bytes) -> str:
    """Bytes as text where they are text, else in hex."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return f"hex {raw.hex()}"
