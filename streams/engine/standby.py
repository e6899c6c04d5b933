"""Copies of tasks that other workers have, on this worker's disk: a take-over reads only the rest.

A copy is what the store on disk is anyway (``disk``): committed changelog, and its place in it. So
nothing is fenced, nobody is told, and a copy is right however old it is; the worker that gets the
task begins at that place instead of at the beginning.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import KafkaException

from streams.engine.codec import decode_value
from streams.engine.emit import POSITION
from streams.engine.mover import Place
from streams.engine.recovery import Reader
from streams.engine.rocks import RocksTaskStore
from streams.engine.runner import Report
from streams.engine.settings import EngineSettings
from streams.engine.stores import StateLost
from streams.engine.storing import new_store

STOP_SECONDS = 5.0


class _Copied:
    """Takes the records of a changelog over as they are."""

    def __init__(self, store: RocksTaskStore) -> None:
        self.store, self.records, self.after = store, 0, 0
        self.lineage: str | None = None

    def take(self, offset: int, key: bytes, body: bytes | None) -> None:
        if key != POSITION:
            self.store.replay(key, body)
            self.records += 1
        elif body is not None:
            self.lineage, self.after = decode_value(body).get("lineage"), offset + 1


class Standby(threading.Thread):
    """Reads on in the changelogs of all tasks that this worker does not have, one by one."""

    def __init__(
        self,
        places: Sequence[Place],
        settings: EngineSettings,
        ours: Callable[[Place], bool],
        report: Report,
    ) -> None:
        """``places``: sub-topologies and their partitions; ``ours``: this worker has the task."""
        super().__init__(name="standby", daemon=True)
        self._places, self._settings, self._ours, self._report = places, settings, ours, report
        self._kafka = {"bootstrap.servers": settings.bootstrap, **settings.kafka}
        self._stopped = threading.Event()

    def run(self) -> None:
        """Go round until stopped."""
        while not self._stopped.is_set():
            began, others = time.monotonic(), [p for p in self._places if not self._ours(p)]
            records = sum(self._follow(place) for place in others)
            seconds = round(time.monotonic() - began, 3)
            facts = {"tasks": len(others), "records": records, "seconds": seconds}
            if not self._stopped.is_set():
                self._report("standby", facts)
            self._stopped.wait(self._settings.standby_ms / 1000)

    def stop(self) -> None:
        """Let go of what is open."""
        self._stopped.set()
        if self.is_alive():
            self.join(STOP_SECONDS)

    def _wanted(self, place: Place) -> bool:
        return not self._stopped.is_set() and not self._ours(place)

    def _follow(self, place: Place) -> int:
        """Bring one copy to the end of its changelog; how many records that took."""
        store: Any = new_store(self._settings, place.topic, place.partition)
        if not self._wanted(place) or store.taken:
            return 0
        reader = Reader(self._kafka, self._settings.changelog(place.topic), place.partition)
        copied = _Copied(store)
        try:
            start = store.begin(reader.ends)
            ended = reader.read(copied, start, lambda: self._wanted(place))
            if ended and copied.lineage:
                store.copied(copied.after, copied.lineage)
        except KafkaException:
            pass  # brokers that are away are others' to name: the next round goes on
        except StateLost as error:
            store.spoil()
            self._report(
                "standby_lost", {"task": f"{place.topic}/{place.partition}", "error": str(error)}
            )
        finally:
            reader.close()
            store.close()
        return copied.records
