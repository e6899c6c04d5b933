"""The byte mover: a librdkafka consumer thread that is assigned, fetches, and hands over chunks.

It has no group: aiokafka is the member, the mover is told what to read from where.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

CHUNK = 2000
"""Records a chunk at most."""
IN_FLIGHT = 4000
"""Records between the mover and the tasks: one chunk is worked on while the next one is read."""
IN_FLIGHT_BYTES = 64 << 20
ROOM_SECONDS = 0.02
FILL_SECONDS = 0.002
"""How long a chunk may fill while the tasks are busy anyway."""

READ: dict[str, Any] = {
    "group.id": "streams-mover",
    "log_level": 2,  # a broker that is away would fill the log
    "enable.auto.commit": False,
    "isolation.level": "read_committed",
    "auto.offset.reset": "error",
    "fetch.wait.max.ms": 20,
    "fetch.queue.backoff.ms": 2,
    "queued.max.messages.kbytes": 65536,
    "fetch.message.max.bytes": 1 << 20,
    "fetch.max.bytes": 64 << 20,
    "receive.message.max.bytes": 80 << 20,
    "enable.partition.eof": True,
}

EXIT_FENCED = 3
EXIT_MOVER = 4
EXIT_BROKEN_CHAIN = 5
EXIT_TOPICS = 7


def end_process(code: int, words: str) -> None:
    """End the worker at once: it cannot go on safely, and its supervisor starts it again."""
    print(f"streams: {words}", file=sys.__stderr__, flush=True)
    os._exit(code)


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class Session:
    """One assignment: what was fetched in an older one is stale; bounds what is in flight."""

    def __init__(self) -> None:
        self.moved = self.done = 0
        self.moved_bytes = self.done_bytes = 0
        self.room = threading.Event()

    def wait(self) -> None:
        """Wait until there is room, a moment at most."""
        self.room.clear()
        if self.full:
            self.room.wait(ROOM_SECONDS)

    def free(self, records: int, size: int) -> None:
        """So much has been done."""
        self.done += records
        self.done_bytes += size
        if not self.full:
            self.room.set()

    @property
    def full(self) -> bool:
        return (
            self.moved - self.done > IN_FLIGHT
            or self.moved_bytes - self.done_bytes > IN_FLIGHT_BYTES
        )


class Chunk:
    """Consecutive records of one partition, from position ``after`` to position ``next``."""

    __slots__ = ("after", "at_end", "messages", "next", "place", "session", "size")

    def __init__(
        self, place: Place, messages: list[Message], session: Session, after: int, end: int | None
    ) -> None:
        self.place, self.messages, self.session, self.after = place, messages, session, after
        last = (messages[-1].offset() or 0) + 1 if messages else after
        self.at_end = end is not None
        self.next = last if end is None else max(last, end)
        self.size = sum(map(len, messages))

    def free(self) -> None:
        """Count the chunk as done and let its records go while they are warm in the cache."""
        self.session.free(len(self.messages), self.size)
        self.messages = []


class Mover(threading.Thread):
    """The thread. Its methods are called from the event loop and done between two polls."""

    def __init__(
        self,
        config: dict[str, Any],
        loop: asyncio.AbstractEventLoop,
        deliver: Callable[[Chunk], None],
    ) -> None:
        super().__init__(name="mover", daemon=True)
        self.consumer = Consumer({**READ, **config})
        self.loop, self.deliver = loop, deliver
        self.commands: queue.SimpleQueue[tuple[Callable[[], None], asyncio.Future[None]]] = (
            queue.SimpleQueue()
        )
        self.session, self.next, self.stopped = Session(), dict[Place, int](), False
        self.paused: set[Place] = set()

    # Called from the event loop -------------------------------------------------------------------

    def add(self, positions: dict[Place, int]) -> asyncio.Future[None]:
        """Read these partitions from these offsets on."""

        def action() -> None:
            self.next.update(positions)
            self.consumer.incremental_assign(
                [TopicPartition(*place, offset) for place, offset in positions.items()]
            )

        return self._do(action)

    def clear(self) -> asyncio.Future[None]:
        """Stop reading; whatever is under way belongs to a past session."""

        def action() -> None:
            if self.paused:  # librdkafka keeps the mark for a partition that comes back
                self.consumer.resume([TopicPartition(*place) for place in self.paused])
                self.paused.clear()
            self.consumer.unassign()
            self.next, self.session = {}, Session()

        return self._do(action)

    def pause(self, places: Iterable[Place]) -> asyncio.Future[None]:
        """Fetch nothing from these partitions until resumed."""

        def action() -> None:
            wanted = self.next.keys() & set(places)
            self.paused |= wanted
            self.consumer.pause([TopicPartition(*place) for place in wanted])

        return self._do(action)

    def resume(self, places: Iterable[Place]) -> asyncio.Future[None]:
        """Fetch from these partitions again."""

        def action() -> None:
            wanted = self.paused & set(places)
            self.paused -= wanted
            self.consumer.resume([TopicPartition(*place) for place in wanted])

        return self._do(action)

    def stop(self) -> None:
        """End the thread and close the consumer."""
        self.stopped = True
        if self.is_alive():
            self.join(5)
        self.consumer.close()

    def _do(self, action: Callable[[], None]) -> asyncio.Future[None]:
        done: asyncio.Future[None] = self.loop.create_future()
        if self.stopped:  # a rebalance may arrive while stopping
            done.set_result(None)
        else:
            self.commands.put((action, done))
        return done

    # The thread -----------------------------------------------------------------------------------

    def run(self) -> None:
        """Poll until stopped; an error that cannot be retried ends the process."""
        try:
            while not self.stopped:
                self._obey()
                self._move()
            self._obey()  # nobody may wait for a stopped thread
        except (KafkaException, RuntimeError) as error:
            if not self.stopped:
                end_process(EXIT_MOVER, f"reading from Kafka failed: {error}")

    def _obey(self) -> None:
        while not self.commands.empty():
            action, done = self.commands.get()
            action()
            self.loop.call_soon_threadsafe(_resolve, done)

    def _move(self) -> None:
        session = self.session
        if session.full:
            session.wait()
            return
        first = self.consumer.poll(0.02)
        if first is None:
            return
        wait = FILL_SECONDS if session.moved > session.done else 0
        messages = [first, *self.consumer.consume(CHUNK - 1, wait)]
        for chunk in self._split(messages, session):
            session.moved += len(chunk.messages)
            session.moved_bytes += chunk.size
            self.loop.call_soon_threadsafe(self.deliver, chunk)

    def _split(self, messages: list[Message], session: Session) -> Iterator[Chunk]:
        for place, run in _runs(messages).items():
            after = self.next.get(place)
            if after is None:
                self._refuse(run)
                continue
            good, end = _sift(run, after)
            if good or end is not None:
                chunk = Chunk(place, good, session, after, end)
                self.next[place] = chunk.next
                yield chunk

    def _refuse(self, run: list[Message]) -> None:
        for message in run:
            error = message.error()
            if error is not None and error.fatal():
                raise KafkaException(error)


def _resolve(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def _runs(messages: list[Message]) -> dict[Place, list[Message]]:
    """The records by partition, in their order; mostly all are of one partition."""
    names, numbers = list(map(Message.topic, messages)), list(map(Message.partition, messages))
    count = len(messages)
    alone = names.count(names[0]) == count
    if alone and numbers.count(numbers[0]) == count:
        return {Place(names[0] or "", numbers[0] or 0): messages}
    runs: dict[Place, list[Message]] = {}
    start = 0
    for _, same in groupby(numbers if alone else zip(names, numbers, strict=True)):
        end = start + len(list(same))
        place = Place(names[start] or "", numbers[start] or 0)
        runs.setdefault(place, []).extend(messages[start:end])
        start = end
    return runs


def _sift(run: list[Message], after: int) -> tuple[list[Message], int | None]:
    """The records of a run, and the end of the partition if the run reached it.

    The end lies behind the markers of transactions, which are offsets without a record.
    """
    errors = list(map(Message.error, run))
    if not any(errors) and (run[0].offset() or 0) >= after:
        return run, None
    good: list[Message] = []
    end: int | None = None
    for message, error in zip(run, errors, strict=True):
        if error is None:
            end = None
            if (message.offset() or 0) >= after:
                good.append(message)
        elif error.code() == KafkaError._PARTITION_EOF:
            end = message.offset()
        elif not error.retriable():
            raise KafkaException(error)
    return good, end
