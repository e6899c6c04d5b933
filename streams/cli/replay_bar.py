"""How far a replay is: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from streams.ops.replaying import Progress

EVERY_SECONDS = 10.0


class Bar:
    """Shown from the first word of how far it is."""

    def __init__(self, name: str) -> None:
        self._name, self._shown = name, 0.0
        self._bar: Any = None
        self._task: Any = None

    def tell(self, found: Progress) -> None:
        """Show it; when it has caught up, say what follows."""
        if sys.stderr.isatty():
            self._draw(found)
        elif found.caught_up or time.monotonic() - self._shown >= EVERY_SECONDS:
            self._shown = time.monotonic()
            percent = 100 * found.read // max(1, found.total)
            self._say(f"run {self._name}: {found.read} of {found.total} ({percent} %)")
        if found.caught_up:
            if self._bar is not None:
                self._bar.stop()
            self._say(
                f"run {self._name} has caught up: `streams replay switch {self._name}` makes it "
                "the current one"
            )

    def _draw(self, found: Progress) -> None:
        if self._bar is None:
            from rich.console import Console  # noqa: PLC0415
            from rich.progress import Progress as RichProgress  # noqa: PLC0415

            self._bar = RichProgress(console=Console(stderr=True))
            self._task = self._bar.add_task(f"replaying {self._name}", total=found.total)
            self._bar.start()
        self._bar.update(self._task, completed=found.read, total=found.total)

    def _say(self, words: str) -> None:
        typer.echo(words, err=True)
