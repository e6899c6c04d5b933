"""The producer: typed values to our topics, each with the id that every producer gives it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

from schemas.envelope import Op
from schemas.events import Value
from streams.client.compose import Composed, Envelope, compose, event_of, topic_of
from streams.client.consumer import Consumer
from streams.client.errors import BadOption, ClientError
from streams.client.intake import codec_of
from streams.client.options import LOG
from streams.client.sending import Sender
from streams.client.transactions import Transactions


def now_ms() -> int:
    """The wall clock."""
    return time.time_ns() // 1_000_000


class ProducerOptions(TypedDict, total=False):
    """The options of ``Producer``."""

    source: str
    transactional_id: str | None
    derived: bool
    timeout: float
    registry: str | None
    registry_user_info: str | None
    kafka: dict[str, Any] | None
    clock: Callable[[], int]


class Producer:
    """Sends events: idempotent, or with a ``transactional_id`` in transactions only.

    ``send`` queues, and returns the event's id; the broker has it after ``flush``, the end of the
    transaction, or at once with ``wait=True``. What could not be delivered is raised, with the ids,
    by the next call. While 64 MB wait for the broker, ``send`` waits too (back-pressure).

    Any thread may send; transactions, flush and close belong to one thread at a time.

    Raises BadOption, Refused, NoTopic, Unavailable, NotDelivered, Fenced or RegistryError.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        source: str = "streams.client",
        transactional_id: str | None = None,
        derived: bool = False,
        timeout: float = 60.0,
        registry: str | None = None,
        registry_user_info: str | None = None,
        kafka: dict[str, Any] | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        """``source`` names the program in the records; ``derived`` allows the pipeline's topics;
        ``clock`` gives ingest times, and event times that nothing else gives (ms).
        """
        self.source, self.derived, self.clock = source, derived, clock
        self.codec = codec_of(registry, registry_user_info)
        self.sender = Sender(bootstrap, kafka or {}, timeout, transactional_id)
        self._transactions: Transactions | None = None
        self._closed = False
        if transactional_id is not None:
            self._transactions = Transactions(self.sender)
            self._transactions.fence()

    # Sending --------------------------------------------------------------------------------------

    def send(
        self,
        value: Value,
        *,
        ts: int | None = None,
        wait: bool = False,
        **envelope: Unpack[Envelope],
    ) -> str:
        """Assert a value, and return its event id; ``ts`` is its event time (ms, default now)."""
        return self._send(self._composed(value, ts, "assert", envelope), wait)

    def withdraw(
        self, value: Value, *, ts: int, wait: bool = False, **envelope: Unpack[Envelope]
    ) -> str:
        """Retract a value that was sent with this ``ts``: the same id, key and ts."""
        return self._send(self._composed(value, ts, "retract", envelope), wait)

    def _composed(self, value: Value, ts: int | None, op: Op, envelope: Envelope) -> Composed:
        if self._closed:
            raise BadOption("this producer is closed", "open another one")
        if self._transactions is not None and not self._transactions.under_way:
            raise BadOption(
                "this producer sends in transactions only",
                "write: with producer.transaction(): ...",
            )
        event = event_of(value, ts, op, self.source, self.clock(), envelope)
        topic = topic_of(value, envelope.get("topic"))
        return compose(event, topic, self.codec, self.derived)

    def _send(self, record: Composed, wait: bool) -> str:
        numbers = self.sender.send(record)
        if wait:
            self.sender.wait_for(numbers)
        return record.id

    def flush(self) -> None:
        """Wait until the broker has everything that was sent; raises NotDelivered."""
        self.sender.flush()

    @contextmanager
    def transaction(self, after: Consumer[Any] | None = None) -> Iterator[None]:
        """All that the block sends becomes visible at its end, or nothing when it raises.

        With ``after``, a consumer of a group with ``commit="manual"``, its positions are part of
        the transaction: what was read and what was made of it are one, exactly once. After an
        error open the consumer again, so that it goes on from the group's positions. Raises
        NotCommitted where it was not, or where the group took partitions away meanwhile.
        """
        transactions = self._ready(after)
        transactions.begin()
        try:
            yield
            if after is not None:
                after.check_whole()
        except BaseException:
            if after is not None:
                after.tear()
            transactions.abort()
            raise
        if after is None:
            transactions.commit()
            return
        try:
            after.in_transaction(transactions.commit)
        except ClientError:
            after.tear()
            raise

    def _ready(self, after: Consumer[Any] | None) -> Transactions:
        if self._transactions is None:
            raise BadOption("this producer has no transactions", "open it with transactional_id=")
        if self._transactions.under_way:
            raise BadOption("a transaction is under way", "end it before the next")
        if after is not None and (
            after.settings.group is None or after.settings.commit != "manual"
        ):
            raise BadOption(
                "only the positions of a group that commits by hand can be in a transaction",
                'open the consumer with group= and commit="manual"',
            )
        if after is not None:
            after.check_whole()
        return self._transactions

    # The end --------------------------------------------------------------------------------------

    def close(self) -> None:
        """Flush, and leave the broker; raises NotDelivered."""
        if self._closed:
            return
        self._closed = True
        try:
            self.sender.flush()
        finally:
            self.sender.forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except ClientError as failed:
            if error is None:
                raise
            LOG.error("%s", failed)
