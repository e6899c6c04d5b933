"""``streams produce``: JSON lines to a topic."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from streams.cli.errors import ExitCode, UserError
from streams.cli.naming import complete_typed, find_typed
from streams.cli.options import OwnTopicsOption, current

if TYPE_CHECKING:
    from schemas.wire import Codec
    from streams.ops.produce import Produced, Refused
    from streams.topics import Topic

BAR_BYTES = 1 << 20
"""Files below it are done before a progress bar could be read."""


def produce(
    topic: Annotated[str, typer.Argument(help="Topic to write to.", autocompletion=complete_typed)],
    file: Annotated[
        Path, typer.Option("--file", "-f", help="File of JSON lines; - is standard input.")
    ] = Path("-"),
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave bad lines out, name and count them.")
    ] = False,
    module: OwnTopicsOption = None,
    derived: Annotated[
        bool, typer.Option("--derived", help="Also to topics that the pipeline writes (repairs).")
    ] = False,
) -> None:
    """Write JSON lines to a topic as events: checked, keyed, framed, with headers.

    A line is {id, type, timestamp, producer, version, payload, metadata}; only payload is
    required. A file is checked whole before its first line is sent, and refused whole when a line
    is bad; standard input is sent as it comes, up to the first bad line.

    Examples:
      streams produce ml.labels --file labels.ndjson
      streams produce my.orders --module my.steps --file orders.ndjson
      streams consume ml.labels --from-beginning --until-end -o ndjson > labels.ndjson
    """
    from streams.ops.target import require_broker  # noqa: PLC0415

    target = find_typed(topic, module)
    if not target.source and not derived:
        raise _not_a_source(target)
    bootstrap = current().bootstrap()
    require_broker(bootstrap, current().kafka())
    codec = current().codec()
    if str(file) == "-":
        result = _send(sys.stdin.buffer, target, codec, bootstrap, skip_bad, _quiet)
    else:
        result = _from_file(file, target, codec, bootstrap, skip_bad)
    left_out = f", {result.skipped} skipped" if skip_bad else ""
    typer.echo(f"{result.produced} produced to {topic}{left_out}", err=True)
    if result.refused is not None:
        raise _error(result.refused, f"{result.produced} lines before it were sent")


def _not_a_source(topic: Topic) -> UserError:
    from streams.topics import BY_TOPIC  # noqa: PLC0415

    other = "write to a source topic" if topic.name in BY_TOPIC else "declare it with source=True"
    return UserError(
        f"{topic.name} is written by the pipeline alone, another writer's records break it",
        f"{other}, or add --derived (repairs, tests)",
    )


def _from_file(file: Path, target: Topic, codec: Codec, bootstrap: str, skip_bad: bool) -> Produced:
    with file.open("rb") as lines:
        if not skip_bad:
            with _bar(file, lines, "checking") as tell:
                _check_all(lines, target, codec, tell)
            lines.seek(0)
        with _bar(file, lines, "producing") as tell:
            return _send(lines, target, codec, bootstrap, skip_bad, tell)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _quiet(number: int) -> None:
    """Tell nothing."""


def _check_all(lines: BinaryIO, topic: Topic, codec: Codec, tell: Callable[[int], None]) -> None:
    from streams.ops.produce import Refused, records  # noqa: PLC0415

    for record in records(lines, topic, codec, _now):
        if isinstance(record, Refused):
            raise _error(record, "nothing was sent")
        tell(record.number)


def _send(
    lines: BinaryIO,
    topic: Topic,
    codec: Codec,
    bootstrap: str,
    skip_bad: bool,
    tell: Callable[[int], None],
) -> Produced:
    from streams.ops.produce import open_sender, records  # noqa: PLC0415
    from streams.ops.produce import produce as send  # noqa: PLC0415

    sender = open_sender(bootstrap, topic, current().kafka())
    skip = _skipped if skip_bad else None
    return send(records(lines, topic, codec, _now), sender, skip, tell)


def _skipped(refused: Refused) -> None:
    typer.echo(f"skipped line {refused.number}: {refused.cause}", err=True)


def _error(refused: Refused, so_far: str) -> UserError:
    return UserError(
        f"line {refused.number}: {refused.cause} ({so_far})",
        f"{refused.remedy}; or leave such lines out with --skip-bad",
        ExitCode.INPUT,
    )


@contextmanager
def _bar(file: Path, lines: BinaryIO, words: str) -> Iterator[Callable[[int], None]]:
    """A progress bar over the bytes read, on a terminal and for a file that takes a while."""
    size = file.stat().st_size
    if not sys.stderr.isatty() or size < BAR_BYTES:
        yield _quiet
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(f"{words} {file.name}", total=size)
        yield lambda number: progress.update(task, completed=lines.tell())
