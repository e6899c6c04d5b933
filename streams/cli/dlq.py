"""``streams dlq``: records that could not be processed, or came too late."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.listing import Output, OutputOption, show
from streams.cli.options import current

if TYPE_CHECKING:
    from streams.client import Reader
    from streams.topics import Topic

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
    help="Look at records that could not be processed.\n\nExample: streams dlq ls",
)
LateOption = Annotated[bool, typer.Option("--late", help="Look at late_records instead.")]


@app.command("ls")
def list_(
    cause: Annotated[str | None, typer.Option(help="Only this dl.cause.")] = None,
    step: Annotated[str | None, typer.Option(help="Only this step.")] = None,
    topic: Annotated[str | None, typer.Option(help="Only records of this topic.")] = None,
    most: Annotated[int | None, typer.Option("--max", "-n", min=0, help="At most so many.")] = None,
    late: LateOption = False,
    output: OutputOption = "table",
) -> None:
    """List dead letters: where each is, where it came from, and why it is here.

    Names in machine-readable output are the headers' own: dl.cause, dl.step, dl.topic,
    dl.partition, dl.offset, dl.detail.

    Example: streams dlq ls --cause bad_value --output ndjson
    """
    from streams.ops.dead_letters import COLUMNS, PREFIX, letters, summary_row  # noqa: PLC0415

    with _reader(late) as (reader, letter_topic):
        prefix = PREFIX[letter_topic.name]
        wanted = {"cause": cause, "step": step, "topic": topic}
        where = {prefix + name: text for name, text in wanted.items() if text is not None}
        found = islice(letters(reader, letter_topic, where), most)
        show(map(summary_row, found), output, COLUMNS[letter_topic.name])


@app.command("show")
def show_(
    partition: Annotated[int, typer.Argument(min=0, help="Partition, as `dlq ls` prints it.")],
    offset: Annotated[int, typer.Argument(min=0, help="Offset, as `dlq ls` prints it.")],
    late: LateOption = False,
    output: OutputOption = "table",
) -> None:
    """Show one dead letter whole: headers, original key and value (base64), its event if any.

    Example: streams dlq show 0 17 --output json
    """
    from streams.ops.dead_letters import full_row, letter  # noqa: PLC0415

    with _reader(late) as (reader, letter_topic):
        row = full_row(letter(reader, letter_topic, partition, offset))
    if output == "table":
        fields = {**row, **{f"header {n}": v for n, v in row["headers"].items()}, "headers": None}
        pairs = [{"field": n, "content": v} for n, v in fields.items() if v is not None]
        show(pairs, output, ("field", "content"))
    else:
        _one(row, output)


def _one(row: dict[str, object], output: Output) -> None:
    show([row], output, tuple(row))


@contextmanager
def _reader(late: bool) -> Iterator[tuple[Reader, Topic]]:
    from streams import topics  # noqa: PLC0415
    from streams.client import Reader  # noqa: PLC0415
    from streams.ops.target import require_broker  # noqa: PLC0415

    bootstrap = current().bootstrap()
    kafka = current().kafka()
    require_broker(bootstrap, kafka)
    reader = Reader(bootstrap, current().codec(), {**kafka, "log_level": 0})
    try:
        yield reader, topics.late_records if late else topics.dead_letters
    finally:
        reader.close()
