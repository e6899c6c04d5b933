"""Topics to sinks: read committed, write, flush; resume where the sinks themselves stand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from schemas.wire import Codec
from sinks.base import Retryable, Sink, SinkRecord
from streams.client import Read, Reader
from streams.engine.guard import attempt
from streams.topics import Topic

FLUSH_SECONDS = 60.0
"""A flush makes one Parquet file a partition: seldom is better."""
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
        codec: Codec | None = None,
    ) -> None:
        super().__init__(name="sinks", daemon=True)
        self.reader = Reader(bootstrap, codec or Codec())
        self.sinks, self.seen = tuple(sinks), seen
        self.places = [(t.name, p) for t in topics for p in range(1 if t.broadcast else partitions)]
        """A broadcast topic says the same in every partition: one of them is enough."""
        self.error: Exception | None = None
        self.undecoded = self.written = 0
        self._stop_asked = threading.Event()
        self._at_end = threading.Event()
        self._at_end.set()
        self._flush_at = time.monotonic() + FLUSH_SECONDS

    def run(self) -> None:
        """Read, write, flush; SinkErrors that are not Retryable end the thread (``error``)."""
        self.error = attempt(self._work)
        self.reader.close()

    def _work(self) -> None:
        self.reader.start(self._resume())
        while not self._stop_asked.is_set():
            self._step()
        self._flush()

    def _resume(self) -> dict[tuple[str, int], int]:
        positions = [sink.positions() for sink in self.sinks]
        return {
            place: min((p.get(place, 0) for p in positions), default=0) for place in self.places
        }

    def _step(self) -> None:
        reads = self.reader.poll(0.1, 5000)
        if reads:
            self._write([r for r in reads if r.event is not None])
            self.undecoded += sum(r.event is None for r in reads)
            self.seen(reads)
        if time.monotonic() >= self._flush_at:
            self._flush()
        if not self._at_end.is_set() and not reads and self.reader.has_all():
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
        self.written += len(records)

    def _flush(self) -> None:
        self._flush_at = time.monotonic() + FLUSH_SECONDS
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
        """Wait until all that the topics hold now is in the sinks; False when time ran out."""
        self._at_end.clear()
        return self._at_end.wait(seconds)

    def stop(self) -> None:
        """Write what was read, then end."""
        self._stop_asked.set()
        self.join(30)
        for sink in self.sinks:
            sink.close()
