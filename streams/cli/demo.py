"""``streams demo``: the main job on real input, from nothing to results."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.table import Table

from streams.cli.options import current

if TYPE_CHECKING:
    from schemas.events import Alert, Decision
    from streams.ops.demo import Demo, Progress
    from streams.ops.summary import Summary

SHOWN = 6
PLAIN_SECONDS = 2.0


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
        console.print(_closing(summary, folder, progress))
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
        for alert in progress.alerts[shown : shown + SHOWN]:
            self.console.print(f"          alert {_alert_words(alert)}", soft_wrap=True)
        return len(progress.alerts)


def _picture(progress: Progress) -> Panel:
    table = Table.grid(padding=(0, 2))
    seconds = max(progress.seconds(), 0.001)
    table.add_row("events in", f"{progress.played:,}", f"{progress.played / seconds:,.0f}/s")
    table.add_row("rows out", f"{progress.read:,}", f"{progress.read / seconds:,.0f}/s")
    table.add_row("lag", f"{progress.lag:,}", "")
    for alert in progress.alerts[-SHOWN:]:
        table.add_row("[yellow]alert[/]", alert.kind, _alert_words(alert))
    for decision in progress.decisions[-SHOWN:]:
        table.add_row("[cyan]decision[/]", decision.decision, _decision_words(decision))
    return Panel(table, title=f"streams demo: {progress.phase}", subtitle=f"{seconds:.0f} s")


def _alert_words(alert: Alert) -> str:
    return f"{alert.severity} {alert.kind} {alert.entity}: {alert.reasons[0]}"


def _decision_words(decision: Decision) -> str:
    return (
        f"{decision.decision} {decision.amount_sat} sat to {decision.address}: "
        f"{decision.reasons[0]}"
    )


def _closing(summary: Summary, folder: Path, progress: Progress) -> Table:
    table = Table(title="What happened", show_header=False)
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
    table.caption = (
        f"Results: {folder}\n"
        f"Look at them: duckdb {folder}/results.duckdb "
        '"select severity, kind, entity, reasons[1] from alerts_live"'
    )
    return table


__all__ = ["Demo", "demo"]
