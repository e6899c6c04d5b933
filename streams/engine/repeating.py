"""Delivery at least once: results are written before, and outside of, their transaction.

As soon as they are there, too: whoever reads them waits neither for the interval nor for the
commit. What a crash leaves of it is written again by the next owner, with the same ids.

::

    results      r1 r2    r3              r4    r5
    written      r1 r2 -> r3 -> (flush)         r4 r5 ->
    checkpoint                 |-- r1 r2 r3 --|
                  ahead        send           ahead: after those of the checkpoint

A result is never written before one that is older, unless a broker refused that one or has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from streams.engine.checkpoint import COMMIT_SECONDS, WRITE, Written, produce

LINGER_MS = 5
"""How long a result waits for others of its partition; a checkpoint waits for none."""
MOST_AHEAD = 10_000
"""Records on their way to the brokers, above which results wait for their checkpoint."""

Encode = Callable[[Sequence[Any]], Iterable[Written]]


class Repeating:
    """The results of one task, on their way out."""

    def __init__(self, config: dict[str, Any], encode: Encode) -> None:
        own = {name: value for name, value in WRITE.items() if not name.startswith("transaction")}
        refused = self._refused = list[KafkaError]()

        def told(error: KafkaError | None, message: Any) -> None:
            if error is not None:
                refused.append(error)

        every = {"enable.idempotence": True, "linger.ms": LINGER_MS, "on_delivery": told}
        self.producer = Producer({**own, **config, **every})
        self._encode = encode
        self._ahead = self._taken = self._stored = 0
        self._busy = False

    def ahead(self, pending: Sequence[Any]) -> None:
        """Write what is new in ``pending``, and wait for nothing; called on the event loop."""
        new = pending[self._ahead :]
        if not new or self._busy or len(self.producer) > MOST_AHEAD:
            return
        try:
            produce(self.producer, self._encode(new), patience=0)
        except (KafkaException, BufferError):
            return  # the checkpoint writes it again
        self._ahead += len(new)

    def take(self) -> None:
        """A checkpoint takes what is pending: what is newer has to wait for it."""
        self._taken, self._ahead, self._stored, self._busy = self._ahead, 0, 0, True

    def send(self, outputs: Sequence[Any]) -> None:
        """Write what is left of a checkpoint's outputs, and see all of them stored.

        Waits for brokers that are away: to write again what still waits in the client would hold it
        twice, and write it twice once they are back. Raises KafkaException where one is refused.
        """
        produce(self.producer, self._encode(outputs[self._taken :]))
        while self.producer.flush(COMMIT_SECONDS):
            pass
        refused, self._refused[:] = self._refused[:], []
        if refused:
            raise KafkaException(refused[0])
        self._stored, self._busy = len(outputs), False

    def over(self, failed: bool) -> None:
        """The checkpoint is over; of one that failed, what is pending again may be stored."""
        self._busy = False
        if failed:
            self._ahead += self._stored
