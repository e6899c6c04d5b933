"""A task takes its state over from its changelog: all of it, or what its store does not have."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.engine.codec import decode_value
from streams.engine.emit import POSITION
from streams.engine.ends import AGAIN_SECONDS, EARLIEST, Ends
from streams.engine.mover import READ, Place
from streams.engine.stages import Stage
from streams.engine.stores import StateLost
from streams.engine.task import Task

ASK_SECONDS = 10
HELD, HELD_BYTES = 200_000, 64 << 20
"""What a recovery holds back at most: records, and their bytes."""
_FORBIDDEN = (KafkaError.TOPIC_AUTHORIZATION_FAILED,)


class Recovery:
    """What the records of a changelog make of a task that has just been made."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.records = 0
        """How many were read."""
        self._position: dict[str, Any] | None = None
        self._after = 0
        self._newest: dict[bytes, bytes | None] = {}
        """Records that are held back: a later one of the same key makes them needless."""
        self._weight = 0

    @property
    def by(self) -> Any:
        """Which checkpoint of which owner the last position record is of."""
        return (self._position or {}).get("by")

    def take(self, offset: int, key: bytes, body: bytes | None) -> None:
        """Take the next record."""
        self.records += 1
        if key == POSITION:
            self._position = None if body is None else decode_value(body)
            self._after = offset + 1
            return
        newest = self._newest
        newest.pop(key, None)  # in the order of what is left, as compaction leaves it
        newest[key] = body
        self._weight += len(body or b"")
        if len(newest) >= HELD or self._weight >= HELD_BYTES:
            self._replay()

    def _replay(self) -> None:
        newest, self._newest, self._weight = self._newest, {}, 0
        replay = self.task.store.replay
        for key, body in newest.items():
            replay(key, body)

    def stand(self) -> bool:
        """All was read: stand at the last position; False: read everything, from the beginning."""
        self._replay()
        position = self._position or {}
        if not self.task.store.stand(self._after, position.get("lineage")):
            self._position, self._after = None, 0
            return False
        if position:
            self.task.restore(position)
        return True


class Taker(Protocol):
    """Takes the records of a changelog in their order."""

    def take(self, offset: int, key: bytes, body: bytes | None) -> None: ...


class Reader:
    """Reads the changelog of a task on Kafka."""

    def __init__(self, kafka: dict[str, Any], changelog: str, partition: int) -> None:
        self._consumer = Consumer({**READ, **kafka})
        self._topic, self._partition = changelog, partition

    def ends(self, wanted: Callable[[], bool] = lambda: False) -> tuple[int, int]:
        """Its first offset and its end, before the first transaction still open.

        Raises KafkaException when no broker answers, and it is not ``wanted`` that they are asked
        again. A leader that has just been elected gives no answer before it knows how far the one
        before it had let anybody read (KIP-207).
        """
        place = TopicPartition(self._topic, self._partition)
        while True:
            try:
                found = self._consumer.get_watermark_offsets(place, timeout=ASK_SECONDS)
                return int(found[0]), int(found[1])
            except KafkaException as error:
                if _is_final(error.args[0]) or not wanted():
                    raise
            time.sleep(AGAIN_SECONDS)

    def read(self, recovery: Taker, start: int, wanted: Callable[[], bool]) -> bool:
        """Read to the end, for as long as that is ``wanted``; whether it was reached.

        The end is asked for: a leader that has just been elected lets nobody read what it does not
        know to be on the others too, and would show an end that lies before what was committed.

        Raises StateLost where the log does not hold ``start`` any more: records go by compaction
        only, which moves no beginning, so what was there is gone and nobody can tell what it was.
        """
        _, end = self.ends(wanted)
        self._consumer.assign([TopicPartition(self._topic, self._partition, start)])
        while wanted():
            for message in self._consumer.consume(5000, 0.05):
                if _is_end(message):
                    if (message.offset() or 0) >= end:
                        return True
                    continue
                error = message.error()
                if error is None:
                    recovery.take(*_record(message))
                elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                    raise StateLost(self._cut_off(start))
        return False

    def _cut_off(self, start: int) -> str:
        return (
            f"the changelog {self._topic}/{self._partition} does not hold offset {start} any more, "
            "so its records were deleted, not compacted; see that its cleanup.policy is compact, "
            "and make the state anew from the sources, as docs/how-to/recover.md has it"
        )

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()


def recover(recovery: Recovery, reader: Reader, wanted: Callable[[], bool]) -> None:
    """Let a task stand at its last checkpoint; stops early when it is not ``wanted`` any more."""
    start = recovery.task.store.begin(partial(reader.ends, wanted))
    while True:
        with Stage.REPLAY:
            ended = reader.read(recovery, start, wanted)
        if not ended:
            return
        with Stage.RESTORE:
            stands = recovery.stand()
        if stands:
            return
        start = 0


class Firsts:
    """The first offsets that inputs hold, asked for once: by whichever task needs one first."""

    def __init__(self, kafka: Mapping[str, Any], places: Iterable[Place]) -> None:
        self._kafka, self._places = kafka, tuple(places)
        self._found: dict[Place, int] | None = None
        self._asking = threading.Lock()

    def get(self, wanted: Callable[[], bool]) -> Mapping[Place, int]:
        """By partition; raises KafkaException when no broker answers, and it is not ``wanted``."""
        with self._asking:
            while self._found is None:
                self._found = self._ask(wanted)
            return self._found

    def _ask(self, wanted: Callable[[], bool]) -> dict[Place, int] | None:
        asking = Ends(self._kafka)
        try:
            return asking.ask(self._places, ASK_SECONDS, EARLIEST)
        except KafkaException as error:
            if _is_final(error.args[0]) or not wanted():
                raise
            return None
        finally:
            asking.close()


def begin_unread(task: Task, firsts: Firsts, wanted: Callable[[], bool]) -> dict[str, int]:
    """An input that the task never read is read from the first record that it still holds.

    Gives those inputs of which the first records are gone, and where they begin now.
    """
    if not task.unread or not wanted():
        return {}
    found = firsts.get(wanted)
    for topic in task.unread:
        task.position[topic] = found.get(Place(topic, task.partition), task.position[topic])
    return {topic: task.position[topic] for topic in sorted(task.unread) if task.position[topic]}


def _record(message: Any) -> tuple[int, bytes, bytes | None]:
    return message.offset(), message.key(), message.value()


def _is_end(message: Message) -> bool:
    """Whether an end is reached; raises KafkaException on an error that stays."""
    error = message.error()
    if error is not None and _is_final(error):
        raise KafkaException(error)
    return error is not None and error.code() == KafkaError._PARTITION_EOF


def _is_final(error: KafkaError) -> bool:
    """librdkafka gets over other errors by itself, but not over fatal ones and missing rights."""
    return error.fatal() or error.code() in _FORBIDDEN
