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
from streams.engine.stages import Stage

LINGER_MS = 5
"""How long a result waits for others of its partition; a checkpoint waits for none."""
MOST_AHEAD = 10_000
"""Results at once, and records on their way to the brokers, above which results wait for their
checkpoint: they are encoded on the event loop, which other tasks need."""

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
        self._ahead = self._taken = 0
        self._stored: int | None = None
        """How many of the checkpoint's results are stored: all of them, or it is not known."""
        self._held = False

    def ahead(self, pending: Sequence[Any]) -> None:
        """Write what is new in ``pending``, and wait for nothing; called on the event loop."""
        new = len(pending) - self._ahead
        if self._held or not 0 < new <= MOST_AHEAD:
            return
        self.producer.poll(0)  # what is stored counts as on its way until it has been asked for
        if len(self.producer) > MOST_AHEAD:
            return
        try:
            produce(self.producer, self._encode(pending[self._ahead :]), patience=0)
        except (KafkaException, BufferError):
            self.hold()  # some may have been handed over: the checkpoint writes all of it again
        else:
            self._ahead = len(pending)

    def hold(self) -> None:
        """Write nothing ahead until the next checkpoint is over."""
        self._held = True

    def take(self) -> None:
        """A checkpoint takes what is pending: what is newer has to wait for it."""
        self._taken, self._ahead, self._stored = self._ahead, 0, None
        self.hold()

    def send(self, outputs: Sequence[Any]) -> None:
        """Write what is left of a checkpoint's outputs, and see all of them stored.

        Waits for brokers that are away: to write again what still waits in the client would hold it
        twice, and write it twice once they are back. Raises KafkaException where one is refused.
        """
        with Stage.OUTPUTS:
            produce(self.producer, self._encode(outputs[self._taken :]))
            while self.producer.flush(COMMIT_SECONDS):
                pass
            if self._refused:
                raise KafkaException(self._refused[0])
        self._stored, self._held = len(outputs), False

    def over(self, failed: bool) -> None:
        """The checkpoint is over; of one that failed, what is pending again may be stored."""
        self._held = False
        if failed and self._stored is not None:
            self._ahead += self._stored
        elif failed:
            self._refused.clear()  # all that was refused is written again

    def close(self) -> None:
        """Forget what is on its way: no checkpoint has it, so the next owner writes it."""
        self.hold()
        self.producer.purge()
