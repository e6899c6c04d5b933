"""``streams config``: the settings in force."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.listing import OutputOption, Row
from streams.cli.listing import show as show_rows
from streams.cli.options import current

if TYPE_CHECKING:
    from streams.config import Config

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
    help="Show the settings and where each comes from.\n\nExample: streams config show --origin",
)
HIDDEN = "(hidden)"


@app.command()
def show(
    origin: Annotated[bool, typer.Option("--origin", help="Also where each comes from.")] = False,
    output: OutputOption = "table",
) -> None:
    """Show every setting as it is in force: --set, then STREAMS_ environment, file, default.

    Secrets are never printed.

    Example: streams config show --origin
    """
    from streams.config import load  # noqa: PLC0415

    options = current()
    loaded = load(options.flags, path=options.config_file)
    rows: list[Row] = [
        {"setting": name, "value": setting(loaded.config, name), "origin": said(where)}
        for name, where in loaded.origins.items()
    ]
    columns = ("setting", "value", "origin") if origin else ("setting", "value")
    show_rows([{n: row[n] for n in columns} for row in rows], output, columns)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the settings file, for editors.

    Example: streams config schema > streams.schema.json
    """
    import msgspec  # noqa: PLC0415

    from streams.config import Config  # noqa: PLC0415

    print(json.dumps(msgspec.json.schema(Config), indent=2))


def setting(config: Config, name: str) -> Any:
    """One value by its dotted name, as plain data; hidden when its name says that it is secret."""
    import msgspec  # noqa: PLC0415

    from streams.config import is_secret  # noqa: PLC0415

    if is_secret(name):
        return HIDDEN
    value: Any = config
    for part in name.split("."):
        value = getattr(value, part)
    return msgspec.to_builtins(value)


def said(origin: str) -> str:
    """Where a value comes from; flags are given by --set here."""
    prefix, flag, name = origin.partition("flag --")
    return f"--set {name.replace('-', '_')}" if flag and not prefix else origin
