"""Writing letters back: the dry run, the run with its progress, and what became of each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from streams.cli.errors import ExitCode, UserError
from streams.cli.listing import Output, show
from streams.cli.options import current

if TYPE_CHECKING:
    from streams.ops.letter_scan import Scanner
    from streams.ops.letters import Kind, Letter, Selection
    from streams.ops.redrive import Tally
    from streams.ops.redriving import Options

COLUMNS = ("outcome", "letters", "topic", "step", "reason", "to", "for")
EACH = ("letter", "outcome", "topic", "step", "reason", "to", "partition", "for", "replays")
How = tuple[bool, bool, float | None, int | None]
"""Whether it is a dry run, with a row for each letter; records a second, and how many at most."""


def redrive(
    scanner: Scanner, kind: Kind, selection: Selection, options: Options, how: How, output: Output
) -> None:
    """Write letters back, or show what would be done; raises UserError when some must stay."""
    dry_run, each, rate, limit = how
    if dry_run:
        _dry_run(scanner, kind, selection, options, (each, limit), output)
        return
    tally = _run(scanner, kind, selection, options, (rate, limit))
    show(tally.rows(), output, COLUMNS)
    done = tally.count("redrive")
    again = tally.count("already")
    typer.echo(f"{done} written back" + (f", {again} were before" if again else ""), err=True)
    if tally.left:
        raise _left(tally)


def _dry_run(
    scanner: Scanner,
    kind: Kind,
    selection: Selection,
    options: Options,
    how: tuple[bool, int | None],
    output: Output,
) -> None:
    from streams.ops.ledger import Ledger, entries  # noqa: PLC0415
    from streams.ops.redrive import Tally, first, plan_row, planned  # noqa: PLC0415

    each, limit = how
    found = first(planned(scanner, kind, selection, options, Ledger(entries(scanner, kind))), limit)
    if each:
        show((plan_row(letter, plan) for letter, plan in found), output, EACH)
        return
    tally = Tally()
    for letter, plan in found:
        tally.add(letter, plan)
    show(tally.rows(), output, COLUMNS)
    typer.echo(f"{tally.count('redrive')} would be written back; nothing was", err=True)


def _run(
    scanner: Scanner,
    kind: Kind,
    selection: Selection,
    options: Options,
    how: tuple[float | None, int | None],
) -> Tally:
    from streams.client.errors import Fenced  # noqa: PLC0415
    from streams.engine.settings import settings_of  # noqa: PLC0415
    from streams.ops.admin import Admin  # noqa: PLC0415
    from streams.ops.redrive import Redrive  # noqa: PLC0415

    settings = settings_of(current().config(), scanner.bootstrap)
    run = Redrive(scanner, kind, settings.kafka, Admin(settings))
    try:
        with _progress(scanner, kind, selection) as tell:
            return run.run(selection, options, *how, tell=tell)
    except KeyboardInterrupt:
        done = run.tally.count("redrive")
        typer.echo(f"{done} written back; the same command goes on from there", err=True)
        raise
    except Fenced as error:
        raise UserError(
            f"somebody else writes {kind.topic.name} back at this moment",
            "wait until they are done: the same command does what is left then",
            ExitCode.FENCED,
        ) from error
    finally:
        run.close()


def _left(tally: Tally) -> UserError:
    """Some letters stay where they are: why, and what helps with most of them."""
    from streams.ops.redriving import MEANING  # noqa: PLC0415

    left = sorted(tally.left.items(), key=lambda item: -item[1])
    words = ", ".join(f"{count} {why}" for why, count in left)
    worst = MEANING[left[0][0]]
    return UserError(
        f"{sum(tally.left.values())} letters stay where they are ({words})",
        f"{left[0][0]}: {worst}",
        ExitCode.INPUT,
    )


@contextmanager
def _progress(
    scanner: Scanner, kind: Kind, selection: Selection
) -> Iterator[Callable[[Letter], None]]:
    """A progress bar over the offsets of the letters, on a terminal."""
    if not sys.stderr.isatty():
        yield lambda letter: None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    spans = scanner.spans(kind.topic.name, selection.since)
    places = {partition: start for partition, (start, _) in spans.items()}
    total = sum(end - start for start, end in spans.values())
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(f"writing {kind.topic.name} back", total=total)

        def tell(letter: Letter) -> None:
            before, after = places[letter.partition], letter.offset + 1
            places[letter.partition] = after
            progress.update(task, advance=after - before)

        yield tell
        progress.update(task, completed=total)
