"""The commands of ``streams dlq`` and ``streams late``: list, show, write back."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.errors import UserError
from streams.cli.letter_table import GROUP_COLUMNS, LETTER_COLUMNS, show_groups, show_letter
from streams.cli.listing import Output, OutputOption, show
from streams.cli.options import current
from streams.cli.redrive import redrive
from streams.cli.times import moment_ms

if TYPE_CHECKING:
    from streams.ops.letter_scan import Scanner
    from streams.ops.letters import Kind, Selection

TopicOption = Annotated[str | None, typer.Option(help="Only records of this topic.")]
StepOption = Annotated[str | None, typer.Option(help="Only those that this step refused.")]
ReasonOption = Annotated[
    str | None, typer.Option("--reason", "--cause", help="Only those with this reason.")
]
SinceOption = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Only letters since then: 15m, 2h, 3d (ago), or ISO 8601."),
]
UntilOption = Annotated[
    str | None, typer.Option(metavar="TIME", help="Only letters before then, in the same form.")
]
LimitOption = Annotated[int | None, typer.Option("--limit", "-n", min=0, help="At most so many.")]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON lines; the same as -o ndjson.")]
MostOption = Annotated[
    int, typer.Option("--max-replays", min=0, help="Letters written back so often stay here.")
]


def list_(
    context: typer.Context,
    topic: TopicOption = None,
    step: StepOption = None,
    reason: ReasonOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = None,
    each: Annotated[bool, typer.Option("--each", help="A row for every letter.")] = False,
    most: MostOption = 3,
    as_json: JsonOption = False,
    output: OutputOption = "table",
) -> None:
    """Count letters by topic, step, reason and version, with their times; the latest come first.

    `open` is what `redrive` would write back, `redriven` was written back, and `quarantined` came
    again after as many replays as it may have.

    Examples:
      streams dlq ls
      streams dlq ls --topic bitcoin.transactions --since 2h
      streams dlq ls --each --reason step_failed --json
    """
    selection = selection_of(topic, step, reason, since, until)
    with scanning(context) as (scanner, kind):
        _list(scanner, kind, selection, limit, each, most, "ndjson" if as_json else output)


def _list(
    scanner: Scanner, kind: Kind, selection: Selection, limit: int | None, each: bool, most: int,
    output: Output,
) -> None:  # fmt: skip
    from streams.ops.ledger import Ledger, entries  # noqa: PLC0415
    from streams.ops.letter_counts import group_rows, grouped, letters, listed  # noqa: PLC0415

    ledger = Ledger(entries(scanner, kind))
    if each:
        found = islice(letters(scanner, kind, selection), limit)
        columns = LETTER_COLUMNS[kind.command]
        show((listed(letter, ledger, most) for letter in found), output, columns)
        return
    rows = group_rows(grouped(scanner, kind, selection, ledger, most))[:limit]
    if output == "table":
        show_groups(rows, GROUP_COLUMNS[kind.command])
    else:
        show(rows, output, GROUP_COLUMNS[kind.command])


def show_(
    context: typer.Context,
    where: Annotated[
        list[str],
        typer.Argument(
            metavar="ADDRESS",
            help="PARTITION:OFFSET of a letter, TOPIC:PARTITION:OFFSET of the letter or of the "
            "record it is of, or an event id.",
        ),
    ],
    whole: Annotated[bool, typer.Option("--whole", help="All bytes of the value.")] = False,
    most: MostOption = 3,
    as_json: JsonOption = False,
    output: OutputOption = "table",
) -> None:
    """Show letters whole: reason, origin, headers, bytes, the event in them, what became of them.

    A record that failed again after it was written back has several letters: all are shown. In
    JSON, key and value are in base64.

    Examples:
      streams dlq show 0:17
      streams dlq show bitcoin.transactions:3:1042 --json
    """
    from streams.ops.ledger import entries  # noqa: PLC0415
    from streams.ops.letter_show import find, full_row  # noqa: PLC0415

    codec = current().codec()
    form: Output = "ndjson" if as_json else output
    with scanning(context) as (scanner, kind):
        found = find(scanner, kind, ":".join(where), codec)
        done = list(entries(scanner, kind))
    rows = [full_row(letter, done, codec, most) for letter in found]
    if form != "table":
        show(rows, form, tuple(rows[0]))
        return
    for number, (letter, row) in enumerate(zip(found, rows, strict=True)):
        if number:
            typer.echo()
        show_letter(letter, row, whole)


def redrive_(
    context: typer.Context,
    topic: TopicOption = None,
    step: StepOption = None,
    reason: ReasonOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    at: Annotated[
        list[str] | None,
        typer.Option(metavar="PARTITION:OFFSET", help="Only this letter; may be repeated."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All letters.")] = False,
    limit: LimitOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing: show what would be done.")
    ] = False,
    each: Annotated[bool, typer.Option("--each", help="A row for every letter.")] = False,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Records a second, at most.")
    ] = None,
    to: Annotated[str | None, typer.Option(help="Another topic than each record's own.")] = None,
    most: MostOption = 3,
    everyone: Annotated[
        bool,
        typer.Option("--everyone", help="For all readers of the topic, not only who refused it."),
    ] = False,
    as_json: JsonOption = False,
    output: OutputOption = "table",
) -> None:
    """Write letters back to where they came from: same bytes, headers and partition, each once.

    Two headers are added: how often the record was written back, and who alone is to take it, the
    reader that refused it. A run that was stopped or killed goes on where it stood when the same
    command is given again. A record that fails again is a new letter; after --max-replays times
    it stays here. Records that come back are corrections: docs/how-to/dead-letters.md says when
    they count, and when they are late.

    Examples:
      streams dlq redrive --step follow_lifecycle --since 2h --dry-run
      streams dlq redrive --step follow_lifecycle --since 2h --rate 200
      streams dlq redrive --at 0:17 --to quarantine.topic
    """
    from streams.ops.redriving import Options  # noqa: PLC0415

    selection = selection_of(topic, step, reason, since, until, at)
    if selection.everything and not every:
        raise UserError(
            "no letters are chosen",
            "choose with --topic, --step, --reason, --since, --until or --at, or say --all",
        )
    form: Output = "ndjson" if as_json else output
    with scanning(context) as (scanner, kind):
        options = Options(to, most, everyone)
        redrive(scanner, kind, selection, options, (dry_run, each, rate, limit), form)


def selection_of(
    topic: str | None, step: str | None, reason: str | None, since: str | None, until: str | None,
    at: list[str] | None = None,
) -> Selection:  # fmt: skip
    """The letters that options choose; raises UserError."""
    from streams.ops.letters import Selection  # noqa: PLC0415

    places = frozenset(map(_place, at)) if at else None
    return Selection(topic, step, reason, moment_ms(since), moment_ms(until), places)


def _place(text: str) -> tuple[int, int]:
    partition, _, offset = text.replace("/", ":").rpartition(":")
    partition = partition.rpartition(":")[2]
    if not (f"{partition}{offset}".isascii() and partition.isdigit() and offset.isdigit()):
        raise UserError(f"{text!r} is not the address of a letter", "write PARTITION:OFFSET")
    return int(partition), int(offset)


@contextmanager
def scanning(context: typer.Context) -> Iterator[tuple[Scanner, Kind]]:
    """The broker to read, and the letters that the command is about."""
    from streams.engine.settings import settings_of  # noqa: PLC0415
    from streams.ops.letter_scan import Scanner  # noqa: PLC0415
    from streams.ops.letters import DEAD, LATE  # noqa: PLC0415
    from streams.ops.target import require_broker  # noqa: PLC0415

    bootstrap = current().bootstrap()
    kafka = settings_of(current().config(), bootstrap).kafka
    require_broker(bootstrap, kafka)
    group = context.parent.info_name if context.parent is not None else None
    scanner = Scanner(bootstrap, kafka)
    try:
        yield scanner, LATE if group == LATE.command else DEAD
    finally:
        scanner.close()


def app_of(command: str, about: str) -> typer.Typer:
    """The commands for one kind of letters."""
    app = typer.Typer(
        rich_markup_mode=None,
        no_args_is_help=True,
        add_completion=False,
        help=f"{about}\n\nExample: streams {command} ls",
    )
    commands: dict[str, Any] = {"ls": list_, "show": show_, "redrive": redrive_}
    for name, function in commands.items():
        words = inspect.cleandoc(function.__doc__ or "")
        app.command(name, help=words.replace("streams dlq", f"streams {command}"))(function)
    return app
