"""From raw records to what a consumer yields: decoded, folded, and with positions to commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from confluent_kafka import Consumer, Message, TopicPartition

from schemas.wire import Codec
from streams.client.decode import is_control, read_message
from streams.client.errors import NotCommitted
from streams.client.fetch import Fetch
from streams.client.librdkafka import patiently
from streams.client.options import LOG, Settings
from streams.client.records import Malformed, Record, Withdrawn
from streams.client.settle import Settler
from streams.client.start import Place, Start, resolve
from streams.client.tips import Tips
from streams.client.views import view_of
from streams.client.watermarks import Watermarks
from streams.engine.own_types import teach
from streams.topics import BY_TOPIC

Item = Record[Any] | Malformed


class Control(NamedTuple):
    """A declared watermark, which counts once the records before it were yielded."""

    place: Place
    message: Message


def codec_of(registry: str | None, user_info: str | None) -> Codec:
    """The ids of a registry, or of the package's lock, and own types; raises RegistryError."""
    if registry is None:
        return teach(Codec())
    from streams.config import Config  # noqa: PLC0415 - few programs need it
    from streams.registry import codec_for  # noqa: PLC0415

    config = Config(schema_registry=registry, schema_registry_user_info=user_info)
    return teach(codec_for(config, LOG.warning))


class Intake:
    """Everything of a consumer but its face. One thread at a time."""

    def __init__(
        self,
        settings: Settings,
        undone: Callable[[], Iterable[Item]],
        gone: Callable[[set[Place]], None],
    ) -> None:
        """``undone`` gives what was handed over and may not have been processed; ``gone`` is told
        of partitions that the group has taken away.
        """
        self.settings, self._undone, self._gone = settings, undone, gone
        self.codec = codec_of(settings.registry, settings.registry_user_info)
        self.view, self.watermarks = view_of(settings), Watermarks()
        self.malformed = 0
        self._shown_from: dict[Place, int] = {}
        self.tips: Tips | None = None
        self.fetch = Fetch(settings.bootstrap, settings.kafka, settings.group, settings.timeout)
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        counts = {name: self.fetch.partitions(name) for name in self.settings.names}
        if isinstance(self.view, Settler):
            self.tips = Tips(self.settings, self.codec, self.view)
            self.tips.open()
        if self.settings.group is not None:
            self.fetch.consumer.subscribe(
                list(counts), on_assign=self._given, on_revoke=self._taken, on_lost=self._lost
            )
            return
        places = [(n, p) for n, c in counts.items() for p in range(1 if _broadcast(n) else c)]
        self.fetch.assign(self._begin(places, {}))

    # Partitions -----------------------------------------------------------------------------------

    def _begin(self, places: list[Place], committed: dict[Place, int]) -> dict[Place, int]:
        """Where to read partitions from: views fold what lies before the start, unseen."""
        low, start = self._resolve(places, "beginning"), self._resolve(places, self.settings.start)
        for place, position in committed.items():
            if position < low[place]:
                LOG.warning("%s/%s: records %s to %s were deleted before the group read them",
                            *place, position, low[place] - 1)  # fmt: skip
        shown = start | committed
        self._shown_from |= shown
        if self.settings.until is not None:
            self.fetch.measure_ends(places)
        return low if self.settings.folds else {p: max(shown[p], low[p]) for p in places}

    def _resolve(self, places: list[Place], start: Start) -> dict[Place, int]:
        ask = partial(resolve, self.fetch.consumer, places, start)
        return patiently(ask, self.settings.bootstrap, self.settings.timeout, self.settings.kafka)

    def _given(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        places = [(p.topic, p.partition) for p in partitions]
        self.fetch.assign(self._begin(places, self.fetch.committed(places)))

    def _taken(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self.settings.commit == "auto":
            self.commit_quietly(self._undone())
        self._lost(consumer, partitions)

    def _lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        places = {(p.topic, p.partition) for p in partitions}
        for place in places:
            self.fetch.next.pop(place, None)
            self._shown_from.pop(place, None)
            self.watermarks.drop(place)
            self.view.drop(*place)
        self._gone(places)

    # Records --------------------------------------------------------------------------------------

    @property
    def at_end(self) -> bool:
        """Whether everything was handed over that was there at the start."""
        return self.fetch.at_end

    def poll(self, seconds: float) -> list[Item | Control]:
        """What the next tip or record becomes; empty when nothing came, or nothing follows."""
        found: list[Item | Control] = []
        if self.tips is not None:
            found += self.tips.poll()
        if not found:
            message = self.fetch.poll(seconds)
            if message is not None:
                found += self._items(message)
        return found

    def _items(self, message: Message) -> Iterable[Item | Control]:
        place = (message.topic() or "", message.partition() or 0)
        if is_control(message):
            return (Control(place, message),)
        if place[1] and _broadcast(place[0]):
            return ()
        shown = (message.offset() or 0) >= self._shown_from.get(place, 0)
        read = read_message(message, self.codec)
        if read.event is None:
            found = Malformed(
                *place, read.offset, read.error or "", read.key, read.value, read.headers
            )
            return self._refuse(found) if shown else ()
        record = Record[Any](*place, read.offset, read.append_ts, read.event)
        items = self.view.take(record, known=not shown)
        return items if shown else ()

    def _refuse(self, found: Malformed) -> Iterable[Item]:
        self.malformed += 1
        if str(self.malformed).rstrip("0") == "1":  # the first, the tenth, the hundredth
            LOG.warning("%s/%s/%s is malformed (%s); %s so far", found.topic, found.partition,
                        found.offset, found.cause, self.malformed)  # fmt: skip
        return (found,) if self.settings.malformed == "yield" else ()

    # Positions ------------------------------------------------------------------------------------

    def positions(self, undone: Iterable[Item]) -> dict[Place, int]:
        """From where to go on so that nothing of ``undone``, and nothing that waits, is lost."""
        found = dict(self.fetch.next)
        for item in undone:
            place = (item.topic, item.partition)
            told = not (isinstance(item, Withdrawn) and item.because == "disconnected")
            if told and place in found:
                found[place] = min(found[place], item.offset)
        for place, position in found.items():
            waits = self.view.unresolved(*place)
            safe = position if waits is None else min(position, waits)
            found[place] = max(safe, self._shown_from.get(place, 0))
        return found

    def commit_quietly(self, undone: Iterable[Item]) -> None:
        """Commit; a failure is logged, since a later commit makes up for it."""
        try:
            self.fetch.commit(self.positions(undone))
        except NotCommitted as error:
            LOG.warning("%s", error)

    def close(self) -> None:
        """Leave the group and the broker."""
        self.fetch.close()
        if self.tips is not None:
            self.tips.close()


def _broadcast(topic: str) -> bool:
    known = BY_TOPIC.get(topic)
    return known is not None and known.broadcast
