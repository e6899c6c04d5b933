"""Topics to sinks: read committed, write, flush; resume where the sinks themselves stand.

A sink that is away slows the driver, which pauses its partitions and stays in its group; what one
record alone makes impossible goes to the dead letters; everything else ends the driver.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from schemas.headers import REPLAY_FOR
from schemas.wire import Codec
from sinks.base import Permanent, Retryable, Sink, SinkRecord
from streams.client import Read, Reader
from streams.engine.guard import attempt
from streams.ops.patience import Patience
from streams.ops.sink_letters import SinkLetters
from streams.topics import Topic

FLUSH_SECONDS = 60.0
"""A flush makes one Parquet file a partition: seldom is better. A sink may say otherwise."""
MOST_READS = 5000
AFTER_REFUSAL = 250
"""Records a batch behind one that was refused: the next one is then found sooner."""
KAFKA: dict[str, Any] = {
    "queued.max.messages.kbytes": 16 << 10,
    "session.timeout.ms": 10_000,
    "partition.assignment.strategy": "range",
}
"""What waits in memory is bounded; a group member that is gone is noticed soon."""

Place = tuple[str, int]


class _Moved(Exception):
    """The group has taken partitions away: what is unwritten is read again by their owner."""


class SinkDriver(threading.Thread):
    """Feeds sinks with topics until told to stop; a sink that is away slows it, nothing is lost."""

    def __init__(
        self,
        bootstrap: str,
        topics: Sequence[Topic],
        sinks: Sequence[Sink],
        seen: Callable[[list[Read]], None] = lambda reads: None,
        codec: Codec | None = None,
        *,
        group: str | None = None,
        letters: SinkLetters | None = None,
        say: Callable[[str], None] = lambda words: None,
        give_up_after: float | None = None,
        from_now: bool = False,
        kafka: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(name="sinks", daemon=True)
        options = {**KAFKA, **(kafka or {}), **({} if group is None else {"group.id": group})}
        self.reader = Reader(bootstrap, codec or Codec(), options)
        self.sinks, self.seen, self.letters, self.say = tuple(sinks), seen, letters, say
        self.topics, self.group, self.from_now = tuple(topics), group, from_now
        self._once = {topic.name for topic in topics if topic.broadcast}
        """Topics that say the same in every partition: one of them is enough."""
        self.patience = Patience(self._meanwhile, say, give_up_after)
        self.error: Exception | None = None
        self.undecoded = self.written = self.refused = self.unread = 0
        self._stop_asked, self._at_end = threading.Event(), threading.Event()
        self._at_end.set()
        self._every = min((getattr(s, "flush_seconds", FLUSH_SECONDS) for s in sinks), default=1.0)
        self._flush_at = time.monotonic() + self._every
        self._mine: list[Place] | None = None
        """The partitions that this driver reads; None until the group has given it some."""
        self._reading = self._paused = False
        self._reached: dict[Place, int] = {}
        """What was written since the last flush that the group's offsets do not know."""
        self._kept: list[Read] = []
        """What was on its way when the partitions were paused."""

    def run(self) -> None:
        """Read, write, flush; SinkErrors that are not Retryable end the thread (``error``)."""
        self.error = attempt(self._work)
        self.reader.close()
        self.patience.close()

    def _work(self) -> None:
        if self.group is not None:
            names = [topic.name for topic in self.topics]
            self.reader.consumer.subscribe(names, self._on_assign, self._on_revoke, self._on_revoke)
        else:
            self._mine = self._wanted(
                (topic.name, partition)
                for topic in self.topics
                for partition in range(self.reader.partitions(topic.name))
            )
        while not self._stop_asked.is_set():
            self._step()
        if self._reading:
            with suppress(_Moved):
                self._flush()

    # Reading --------------------------------------------------------------------------------------

    def _step(self) -> None:
        try:
            if not self._reading:
                self._start()
            self._unpause()
            kept, self._kept = self._kept, []
            self._take(kept or self.reader.poll(0.1, MOST_READS))
        except _Moved:
            self._kept = []

    def _start(self) -> None:
        """Begin where the sinks stand, once the group has said with which partitions."""
        while self._mine is None and not self._stop_asked.is_set():
            self.reader.poll(0.1, 1)
        if self._mine is not None:
            self.reader.start(self._resume(self._mine))
            self.reader.consumer.resume(self.reader.consumer.assignment())
            self._reading, self._paused, self._kept = True, False, []
            if self._reached:  # where `from_now` began: a crash before the first flush knows it
                self._flush()

    def _resume(self, places: Sequence[Place]) -> dict[Place, int]:
        stored = [self._patiently(sink.positions) for sink in self.sinks]
        group = self._committed(places) if self.group is not None else {}
        found = {}
        for place in places:
            known = [offsets.get(place, group.get(place)) for offsets in stored]
            first = self._first(place) if None in known else 0
            found[place] = min((first if one is None else one for one in known), default=0)
        return self._there(found)

    def _there(self, wanted: dict[Place, int]) -> dict[Place, int]:
        """Where to begin with what is there: says what is gone, raises where nothing fits."""
        gone: list[str] = []
        for place, stands in wanted.items():
            first, end = self._patiently(partial(self._span, place))
            if stands > end:
                raise Permanent(
                    f"the target stands at offset {stands} of {place[0]}/{place[1]}, which ends at "
                    f"{end}: the topic was made anew, and versions of rows are offsets of the old",
                    "empty the target, its positions included, or take another one",
                )
            if stands < first:
                self.unread += first - stands
                gone.append(f"{place[0]}/{place[1]} {stands} to {first - 1}")
                wanted[place] = first
        if gone:
            self.say(
                "deleted before they were read here, so what they held is not in the target (some "
                f"may have been watermarks only): offsets {', '.join(gone)}"
            )
        return wanted

    def _span(self, place: Place) -> tuple[int, int]:
        try:
            return self.reader.span(*place)
        except KafkaException as error:
            cause = f"nobody tells where {place[0]}/{place[1]} begins: {error.args[0].str()}"
            raise Retryable(cause, "see that the broker runs") from error

    def _first(self, place: Place) -> int:
        """Where to begin with a partition that no sink and no group knows anything of."""
        if not self.from_now:
            return 0
        end = self.reader.consumer.get_watermark_offsets(TopicPartition(*place), timeout=15)[1]
        self._reached[place] = end  # committed, so that a restart does not leave more out
        return end

    def _committed(self, places: Sequence[Place]) -> dict[Place, int]:
        """The group's offsets: they count for a sink that cannot store positions."""
        if not places:
            return {}
        found = self.reader.consumer.committed([TopicPartition(*p) for p in places], timeout=15)
        return {(f.topic, f.partition): f.offset for f in found if f.offset >= 0}

    def _take(self, reads: list[Read]) -> None:
        if reads:
            self._write([r for r in reads if r.event is not None])
            self.undecoded += sum(r.event is None for r in reads)
            self.seen(reads)
        if time.monotonic() >= self._flush_at:
            self._flush()
        if self._reading and not self._at_end.is_set() and not reads and self.reader.has_all():
            self._flush()
            self._at_end.set()

    # Writing --------------------------------------------------------------------------------------

    def _write(self, reads: list[Read]) -> None:
        for sink in self.sinks:
            parts = [reads]
            while parts:
                part = parts.pop()
                refused = self._refusal(sink, part)
                if refused is not None:
                    parts += reversed(self._without(refused, part))
        self.written += len(reads)
        for read in reads:
            self._reached[read.topic, read.partition] = read.offset + 1

    def _refusal(self, sink: Sink, reads: list[Read]) -> Permanent | None:
        """Write records; return the error that names the one that cannot be stored."""
        records = [
            SinkRecord(r.topic, r.partition, r.offset, r.event)
            for r in reads
            if r.event is not None and not self._elsewhere(r)
        ]
        try:
            self._patiently(partial(sink.write, records))
        except Permanent as error:
            if error.record is None or self.letters is None:
                raise
            return error
        return None

    def _elsewhere(self, read: Read) -> bool:
        """Whether a record was written back for another reader: it was written here before."""
        if read.event is None or not read.event.correction:
            return False
        wanted = dict(read.headers).get(REPLAY_FOR)
        mine = "" if self.letters is None else self.letters.step
        return wanted is not None and wanted != mine.encode()

    def _without(self, error: Permanent, reads: list[Read]) -> list[list[Read]]:
        """Send the refused record to the dead letters; return the others, in their order."""
        bad = error.record
        at = next(
            n
            for n, r in enumerate(reads)
            if bad is not None
            and (r.topic, r.partition, r.offset) == (bad.topic, bad.partition, bad.offset)
        )
        assert self.letters is not None
        self.letters.send(reads[at], error)
        self.refused += 1
        self.written -= 1
        self.say(f"{error.cause}; it is a dead letter now")
        starts = range(at + 1, len(reads), AFTER_REFUSAL)
        parts = [reads[:at], *(reads[start : start + AFTER_REFUSAL] for start in starts)]
        return [part for part in parts if part]

    def _flush(self) -> None:
        self._flush_at = time.monotonic() + self._every
        for sink in self.sinks:
            self._patiently(sink.flush)
        if self.group is not None and self._reached:
            self._commit([self._patiently(sink.positions) for sink in self.sinks])

    def _commit(self, stored: Sequence[Any]) -> None:
        """Commit to the group what some sink has written and does not remember itself."""
        offsets = [
            TopicPartition(*place, offset)
            for place, offset in self._reached.items()
            if not all(place in positions for positions in stored)
        ]
        try:
            if offsets:
                self.reader.consumer.commit(offsets=offsets, asynchronous=False)
            self._reached.clear()
        except KafkaException as error:
            self.say(
                f"offsets were not committed, and are at the next flush: {error.args[0].str()}"
            )

    # Patience and the group -----------------------------------------------------------------------

    def _patiently(self, action: Callable[[], Any]) -> Any:
        """Run an action of a sink; raises _Moved if the partitions were taken away meanwhile."""
        mine = self._mine
        try:
            done = self.patience.run(
                action, lambda: self._stop_asked.is_set() or self._mine is not mine
            )
        except Retryable:
            if self._mine is mine:
                raise
        if self._mine is not mine:
            raise _Moved
        return done

    def _meanwhile(self, seconds: float) -> None:
        """Stay in the group while a sink is busy or away; nothing is read."""
        assigned = self.reader.consumer.assignment()
        if self._reading and not self._paused:
            self.reader.consumer.pause(assigned)
            self._paused = True
        if self._reading or self.group is not None:
            self._kept += self.reader.poll(seconds, 1)
        else:
            time.sleep(seconds)

    def _unpause(self) -> None:
        if self._paused:
            self.reader.consumer.resume(self.reader.consumer.assignment())
            self._paused = False

    def _wanted(self, places: Iterable[Place]) -> list[Place]:
        return [place for place in places if place[1] == 0 or place[0] not in self._once]

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Note what the group gives; reading begins when the sinks have said where."""
        consumer.assign([])
        self._mine = self._wanted((p.topic, p.partition) for p in partitions)
        self._reading = False

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Note that the group takes partitions away; what is unfinished is their next owner's."""
        consumer.unassign()
        self._mine, self._reading = None, False
        self._reached.clear()

    # From outside ---------------------------------------------------------------------------------

    def caught_up(self, seconds: float) -> bool:
        """Wait until all that the topics hold now is in the sinks; False when time ran out."""
        self._at_end.clear()
        return self._at_end.wait(seconds)

    def stop(self) -> None:
        """Write what was read, then end; ``error`` is the first that happened, until the end."""
        self._stop_asked.set()
        self.join(30)
        for sink in self.sinks:
            failed = attempt(sink.close)
            self.error = self.error or failed
