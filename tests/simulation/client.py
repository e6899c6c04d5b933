"""A model of the clients: the interface of librdkafka's, with a process and a network around them.

Records wait in the producer's queue and come to the broker later, in pieces; a process that dies
leaves requests on the wire, which arrive later still, or never; answers are lost, and then nobody
knows whether the request was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from confluent_kafka import KafkaError, KafkaException

from streams.engine.checkpoint import Transactions
from streams.engine.murmur2 import partition_of
from streams.engine.recovery import Recovery
from tests.simulation.broker import Concurrent, Content, Place, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.world import Owner


def fenced() -> KafkaException:
    """As librdkafka says it when somebody else has the id, or the transaction has timed out."""
    return KafkaException(KafkaError(KafkaError._FENCED, "fenced", True, False, False))


def timed_out() -> KafkaException:
    """Nobody answered in time: say the same again."""
    return KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer", False, True, False))


def out_of_order() -> KafkaException:
    """There is no transaction."""
    return KafkaException(KafkaError(KafkaError._STATE, "no transaction", False, False, False))


def refused() -> KafkaException:
    """A record was refused: the transaction has to be aborted."""
    code = KafkaError.NOT_ENOUGH_REPLICAS
    return KafkaException(KafkaError(code, "a record was refused", False, False, True))


class Producer:
    """A transactional producer."""

    def __init__(self, owner: Owner, id: str) -> None:
        self.owner, self.id, self.broker = owner, id, owner.world.broker
        self.epoch, self.serial = -1, 0
        self.queue: list[tuple[Place, Content]] = []
        self.failed: KafkaException | None = None
        self.under_way = False

    def list_topics(self, topic: str, timeout: float) -> None:
        """Asked for to be connected."""

    def init_transactions(self, timeout: float) -> None:
        self.owner.point("ask for the id")
        self.owner.world.fenced_last[self.owner.task] = self.owner
        try:
            self.epoch = self.broker.init(self.id)
        except Concurrent:
            self.owner.stop("the markers are not there yet")
            raise timed_out() from None
        self.owner.note(f"has {self.id}, epoch {self.epoch}")
        self.owner.point("has the id")
        self._lose("of InitProducerId")

    def begin_transaction(self) -> None:
        if self.failed is not None and self.failed.args[0].fatal():
            raise self.failed
        self.serial += 1
        self.failed, self.under_way = None, True
        self.owner.producing = self

    def produce(
        self,
        topic: str,
        value: Any = None,
        key: Any = None,
        partition: int = -1,
        headers: Any = None,
    ) -> None:
        if partition < 0:
            partition = partition_of(key or b"", self.owner.world.partitions)
        self.queue.append((Place(topic, partition), Content(key, value, headers)))

    def poll(self, timeout: float) -> None:
        """Nothing is told."""

    def send(self) -> None:
        """A piece of the queue comes to the broker: the first records for one partition."""
        place = self.queue[0][0]
        most = 1 + self.owner.world.plan.small(4)
        piece = [c for p, c in self.queue if p == place][:most]
        left, rest = len(piece), []
        for waiting in self.queue:
            if waiting[0] == place and left:
                left -= 1
            else:
                rest.append(waiting)
        self.queue = rest
        try:
            self.broker.produce(self.id, self.epoch, self.serial, place, piece)
        except Refused:
            self.failed, self.queue = fenced(), []
            return
        self.owner.note(f"wrote {len(piece)} to {place.topic}/{place.partition}")
        if self.owner.world.plan.rarely("a record is refused"):
            self.refuse()

    def refuse(self) -> None:
        """The broker took it all the same, or did not: the transaction cannot be committed."""
        self.failed, self.queue = refused(), []
        self.owner.note("a record was refused")

    def commit_transaction(self, timeout: float) -> None:
        while self.queue and self.failed is None:
            self.owner.point("write")
            if self.queue:
                self.send()
        if self.failed is not None:
            raise self.failed
        self._end(commit=True)

    def abort_transaction(self, timeout: float) -> None:
        if self.failed is not None and self.failed.args[0].fatal():
            raise self.failed
        if not self.under_way:
            raise out_of_order()
        self.queue = []
        self._end(commit=False)
        self.failed = None

    def _end(self, commit: bool) -> None:
        word = "commit" if commit else "abort"
        self.owner.flying = lambda: self.broker.end(self.id, self.epoch, self.serial, commit)
        self.owner.point(f"ask for the {word}")
        self.owner.flying = None
        if self.owner.world.plan.rarely("the request is lost"):
            self.owner.note(f"nobody answers the {word}")
            raise timed_out()
        try:
            self.broker.end(self.id, self.epoch, self.serial, commit)
        except Refused:
            self.failed = fenced()
            raise self.failed from None
        self.owner.note(f"{word} done")
        self.owner.point(f"answer to the {word}")
        self._lose(f"to the {word}")
        self.owner.producing, self.under_way = None, False

    def _lose(self, what: str) -> None:
        if self.owner.world.plan.rarely("an answer is lost"):
            self.owner.note(f"the answer {what} is lost")
            raise timed_out()

    def purge(self) -> None:
        self.queue = []


def transactions_of(
    owner: Callable[[], Owner],
) -> Callable[[dict[str, Any], str], Transactions]:
    """The engine's own transactions, over a model producer."""

    def make(config: dict[str, Any], transactional_id: str) -> Transactions:
        here = owner()
        scheme = here.world.scheme
        made: Any = scheme.transactions.__new__(scheme.transactions)
        made.id = scheme.id_of(here, transactional_id)
        made._made = lambda: scheme.producer(here, made.id)
        made.producer = made._made()
        return cast(Transactions, made)

    return make


class Reader:
    """Reads the changelog of a task, with the interface of the engine's."""

    def __init__(self, owner: Owner, changelog: str, partition: int) -> None:
        self.owner, self.place = owner, Place(changelog, partition)
        self.committed = owner.world.scheme.reads_committed

    def ends(self, wanted: Callable[[], bool] = lambda: False) -> tuple[int, int]:
        log = self.owner.world.broker.log(self.place)
        return 0, log.stable if self.committed else log.end

    def read(self, recovery: Recovery, start: int, wanted: Callable[[], bool]) -> bool:
        log, world = self.owner.world.broker.log(self.place), self.owner.world
        while wanted():
            self.owner.point("fetch")
            found, end = log.read(start, 1 + world.plan.small(12), self.committed)
            for offset, content, _ in found:
                recovery.take(offset, content.key or b"", content.value)
                start = offset + 1
            if end is not None:
                return True
        return False

    def close(self) -> None:
        """Nothing to let go of."""
