"""A replay: what it would read and make, how far it is, and when it has caught up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaException, TopicPartition

from joins.clock import NEG_INF
from streams.client import Reader
from streams.config import Config
from streams.engine.ends import EARLIEST, Ends
from streams.engine.mover import Place
from streams.engine.plan import planned_selection
from streams.engine.selection import Selection
from streams.engine.settings import EngineSettings
from streams.ops.admin import Admin, OpsError, Planned, wanted
from streams.ops.lag import Lag, lag_of
from streams.ops.own_topics import ASIDE
from streams.topics import blocks
from streams.wire.errors import no_right

ASK_SECONDS = 15.0


class Refused(OpsError):
    """A replay cannot be begun, switched to, or dropped."""


class Job(msgspec.Struct, frozen=True):
    """A run as it is to be worked on."""

    selection: Selection
    settings: EngineSettings
    config: Config

    @property
    def kafka(self) -> dict[str, Any]:
        """librdkafka's settings."""
        return {"bootstrap.servers": self.settings.bootstrap, **self.settings.kafka, "log_level": 2}

    @property
    def sources(self) -> dict[str, int]:
        """Topics that it reads and does not write, and their partitions."""
        written = {topic.name for sub in self.selection.run for topic in sub.outputs}
        read = {t.name: t for sub in self.selection.run for t in sub.inputs}
        return {n: self.settings.count_of(t) for n, t in read.items() if n not in written}

    @property
    def places(self) -> list[Place]:
        """The partitions of the sources."""
        return [Place(name, p) for name, count in self.sources.items() for p in range(count)]

    @property
    def made(self) -> list[Planned]:
        """The topics that are its own: what it writes, and its changelogs."""
        plan = wanted(self.selection.part, self.settings, ())
        aside = {topic.name for topic in ASIDE}
        return [p for p in plan if p.topic not in self.sources and p.topic not in aside]

    @property
    def memory_ms(self) -> int:
        """How far below the watermark its steps still correct (ms of event time)."""
        planned = planned_selection(self.selection, self.settings)
        return max((s.retract_grace or 0 for sub in planned.run for s in sub.steps), default=0)


class Span(msgspec.Struct, frozen=True):
    """What there is to read of one source."""

    topic: str
    partitions: int
    first: int
    """Offsets that lie before the start, or are not kept any more."""
    records: int
    """Offsets from the start to the end, markers of transactions included."""


# Where to begin ---------------------------------------------------------------------------------


def from_beginning(job: Job) -> dict[str, list[int]]:
    """The first offset that is kept of each partition of the sources."""
    return _by_topic(job, _ask(job, EARLIEST))


def from_offsets(job: Job, given: Iterable[str]) -> dict[str, list[int]]:
    """``TOPIC/PARTITION=OFFSET`` or ``TOPIC=OFFSET``; what is not named begins at its beginning.

    Raises Refused.
    """
    low, high = _ask(job, EARLIEST), _ask(job, None)
    found = dict(low)
    for text in given:
        for place, offset in _named(text, job).items():
            if not low[place] <= offset <= high[place]:
                raise Refused(
                    f"{place.topic}/{place.partition} has no offset {offset}",
                    f"name one from {low[place]} to {high[place]}",
                )
            found[place] = offset
    return _by_topic(job, found)


def _named(text: str, job: Job) -> dict[Place, int]:
    name, sign, offset = text.partition("=")
    topic, slash, partition = name.partition("/")
    known = [p for p in job.places if p.topic == topic]
    if slash:
        known = [p for p in known if str(p.partition) == partition]
    if not (sign and known and offset.isascii() and offset.isdigit()):
        some = ", ".join(sorted(job.sources))
        raise Refused(
            f"{text!r} is no place to begin at",
            f"write TOPIC/PARTITION=OFFSET or TOPIC=OFFSET, of {some}",
        )
    return {place: int(offset) for place in known}


def from_time(job: Job, ms: int) -> dict[str, list[int]]:
    """The first records that arrived at a time or after it (ms, the broker's clock)."""
    low, high = _ask(job, EARLIEST), _ask(job, None)
    found = {p: high[p] if offset < 0 else offset for p, offset in _ask(job, ms).items()}
    return _by_topic(job, {p: max(low[p], offset) for p, offset in found.items()})


def from_height(job: Job, height: int) -> dict[str, list[int]]:
    """What arrived with a block of this height or after the one below it.

    Raises Refused where no such block is known.
    """
    if blocks.name not in job.sources:
        raise Refused(f"these steps do not read {blocks.name}", "use --from-time")
    return from_time(job, _arrival_below(job, height))


