"""The byte mover: a librdkafka consumer that is assigned, fetches, and gives chunks of records.

It has no group: aiokafka is the member, the mover is told what to read from where.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.engine.guard import attempt
from streams.wire.errors import WireError, no_right

CHUNK = 2000
"""Records that are read at once, and so a chunk at most: they fit a processor's cache."""
POLL_SECONDS = 0.02

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
EXIT_STALLED = 13


def end_process(code: int, words: str) -> None:
    """End the worker at once: it cannot go on safely, and its supervisor starts it again."""
    print(f"streams: {words}\n", end="", file=sys.__stderr__, flush=True)
    os._exit(code)


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class Gone(RuntimeError):
    """Records were deleted before they were read, or their topic was made anew."""

    def __init__(self, message: Message, after: int) -> None:
        super().__init__(
            f"{message.topic()}/{message.partition()} has no offset {after} any more, where its "
            "task stands: records were deleted before they were read, or the topic was made anew. "
            "Make the results anew from what is left with `streams replay start NAME --partial`, "
            "and keep records longer (docs/how-to/recover.md)"
        )


class Session:
    """One assignment: what was fetched in an older one is stale; knows what is in flight."""

    def __init__(self, room: asyncio.Event) -> None:
        self.room, self.moved, self.done = room, 0, 0

    def free(self, records: int) -> None:
        """So much has been done."""
        self.done += records
        self.room.set()

    @property
    def full(self) -> bool:
        """Whether there is anything in flight: who reads on fills the cache with what waits."""
        return self.moved > self.done


class Chunk:
    """Consecutive records of one partition, from position ``after`` to position ``next``."""

    __slots__ = ("after", "at_end", "messages", "more", "next", "place", "session")

    def __init__(
        self,
        place: Place,
        messages: list[Message],
        session: Session,
        after: int,
        end: int | None,
        more: bool = False,
    ) -> None:
        self.place, self.messages, self.session, self.after = place, messages, session, after
        last = (messages[-1].offset() or 0) + 1 if messages else after
        self.at_end = end is not None
        self.more = more and not self.at_end
        """Whether as much was read as could be at once: there is more."""
        self.next = last if end is None else max(last, end)

    def free(self) -> None:
        """Count the chunk as done and let its records go while they are warm in the cache."""
        self.session.free(len(self.messages))
        self.messages = []


