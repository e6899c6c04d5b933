"""``streams schemas``: the event types, their ids, their releases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.errors import ExitCode, UserError
from streams.cli.listing import Output, OutputOption, Row, show
from streams.cli.options import current

if TYPE_CHECKING:
    from streams.registry import Registry

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
    help="List, number, release, check and register the schemas; offline, but for a registry."
    "\n\nExample: streams schemas check",
)


@app.command("list")
def list_(output: OutputOption = "table") -> None:
    """List every event type with its schema id, its file, and what it is about.

    Example: streams schemas list --output json
    """
    from schemas.catalog import IDS_LOCK, TYPES  # noqa: PLC0415
    from schemas.registry import fingerprint, schema_text  # noqa: PLC0415

    lock = json.loads(IDS_LOCK.read_text())
    rows: list[Row] = [
        {
            "type": event_type.name,
            "id": lock.get(event_type.name, {}).get("id"),
            "about": json.loads(event_type.path.read_text()).get("doc", ""),
            "fields": list(event_type.cls.__struct_fields__),
            "sha256": fingerprint(schema_text(event_type)),
            "file": str(event_type.path),
        }
        for event_type in TYPES
    ]
    show(rows, output, ("type", "id", "about", "file"))


@app.command()
def check(
    released: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, help="Folder to compare with; else the last release."
        ),
    ] = None,
    present: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder of the schemas to check."),
    ] = None,
    registry: Annotated[
        bool, typer.Option("--registry", help="Ask the configured registry instead.")
    ] = False,
    output: OutputOption = "table",
) -> None:
    """Compare the schemas with those of the last release: may each read the other's data?

    Ends with exit code 9 on an incompatible change, and when a type has no id or was edited after
    it had one. With --registry, its compatibility rules decide; nothing is registered.

    Examples:
      streams schemas check
      streams schemas check --registry
    """
    from schemas.catalog import AVRO_DIR  # noqa: PLC0415
    from schemas.compat import breaks  # noqa: PLC0415
    from schemas.release import load  # noqa: PLC0415

    if present is None:
        _check_ids()
    if registry:
        _ask(present or AVRO_DIR, output)
        return
    folder = released or _last_release()
    found = breaks(load(folder), load(present or AVRO_DIR))
    rows: list[Row] = [b._asdict() for b in found]
    if rows or output != "table":
        show(rows, output, ("type", "against", "direction", "place", "words"))
    if found:
        raise UserError(
            f"{len(found)} incompatible changes since {folder.name}",
            "add fields with defaults and keep the old ones, or make another family of types",
            ExitCode.INCOMPATIBLE,
        )
    typer.echo(f"compatible with {folder.name}", err=True)


@app.command()
def lock(output: OutputOption = "table") -> None:
    """Give the next ids to event types that have none; ids that were given stay for ever.

    Example: streams schemas lock
    """
    from schemas.catalog import IDS_LOCK  # noqa: PLC0415
    from schemas.registry import next_lock  # noqa: PLC0415

    old = json.loads(IDS_LOCK.read_text()) if IDS_LOCK.exists() else {}
    new = next_lock(old)
    added: list[Row] = [{"type": n, "id": e["id"]} for n, e in new.items() if n not in old]
    if added:
        IDS_LOCK.write_text(json.dumps(new, indent=2) + "\n")
    show(added, output, ("type", "id"))
    typer.echo(f"{len(added)} types numbered, {len(new)} in all", err=True)


@app.command()
def register(output: OutputOption = "table") -> None:
    """Register every schema with the configured registry, under the subject of each of its topics.

    Repeating it changes nothing. A registry that holds an incompatible schema refuses, exit code 9.

    Example: streams schemas register --set schema_registry=http://127.0.0.1:8081
    """
    from schemas.catalog import TYPES  # noqa: PLC0415
    from schemas.registry import schema_text  # noqa: PLC0415
    from streams.registry import subjects_of  # noqa: PLC0415

    _check_ids()
    with _registry() as there:
        found = [
            there.register(one.name, schema_text(one), subject)
            for one in TYPES
            for subject in subjects_of(one.name)
        ]
    show([row._asdict() for row in found], output, ("type", "subject", "id", "version"))


def _ask(folder: Path, output: Output) -> None:
    from schemas.registry import canonical  # noqa: PLC0415
    from schemas.release import load  # noqa: PLC0415
    from streams.registry import subjects_of  # noqa: PLC0415

    with _registry() as there:
        found = [
            there.judge(name, canonical(schema), subject)
            for name, schema in load(folder).items()
            for subject in subjects_of(name)
        ]
    show([row._asdict() for row in found], output, ("type", "subject", "level", "compatible"))
    refused = dict.fromkeys(row.type for row in found if not row.compatible)
    if refused:
        raise UserError(
            f"the schema registry would refuse {', '.join(refused)}",
            "see what changed with `streams schemas check`, and add fields with defaults only",
            ExitCode.INCOMPATIBLE,
        )


def _registry() -> Registry:
    from streams.registry import Registry  # noqa: PLC0415

    config = current().config()
    if config.schema_registry is None:
        raise UserError(
            "no schema registry is configured",
            "name one by STREAMS_SCHEMA_REGISTRY or --set schema_registry=http://HOST:PORT",
            ExitCode.CONFIG,
        )
    return Registry(config.schema_registry, config.schema_registry_user_info)


@app.command()
def release(
    version: Annotated[
        str | None, typer.Argument(help="MAJOR.MINOR.PATCH; by default this package's version.")
    ] = None,
) -> None:
    """Keep a copy of the present schemas as a release, which later ones are checked against.

    Example: streams schemas release 0.1.0
    """
    from schemas.release import release as keep  # noqa: PLC0415
    from streams import __version__  # noqa: PLC0415

    _check_ids()
    try:
        kept = keep(version or __version__)
    except ValueError as error:
        cause, _, remedy = str(error).partition(": ")
        raise UserError(cause, remedy) from error
    typer.echo(f"release {version or __version__} keeps {len(kept)} schemas", err=True)


def _check_ids() -> None:
    from schemas.registry import locked_ids  # noqa: PLC0415

    try:
        locked_ids()
    except ValueError as error:
        cause, _, remedy = str(error).partition(": ")
        raise UserError(cause, remedy, ExitCode.INCOMPATIBLE) from error


def _last_release() -> Path:
    from schemas.release import RELEASED_DIR, versions  # noqa: PLC0415

    found = versions()
    if not found:
        raise UserError(
            "there is no release to compare with",
            "keep one with `streams schemas release`",
            ExitCode.INCOMPATIBLE,
        )
    return RELEASED_DIR / found[-1]