def _arrival_below(job: Job, height: int) -> int:
    """When the last block below a height arrived, before the first that is not below it."""
    from schemas.wire import Codec  # noqa: PLC0415

    reader, below = Reader(job.settings.bootstrap, Codec(), job.kafka), 0
    low = _ask(job, EARLIEST)
    try:
        reader.start({(t, n): low[Place(t, n)] for t, n in job.places if t == blocks.name})
        while not reader.at_end:
            for read in reader.poll(0.1):
                if read.event is None:
                    continue
                if read.event.value.height >= height:
                    return below
                below = read.append_ts
    finally:
        reader.close()
    raise Refused(f"{blocks.name} has no block of height {height}", "name one that it has")


def _ask(job: Job, what: int | None) -> dict[Place, int]:
    """Offsets of all source partitions: at a time (ms), EARLIEST, or at the end (None)."""
    if what is None or what == EARLIEST:
        asking = Ends(job.kafka, committed=True)
        try:
            return asking.ask(job.places, ASK_SECONDS, *([] if what is None else [what]))
        finally:
            asking.close()
    consumer = Consumer({**job.kafka, "group.id": "streams-ends"})
    try:
        asked = [TopicPartition(*place, what) for place in job.places]
        found = consumer.offsets_for_times(asked, timeout=ASK_SECONDS)
        return {Place(tp.topic, tp.partition): int(tp.offset) for tp in found}
    finally:
        consumer.close()


def _by_topic(job: Job, found: Mapping[Place, int]) -> dict[str, list[int]]:
    return {
        name: [found[Place(name, p)] for p in range(count)] for name, count in job.sources.items()
    }


def spans(job: Job, starts: Mapping[str, list[int]]) -> list[Span]:
    """What is to be read of each source."""
    high = _ask(job, None)
    return [
        Span(
            name,
            count,
            sum(starts[name]),
            sum(high[Place(name, p)] - starts[name][p] for p in range(count)),
        )
        for name, count in sorted(job.sources.items())
    ]


# How far it is ----------------------------------------------------------------------------------


class Progress(msgspec.Struct, frozen=True):
    """How far a run is, beside the current one."""

    read: int
    total: int
    """Offsets of the sources, from the start of the run to their ends now."""
    lag: int
    """Offsets of all inputs that no checkpoint covers yet, derived topics included."""
    behind_ms: int | None
    """By how much event time its slowest step is behind the same one of the current run; None: it
    has no time yet, where the other has."""
    caught_up: bool


def progress(new: Job, old: Job | None, within: int, behind_ms: int) -> Progress:
    """Look once: caught up is at most ``within`` offsets an input partition, and ``behind_ms`` of
    event time, behind the current run. Raises KafkaException.

    The other run is looked at first: it may only have come further since.
    """
    before = _watermarks(lag_of(old.selection, old.settings)) if old is not None else {}
    lag = lag_of(new.selection, new.settings)
    own = [row for row in lag.inputs if row.topic in new.sources]
    starts = {(r.topic, r.partition): new.settings.start_of(r.topic, r.partition) for r in own}
    read = sum(row.position - starts[row.topic, row.partition] for row in own)
    total = sum(row.end - starts[row.topic, row.partition] for row in own)
    behind = _behind(_watermarks(lag), before)
    near = all(row.lag <= within for row in lag.inputs)
    done = near and behind is not None and behind <= behind_ms
    return Progress(read, total, sum(row.lag for row in lag.inputs), behind, done)


def _watermarks(lag: Lag) -> dict[str, int]:
    """The least watermark of each sub-topology."""
    found: dict[str, int] = {}
    for task in lag.tasks:
        mark = NEG_INF if task.watermark_ms is None else task.watermark_ms
        found[task.sub_topology] = min(mark, found.get(task.sub_topology, mark))
    return found


def _behind(new: Mapping[str, int], old: Mapping[str, int]) -> int | None:
    """The most that a sub-topology is behind; None where one has no time and had to."""
    both = [(new[name], old[name]) for name in new if old.get(name, NEG_INF) > NEG_INF]
    if any(mine <= NEG_INF for mine, _ in both):
        return None
    return max((theirs - mine for mine, theirs in both), default=0)


# Ending it --------------------------------------------------------------------------------------


def drop(admin: Admin, job: Job) -> list[str]:
    """Delete the topics and changelogs that a run has made, and give their names.

    Kafka forgets its group by itself.
    """
    present = admin.partitions()
    names = [p.topic for p in job.made if p.topic in present]
    for name, future in (admin.client.delete_topics(names) if names else {}).items():
        try:
            future.result(ASK_SECONDS)
        except KafkaException as error:
            raise no_right(error, f"delete topic {name}") or error from error
    return names
