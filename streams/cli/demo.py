"""``streams demo``: the main job on real input, from nothing to results."""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from streams.cli.options import current

if TYPE_CHECKING:
    from schemas.events import Alert, Decision
    from streams.ops.demo import Progress
    from streams.ops.summary import Summary

SHOWN = 6
PLAIN_SECONDS = 2.0
ORDER = ("refuse", "review", "wait", "credit", "high", "medium", "low", "info")
STYLE = {"refuse": "red", "high": "red", "review": "yellow", "medium": "yellow", "credit": "green"}


def demo(
    output: Annotated[
        Path | None, typer.Option(help="Folder for results.duckdb, Parquet and summary.json.")
    ] = None,
) -> None:
    """Start Kafka, a worker and sinks, play real Bitcoin input, and show what comes out.

    Example: streams demo --output out
    """
    from streams.ops.demo import Demo, Progress  # noqa: PLC0415

    folder = (output or Path(tempfile.mkdtemp(prefix="streams-demo-"))).absolute()
    console = Console()
    progress = Progress(started=time.monotonic())
    run = Demo(current().config(), folder, progress, lambda words: console.print(f"  {words}"))
    try:
        with _Screen(console, progress):
            summary = run.run()
        _closing(console, summary, folder, progress)
    finally:
        run.close()


class _Screen:
    """A live table on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console, progress: Progress) -> None:
        self.console, self.progress = console, progress
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._show, daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join(5)

    def _show(self) -> None:
        if self.console.is_terminal:
            with Live(console=self.console, refresh_per_second=4, transient=True) as live:
                while not self.ended.wait(0.25):
                    live.update(_picture(self.progress))
        else:
            shown = 0
            while not self.ended.wait(PLAIN_SECONDS):
                shown = self._plain(shown)
            self._plain(shown)

    def _plain(self, shown: int) -> int:
        progress = self.progress
        self.console.print(
            f"{progress.seconds():6.1f} s  {progress.phase}: {progress.played} events in, "
            f"{progress.read} rows out, lag {progress.lag}, {len(progress.alerts)} alerts, "
            f"{len(progress.decisions)} decisions",
            soft_wrap=True,
        )
        news = progress.news[shown:]
        for value in news[:SHOWN]:
            self.console.print(f"          {_words(value)}", soft_wrap=True, markup=False)
        if len(news) > SHOWN:
            self.console.print(f"          and {len(news) - SHOWN} more")
        return shown + len(news)


def _picture(progress: Progress) -> Panel:
    table = Table.grid(padding=(0, 2))
    seconds = max(progress.seconds(), 0.001)
    table.add_row("events in", f"{progress.played:,}   {progress.played / seconds:,.0f}/s")
    table.add_row("rows out", f"{progress.read:,}   {progress.read / seconds:,.0f}/s")
    table.add_row("lag", f"{progress.lag:,}")
    for value in progress.news[-2 * SHOWN :]:
        style = STYLE.get(_sign(value), "")
        table.add_row(Text(_sign(value), style=style), Text(_words(value), overflow="ellipsis"))
    return Panel(table, title=f"streams demo: {progress.phase}", subtitle=f"{seconds:.0f} s")


def _sign(value: Alert | Decision) -> str:
    """The word that a person looks for first."""
    return str(getattr(value, "decision", "") or getattr(value, "severity", ""))


def _words(value: Any) -> str:
    if hasattr(value, "decision"):
        return f"{value.decision} {value.amount_sat} sat to {value.address}: {value.reasons[0]}"
    return f"alert {value.severity} {value.kind} {value.entity}: {value.reasons[0]}"


def _closing(console: Console, summary: Summary, folder: Path, progress: Progress) -> None:
    """What happened, what to look at, and where the rest is."""
    alerts = sorted(progress.alerts.values(), key=lambda a: (ORDER.index(a.severity), a.kind))
    found = sorted(progress.decisions.values(), key=lambda d: ORDER.index(d.decision))
    decisions = list({(d.decision, d.rule): d for d in reversed(found)}.values())[::-1]
    title = f"Alerts: {len(alerts)}"
    _listed(console, title, [(a.severity, a.kind, a.entity, a.reasons[0]) for a in alerts])
    _listed(
        console,
        f"Payment decisions, one of each kind among {len(found)}",
        [(d.decision, f"{d.amount_sat:,} sat", d.address, d.reasons[0]) for d in decisions],
    )
    console.print(_figures(summary))
    console.print(f"Results: {folder} (results.duckdb, parquet, summary.json)", soft_wrap=True)
    question = "select decision, rule, count(*) from payments_decisions_live group by all"
    console.print("Ask them:", soft_wrap=True)
    console.print(
        f'  {sys.executable} -c "import duckdb; '
        f"print(duckdb.connect('{folder}/results.duckdb').sql('{question}'))\"",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )


def _listed(console: Console, title: str, rows: list[tuple[str, str, str, str]]) -> None:
    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column(min_width=6, no_wrap=True)
    table.add_column(min_width=18, no_wrap=True)
    table.add_column(width=11, no_wrap=True, overflow="ellipsis")
    table.add_column(overflow="fold")
    for row in rows[:SHOWN]:
        table.add_row(Text(row[0], style=STYLE.get(row[0], "")), *map(Text, row[1:]))
    if len(rows) > SHOWN:
        table.add_row("", "", "", f"and {len(rows) - SHOWN} more")
    console.print(table)


def _figures(summary: Summary) -> Table:
    table = Table(title="What happened", show_header=False, title_justify="left")
    table.add_row("records in", f"{summary.inputs:,}")
    table.add_row("used", f"{summary.used:,}")
    table.add_row("dead letters", f"{summary.dead_letters:,}")
    table.add_row("late", f"{summary.late:,}")
    table.add_row("duplicates", f"{summary.duplicates:,}")
    table.add_row("filtered", f"{summary.filtered:,}")
    table.add_row("balanced", "yes" if summary.balanced else "NO")
    table.add_row("alerts", f"{summary.alerts:,}")
    table.add_row("decisions", f"{summary.decisions:,}")
    first = summary.first_alert_seconds
    table.add_row("first alert after", "-" if first is None else f"{first:.1f} s")
    table.add_row("in all", f"{summary.seconds:.1f} s")
    return table
