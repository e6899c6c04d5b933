"""``streams consume``: the events of a topic, decoded."""

from __future__ import annotations

import csv
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streams.cli.listing import WIDE, cell, printable
from streams.cli.naming import complete_topic, own_topics, unknown_topic
from streams.cli.options import OwnTopicsOption, current

if TYPE_CHECKING:
    from streams.client import Read, Reader
    from streams.topics import Topic

Form = Literal["table", "ndjson", "csv"]
Writer = Callable[["list[Read]"], None]


def consume(
    topic: Annotated[str, typer.Argument(help="Topic to read.", autocompletion=complete_topic)],
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="From the first record on, not from now.")
    ] = False,
    most: Annotated[
        int | None, typer.Option("--max", "-n", min=0, help="Stop after so many records.")
    ] = None,
    until_end: Annotated[
        bool, typer.Option("--until-end", help="Stop at the present end instead of waiting.")
    ] = False,
    partition: Annotated[
        int | None, typer.Option(min=0, help="One partition; by default all.")
    ] = None,
    module: OwnTopicsOption = None,
    output: Annotated[Form, typer.Option("--output", "-o", help="Form of the records.")] = "table",
) -> None:
    """Read the events of a topic: committed ones only, decoded, from now on unless told otherwise.

    With --output ndjson each line is an event that `streams produce` reads back; records that
    cannot be decoded go to standard error. Topics of original bytes (dead_letters, late_records)
    are shown in base64. Of topics whose every partition holds every record, one is read.

    Examples:
      streams consume alerts
      streams consume bitcoin.transactions --from-beginning --max 3
      streams consume ml.results --from-beginning --until-end --output csv > results.csv
      streams consume my.matches --module my.steps --from-beginning
    """
    from streams.cli.runs import in_run  # noqa: PLC0415
    from streams.client import Reader  # noqa: PLC0415
    from streams.ops.consume import batches, start  # noqa: PLC0415
    from streams.ops.target import require_broker  # noqa: PLC0415
    from streams.topics import BY_TOPIC  # noqa: PLC0415

    bootstrap, own = current().bootstrap(), own_topics(module)
    known = BY_TOPIC.get(topic) or own.get(topic)
    codec, kafka = current().codec(), current().kafka()
    require_broker(bootstrap, kafka)
    if known is not None:
        topic = in_run([known], module)[0].name
    reader = Reader(bootstrap, codec, {**kafka, "log_level": 0})
    try:
        places = _places(reader, topic, known, partition)
        write = _writer(output, known)
        start(reader, topic, places, from_beginning)
        for found in batches(reader, most, until_end):
            write(found)
            sys.stdout.flush()
    finally:
        reader.close()


def _places(reader: Reader, name: str, topic: Topic | None, partition: int | None) -> list[int]:
    from streams.cli.errors import UserError  # noqa: PLC0415
    from streams.topics import STORED  # noqa: PLC0415

    present = reader.consumer.list_topics(timeout=15).topics
    if name not in present:
        raise unknown_topic(name, {*present, *(t.name for t in STORED)})
    count = len(present[name].partitions)
    if partition is not None:
        if partition >= count:
            words = f"topic {name} has {count} partitions, no partition {partition}"
            raise UserError(words, f"name one from 0 to {count - 1}")
        return [partition]
    return [0] if topic is not None and topic.broadcast else list(range(count))


def _writer(output: Form, topic: Topic | None) -> Writer:
    raw = topic is not None and topic.event_type is None
    if output == "ndjson":
        return _raw_ndjson if raw else _ndjson
    if output == "csv":
        return _csv(topic, raw)
    return _table(raw)


def _raw_ndjson(reads: list[Read]) -> None:
    import msgspec  # noqa: PLC0415

    from streams.ops.consume import raw_row  # noqa: PLC0415

    for read in reads:
        _write_line(msgspec.json.encode(raw_row(read)))


def _ndjson(reads: list[Read]) -> None:
    from schemas.jsonform import to_line  # noqa: PLC0415

    for read in reads:
        if read.event is None:
            _undecoded(read)
        else:
            _write_line(to_line(read.event))


def _write_line(line: bytes) -> None:
    sys.stdout.write(line.decode() + "\n")


def _undecoded(read: Read) -> None:
    place = f"{read.topic}/{read.partition}/{read.offset}"
    typer.echo(f"not decoded {place}: {_error(read)}", err=True)


def _error(read: Read) -> str:
    """Why a record cannot be decoded."""
    from streams.topics import BY_TOPIC  # noqa: PLC0415

    error = printable(read.error or "")
    if read.topic not in BY_TOPIC and error.startswith("unknown_schema"):
        error += "; is it written or read by your own steps? Then add --module MODULE"
    return error


def _csv(topic: Topic | None, raw: bool) -> Writer:
    from streams.ops.consume import event_row, raw_row  # noqa: PLC0415

    writer = csv.writer(sys.stdout, lineterminator="\n")
    place = ("topic", "partition", "offset")
    envelope = (*place, "ts", "op", "correction", "id", "key")
    columns: tuple[str, ...] = (*place, "append_ts", "key", "value", "headers")
    if not raw:
        fields = topic.type.cls.__struct_fields__ if topic is not None else ()
        columns = tuple(dict.fromkeys((*envelope, *fields)))
    writer.writerow(columns)

    def write(reads: list[Read]) -> None:
        for read in reads:
            if read.event is None and not raw:
                _undecoded(read)
                continue
            row = raw_row(read) if raw else event_row(read)
            writer.writerow([cell(row.get(name)) for name in columns])

    return write


def _table(raw: bool) -> Writer:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDE
    print(f"{'place':<10}{'time':<25}{'op':<8}{'key':<19}value"[:width])

    def write(reads: list[Read]) -> None:
        for read in reads:
            print("".join(_cells(read, raw))[:width])

    return write


def _cells(read: Read, raw: bool) -> Iterator[str]:
    from schemas.headers import time_text  # noqa: PLC0415
    from schemas.jsonform import payload  # noqa: PLC0415
    from streams.ops.consume import header_texts  # noqa: PLC0415

    yield f"{read.partition}/{read.offset}".ljust(10)
    event = read.event
    yield time_text(read.append_ts if event is None else event.ts).ljust(25)
    key = (read.key or b"").decode(errors="replace")
    if event is not None and not raw:
        yield event.op.ljust(8)
        yield _short(key)
        yield printable(cell(payload(event.value)))
    elif raw:
        yield "-".ljust(8)
        yield _short(key)
        yield printable(f"{len(read.value or b'')} bytes {cell(header_texts(read))}")
    else:
        yield "error".ljust(8)
        yield _short(key)
        yield _error(read)


def _short(key: str) -> str:
    text = printable(key)
    return (text if len(text) <= 18 else f"{text[:8]}..{text[-8:]}").ljust(19)
