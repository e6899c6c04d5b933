"""Play sources into their topics."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from schemas.errors import SchemaError
from schemas.wire import Codec
from streams import topics
from streams.engine.settings import EngineSettings
from streams.ops.taken import BROKER_PATIENCE_S, until_taken
from streams.sources.errors import SourceError
from streams.sources.names import of_recording
from streams.sources.recording import REMEDY, Line, event_of, raw_of, read_lines
from streams.sources.writer import SourceWriter

Played = Callable[[int], None]
"""Told how many events were written by each transaction."""

BATCH = 200
"""Events a transaction at most while playing at full speed."""


def play_recording(
    settings: EngineSettings,
    path: Path,
    speed: float | None = None,
    played: Played = lambda count: None,
    stop: Callable[[], bool] = lambda: False,
    codec: Codec | None = None,
) -> int:
    """Write a recording to the source topics, as one writer of its own.

    ``speed`` 1 keeps the recorded pace, 10 is ten times as fast, None as fast as it goes. Returns
    the number of records; raises SourceError for a file that is no recording.
    """
    name = of_recording(path.name)
    writer = SourceWriter(name, topics.SOURCES, settings, codec or Codec(), stop)
    player = _Player(writer, speed, played, stop)
    try:
        writer.open()
        for line in read_lines(path):
            if stop():
                break
            player.play(line)
        player.flush()
        until_taken(writer.idle, BROKER_PATIENCE_S, stop)
    finally:
        writer.close()
    return player.total


class _Player:
    """Plays line by line; a transaction ends with a watermark, a pause, or ``BATCH`` events."""

    def __init__(
        self,
        writer: SourceWriter,
        speed: float | None,
        played: Played,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.writer, self.speed, self.played, self.stop = writer, speed, played, stop
        self.total = self.waiting = 0
        self.first_at: int | None = None
        self.started = time.monotonic()

    def play(self, line: Line) -> None:
        self._wait(line.at)
        if line.watermark is not None:
            if isinstance(line.watermark, int):
                self.flush(line.watermark)
            return
        if line.raw is not None:
            key, value, headers = raw_of(line)
            self.writer.send_raw(line.topic, key, value, headers)
        else:
            event = event_of(line)
            try:
                self.writer.send(topics.BY_TOPIC[line.topic], event, keep=True)
            except SchemaError as error:
                raise SourceError(f"{line.topic}: {error}", REMEDY) from error
        self.waiting += 1
        self.total += 1
        if self.waiting >= BATCH:
            self.flush()

    def flush(self, watermark: int | None = None) -> None:
        """End the transaction."""
        until_taken(partial(self.writer.commit, None, watermark), BROKER_PATIENCE_S, self.stop)
        self.played(self.waiting)
        self.waiting = 0

    def _wait(self, at: int) -> None:
        if self.speed is None:
            return
        if self.first_at is None:
            self.first_at = at
        due = self.started + (at - self.first_at) / 1000 / self.speed
        pause = due - time.monotonic()
        if pause > 0:
            if self.waiting:
                self.flush()
            time.sleep(pause)