class Mover(threading.Thread):
    """The consumer and the thread that waits for it: they are the loop's and the thread's by turns.

    The thread waits for records and hands the first ones over. From then on it is the event loop's
    turn: it reads what librdkafka has fetched, without waiting, and works on it while it is warm in
    the cache. When nothing is left, or a command is to be obeyed, it is the thread's turn again.
    """

    def __init__(
        self, config: dict[str, Any], loop: asyncio.AbstractEventLoop, only: str = ""
    ) -> None:
        """``only``: the one topic that is ever read, if there is one."""
        super().__init__(name="mover", daemon=True)
        self.only = only
        self.consumer = Consumer({**READ, **config})
        self.loop = loop
        self.commands: queue.SimpleQueue[tuple[Callable[[], None], asyncio.Future[None]]] = (
            queue.SimpleQueue()
        )
        self.handed: asyncio.Queue[list[Chunk]] = asyncio.Queue()
        self.turn = threading.Event()
        """Set when it is the thread's turn."""
        self.ours = False
        """Whether it is the event loop's turn; only the loop looks at it."""
        self.room = asyncio.Event()
        """Set when something was done, or the turn is over."""
        self.session, self.next, self.stopped = Session(self.room), dict[Place, int](), False
        self.paused: set[Place] = set()

    # Called from the event loop -------------------------------------------------------------------

    async def chunks(self) -> list[Chunk]:
        """The next chunks: read here while there are any, waited for by the thread when not.

        Nothing new is read while what was read before is under way.
        """
        while self.ours and self.handed.empty():
            if self.session.full:
                self.room.clear()
                await self.room.wait()
                continue
            found = self._read_on()
            if found:
                return found
            if found is None:
                self._give_turn()
        return await self.handed.get()

    def _read_on(self) -> list[Chunk] | None:
        """What there is without waiting; None when there is nothing."""
        try:
            messages = self.consumer.consume(CHUNK, 0)
            return self._split(messages) if messages else None
        except (KafkaException, RuntimeError) as error:
            self._fail(error)
            return None

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
            self.next, self.session = {}, Session(self.room)

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
        self.turn.set()
        if self.is_alive():
            self.join(5)
        self.consumer.close()

    def _do(self, action: Callable[[], None]) -> asyncio.Future[None]:
        done: asyncio.Future[None] = self.loop.create_future()
        if self.stopped:  # a rebalance may arrive while stopping
            done.set_result(None)
        else:
            self.commands.put((action, done))
            self._give_turn()
        return done

    def _take_turn(self, chunks: list[Chunk]) -> None:
        self.handed.put_nowait(chunks)
        self.ours = True
        if not self.commands.empty():
            self._give_turn()

    def _give_turn(self) -> None:
        if self.ours:
            self.ours = False
            self.room.set()
            self.turn.set()

    # The thread -----------------------------------------------------------------------------------

    def run(self) -> None:
        """Wait until stopped; an error that cannot be retried ends the process."""
        error = attempt(self._work)
        if error is not None:
            self._fail(error)

    def _work(self) -> None:
        while not self.stopped:
            self._obey()
            chunks = self._wait()
            if chunks is not None:
                self.turn.clear()
                self.loop.call_soon_threadsafe(self._take_turn, chunks)
                if not self.stopped:
                    self.turn.wait()
        self._obey()  # nobody may wait for a stopped thread

    def _fail(self, error: Exception) -> None:
        if self.stopped:
            return
        if isinstance(error, Gone):
            end_process(EXIT_BROKEN_CHAIN, str(error))
        known = isinstance(error, WireError)
        end_process(EXIT_MOVER, f"{'' if known else 'reading from Kafka failed: '}{error}")

    def _obey(self) -> None:
        while not self.commands.empty():
            action, done = self.commands.get()
            action()
            self.loop.call_soon_threadsafe(_resolve, done)

    def _wait(self) -> list[Chunk] | None:
        """The first chunks that come, at most for a moment."""
        if self.session.full:
            return []
        first = self.consumer.poll(POLL_SECONDS)
        if first is None:
            return None
        return self._split([first, *self.consumer.consume(CHUNK - 1, 0)])

    def _split(self, messages: list[Message]) -> list[Chunk]:
        chunks: list[Chunk] = []
        more = len(messages) >= CHUNK
        for place, run in _runs(messages, self.only).items():
            after = self.next.get(place)
            if after is None:
                self._refuse(run)
                continue
            good, end = _sift(run, after)
            if good or end is not None:
                chunk = Chunk(place, good, self.session, after, end, more)
                self.next[place] = chunk.next
                self.session.moved += len(good)
                chunks.append(chunk)
        return chunks

    def _refuse(self, run: list[Message]) -> None:
        for message in run:
            error = message.error()
            if error is not None and error.fatal():
                raise KafkaException(error)


def _resolve(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def _runs(messages: list[Message], only: str) -> dict[Place, list[Message]]:
    """The records by partition, in their order; mostly all are of one partition.

    ``only``: the topic of all of them, where that is known; to ask each costs a string.
    """
    count, numbers = len(messages), list(map(Message.partition, messages))
    names = [] if only else list(map(Message.topic, messages))
    name = only or names[0] or ""
    alone = bool(only) or names.count(name) == count
    if alone and numbers.count(numbers[0]) == count:
        return {Place(name, numbers[0] or 0): messages}
    runs: dict[Place, list[Message]] = {}
    start = 0
    for _, same in groupby(numbers if alone else zip(names, numbers, strict=True)):
        end = start + len(list(same))
        place = Place(name if alone else names[start] or "", numbers[start] or 0)
        runs.setdefault(place, []).extend(messages[start:end])
        start = end
    return runs


def _sift(run: list[Message], after: int) -> tuple[list[Message], int | None]:
    """The records of a run, and the end of the partition if the run reached it.

    The end lies behind the markers of transactions, which are offsets without a record.
    """
    if not any(map(Message.error, run)) and (run[0].offset() or 0) >= after:
        return run, None
    good: list[Message] = []
    end: int | None = None
    for message in run:
        error = message.error()
        if error is None:
            end = None
            if (message.offset() or 0) >= after:
                good.append(message)
        elif error.code() == KafkaError._PARTITION_EOF:
            end = message.offset()
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise Gone(message, after)
        elif not error.retriable():
            doing = f"read topic {message.topic()}"
            raise no_right(error, doing) or KafkaException(error)
    return good, end
