"""Topics to sinks: read committed, write, flush; resume where the sinks themselves stand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from schemas.wire import Codec
from sinks.base import Retryable, Sink, SinkRecord
from streams.client import Read, Reader
from streams.topics import Topic

FLUSH_SECONDS = 0.5
RETRY_SECONDS = 1.0


class SinkDriver(threading.Thread):
    """Feeds sinks with topics until told to stop; a sink that is away slows it, nothing is lost."""

    def __init__(
        self,
        bootstrap: str,
        topics: Sequence[Topic],
        partitions: int,
        sinks: Sequence[Sink],
        seen: Callable[[list[Read]], None] = lambda reads: None,
    ) -> None:
        super().__init__(name="sinks", daemon=True)
        self.reader = Reader(bootstrap, Codec())
        self.sinks, self.seen = tuple(sinks), seen
        self.places = [(t.name, p) for t in topics for p in range(partitions)]
        self.error: Exception | None = None
        self.undecoded = 0
        self._stop_asked = threading.Event()
        self._at_end = threading.Event()

    def run(self) -> None:
        """Read, write, flush; SinkErrors that are not Retryable end the thread (``error``)."""
        try:
            self.reader.start(self._resume())
            while not self._stop_asked.is_set():
                self._step()
            self._flush()
        except Exception as error:  # noqa: BLE001 - handed to the owner of the thread
            self.error = error
        finally:
            self.reader.close()

    def _resume(self) -> dict[tuple[str, int], int]:
        positions = [sink.positions() for sink in self.sinks]
        return {
            place: min((p.get(place, 0) for p in positions), default=0) for place in self.places
        }

    def _step(self) -> None:
        reads = self.reader.poll(0.1, 5000)
        if reads:
            self._at_end.clear()
            self._write([r for r in reads if r.event is not None])
            self.undecoded += sum(r.event is None for r in reads)
            self.seen(reads)
        if self.reader.at_end and not reads:
            self._flush()
            self._at_end.set()

    def _write(self, reads: list[Read]) -> None:
        records = [
            SinkRecord(r.topic, r.partition, r.offset, r.event)
            for r in reads
            if r.event is not None
        ]
        for sink in self.sinks:
            self._patiently(partial(sink.write, records))

    def _flush(self) -> None:
        for sink in self.sinks:
            self._patiently(sink.flush)

    def _patiently(self, action: Callable[[], None]) -> None:
        while True:
            try:
                action()
                return
            except Retryable:
                if self._stop_asked.is_set():
                    raise
                time.sleep(RETRY_SECONDS)

    def caught_up(self, seconds: float) -> bool:
        """Wait until everything read so far is in the sinks; False when time ran out."""
        self._at_end.clear()
        return self._at_end.wait(seconds)

    def stop(self) -> None:
        """Write what was read, then end."""
        self._stop_asked.set()
        self.join(30)
        for sink in self.sinks:
            sink.close()
