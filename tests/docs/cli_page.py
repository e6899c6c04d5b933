"""The generated part of docs/reference/cli.md: every command, as its own help has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from streams.cli.main import COMMANDS, app


def page() -> str:
    """A section for each command, in the order of ``streams --help``; groups hold theirs."""
    root: Any = typer.main.get_command(app)
    context = root.make_context("streams", [], resilient_parsing=True)
    parts = [_body(root, context)]
    for name in COMMANDS:
        parts += _sections(root.commands[name], name, context, 2)
    return "\n\n".join(parts)


def _sections(command: Any, name: str, above: Any, level: int) -> Iterator[str]:
    context = command.make_context(name, [], parent=above, resilient_parsing=True)
    yield f"{'#' * level} {context.command_path}\n\n{_body(command, context)}"
    for word, child in getattr(command, "commands", {}).items():
        yield from _sections(child, word, context, level + 1)


def _body(command: Any, context: Any) -> str:
    words, examples = _help(command.help)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [*words, f"```text\n{usage}\n```", *_options(command, context)]
    if examples:
        parts.append("\n".join(["```console", *examples, "```"]))
    return "\n\n".join(parts)


def _help(text: str) -> tuple[list[str], list[str]]:
    """Paragraphs, and the lines of the examples."""
    words, examples = [], list[str]()
    for paragraph in text.replace("\b\n", "").split("\n\n"):
        if paragraph.startswith("Example"):
            head, *lines = paragraph.splitlines()
            examples += _lines([head.partition(":")[2], *lines])
        else:
            words.append(" ".join(paragraph.split()))
    return words, examples


def _lines(lines: list[str]) -> Iterator[str]:
    """Each command with its prompt; a line that goes on is indented."""
    goes_on = False
    for line in filter(str.strip, lines):
        yield f"{'    ' if goes_on else '$ '}{line.strip()}"
        goes_on = line.endswith("\\")


def _options(command: Any, context: Any) -> Iterator[str]:
    records = [one.get_help_record(context) for one in command.get_params(context)]
    rows = [f"| {_code(names)} | {_cell(words)} |" for names, words in filter(None, records)]
    if context.parent is not None:
        rows = [row for row in rows if "`-h, --help`" not in row]
    if rows:
        yield "\n".join(["| Argument or option | Meaning |", "|---|---|", *rows])


def _code(names: str) -> str:
    """Names as code; a bar would end the cell, also between backticks."""
    if "|" not in names:
        return f"`{names}`"
    return f"<code>{_cell(names).rstrip()}</code>"


def _cell(text: str) -> str:
    """Text that stays in its cell."""
    return " ".join(text.split()).replace("<", "&lt;").replace("|", "&#124;")
