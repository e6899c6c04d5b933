"""What our contenders share: run an application until its checkpoints cover the input."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from time import monotonic, sleep
from typing import Any

import msgspec
from stamps import SETTINGS, Stamps, leave

from streams.engine.application import say
from streams.engine.selection import Selection
from streams.engine.settings import EngineSettings
from streams.engine.step import Emit, Step
from streams.engine.tails import last_positions

settings = EngineSettings(
    application=SETTINGS["name"],
    bootstrap=SETTINGS["bootstrap"],
    partitions=SETTINGS["partitions"],
    delivery=SETTINGS["variant"] or "exactly_once",
)
QUIET_SECONDS = 0.2
"""After a checkpoint, so that whoever looks whether all is durable does not hold up the others."""


def run(app: Any) -> None:
    """Run the application as ``streams worker`` does."""
    app.checked = True  # its topics have just been made
    sys.argv = ["ours", "worker", "-l", "warn", "--without-web"]
    app.main()


class Watch:
    """Sees the first and the last record of each input that is waited for.

    Where it is told of checkpoints (``report``), the time ends with the last one that was committed
    before the position records were found to cover the input; else when they were.
    """

    def __init__(
        self, stamps: Stamps, until: Mapping[str, int], tell: Callable[[], None] | None = None
    ) -> None:
        self.stamps, self.until, self.tell = stamps, until, tell or stamps.say
        self.left = dict(until)
        self.told, self.committed = False, 0.0
        """Whether it is told of checkpoints; when the newest one was, since everything was worked
        off (s, monotonic)."""
        self.changelogs: list[str] = []

    def watched(self, step: Step, topic: str) -> Step:
        """The same step, whose input is counted; also once the topology has bound it."""
        inner, bind = step.process, step.bind

        def process(batch: Any, state: Any, emit: Emit) -> None:
            if batch.topic.name != topic:
                inner(batch, state, emit)
                return
            if not self.stamps.began:  # its batch was decoded before: it does not count
                self.stamps.begin(already=len(batch.events))
            inner(batch, state, emit)
            self.counted(topic, len(batch.events))

        again = None if bind is None else lambda known: self.watched(bind(known), topic)
        return msgspec.structs.replace(step, process=process, bind=again)

    def counted(self, topic: str, events: int) -> None:
        """Note events that a step has worked off; the last ones end the run, once durable."""
        self.left[topic] -= events
        if not any(self.left.values()):
            threading.Thread(target=self.finish).start()

    def report(self, event: str, facts: dict[str, Any]) -> None:
        """Told by the engine: the end may be now."""
        say(event, facts)
        self.told = True
        if event == "checkpoint" and not any(self.left.values()):
            self.stamps.end()
            self.committed = monotonic()

    def finish(self) -> None:
        """Wait until the position records cover everything, then tell the time."""
        began = monotonic()
        while self.told and monotonic() < max(began, self.committed) + QUIET_SECONDS:
            sleep(0.01)
        while not self.durable():
            sleep(0.01)
        if not self.committed:
            self.stamps.end()
        self.tell()
        leave()

    def durable(self) -> bool:
        """Whether committed checkpoints have counted everything that is waited for."""
        kafka = {"bootstrap.servers": settings.bootstrap}
        counts = dict.fromkeys(self.changelogs, settings.partitions)
        records = last_positions(kafka, counts).values()
        read = [(name, said["read"]) for r in records for name, said in r["counts"].items()]
        return all(
            sum(count for topic, count in read if topic == name) >= wanted
            for name, wanted in self.until.items()
        )


def changelogs(selection: Selection) -> list[str]:
    """The changelog topics of what runs."""
    return [settings.changelog(name) for name in selection.names]
