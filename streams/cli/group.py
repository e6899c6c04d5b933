"""The root command: lazy sub-commands, options before or after them, errors in two lines."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup

from streams.cli.errors import ExitCode, Failure, explain, foreseen
from streams.cli.options import current

_WITH_VALUE = ("--broker", "--config", "--set")
_FLAGS = ("--debug",)
_NEAR = re.compile(r"\(?(Possible options:|Did you mean) (?P<names>.*?)[?)]*$")
Command = Any
"""A command or group; Typer does not export their common base, nor the class of a context."""


class CommandTable(MutableMapping[str, Any]):
    """Commands by name, each built when it is first asked for."""

    def __init__(self, entries: Mapping[str, Any]) -> None:
        self.entries = entries
        self._built: dict[str, Command] = {}

    def __getitem__(self, name: str) -> Command:
        if name not in self._built:
            self._built[name] = build(name, self.entries[name].place)
        return self._built[name]

    def __setitem__(self, name: str, command: Command) -> None:
        self._built[name] = command

    def __delitem__(self, name: str) -> None:
        del self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


def build(name: str, place: str) -> Command:
    """Import ``module:attribute`` and make the command or group that it is."""
    module, _, attribute = place.partition(":")
    found = getattr(import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        group = typer.Typer(rich_markup_mode=None, add_completion=False)
        group.command(name)(found)
        found = group
    command = typer.main.get_command(found)
    command.name = name
    keep_examples(command)
    return command


def keep_examples(command: Command) -> None:
    """Mark the paragraphs of examples in the help of a command, so that lines stay lines."""
    if command.help:
        paragraphs = command.help.split("\n\n")
        command.help = "\n\n".join(
            f"\b\n{text}" if text.startswith("Example") else text for text in paragraphs
        )
    for child in getattr(command, "commands", {}).values():
        keep_examples(child)


class Root(TyperGroup):
    """The root command; sub-classes name the table of commands."""

    table: ClassVar[CommandTable]

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**{**attrs, "commands": {}})
        self.commands = self.table
        self.no_args_is_help = True
        self.help = (self.help or "").replace("Examples:", "\b\nExamples:")

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the table's order."""
        return list(self.table)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the table's lines, importing none of the commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, e.summary) for name, e in self.table.entries.items()])

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Accept the root's options anywhere, as most command lines do."""
        return super().parse_args(ctx, hoist(args))

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a reader that went away is not an error of ours."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except BrokenPipeError:
            _drop_output()
            raise typer.Exit(ExitCode.PIPE_CLOSED) from None

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run and return the exit code; in standalone mode the process ends with it."""
        code = self._guarded(args, prog_name, complete_var, windows_expand_args, extra)
        if standalone_mode:
            sys.exit(code)
        return code

    def _guarded(
        self,
        args: Sequence[str] | None,
        prog_name: str | None,
        complete_var: str | None,
        expand: bool,
        extra: dict[str, Any],
    ) -> int:
        try:
            result = super().main(args, prog_name, complete_var, False, expand, **extra)
        except typer.TyperException as error:
            return _refused(error)
        except typer.Abort as error:
            return _report(error, Failure("stopped", "start again", ExitCode.INTERRUPTED))
        except foreseen() as error:
            return _report(error, explain(error))
        return int(result or ExitCode.OK)


def hoist(args: Sequence[str]) -> list[str]:
    """Move the root's options in front; what follows ``--`` stays.

    >>> hoist(["consume", "alerts", "--broker", "h:1", "--debug"])
    ['--broker', 'h:1', '--debug', 'consume', 'alerts']
    """
    front: list[str] = []
    rest: list[str] = []
    words = iter(args)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in _FLAGS or word.startswith(tuple(f"{name}=" for name in _WITH_VALUE)):
            front.append(word)
        elif word in _WITH_VALUE:
            front += [word, *[value for value in [next(words, None)] if value is not None]]
        else:
            rest.append(word)
    return front + rest


def _refused(error: typer.TyperException) -> int:
    """A command line that cannot be understood; one without a command gets the help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(error.message, err=True)
        return ExitCode.USAGE
    return _report(error, _usage(error))


def _usage(error: typer.TyperException) -> Failure:
    context = getattr(error, "ctx", None)
    where = "streams" if context is None else context.command_path
    words = " ".join(error.format_message().split())
    near = _NEAR.search(words)
    if near is None:
        return Failure(words.rstrip("."), f"see `{where} --help`", ExitCode.USAGE)
    remedy = f"did you mean {near['names']}? See `{where} --help`"
    return Failure(words[: near.start()].rstrip(". "), remedy, ExitCode.USAGE)


def _report(error: BaseException, failure: Failure) -> int:
    if current().debug:
        traceback.print_exception(error)
    _say("error", failure.cause)
    _say("remedy", failure.remedy)
    return failure.code


def _say(label: str, words: str) -> None:
    print(f"{label}: {' '.join(words.split())}", file=sys.stderr)


def _drop_output() -> None:
    """Send what is still buffered nowhere, so that the interpreter's last flush succeeds."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
