"""Delivery at least once: results are written before, and outside of, their transaction.

As soon as they are there, too: whoever reads them waits neither for the interval nor for the
commit. What a crash leaves of it is written again by the next owner, with the same ids.

::

    results      r1 r2    r3              r4      r5
    written      r1 r2 -> r3 -> (flush)        W  r4 r5 ->
    checkpoint                 |-- r1 r2 r3 --|
                  ahead        send       committed  ahead: after those of the checkpoint

A result is never written before one that is older, unless a broker refused that one or has it. The
watermark W that a checkpoint declares follows its commit, since a crash before it may bring results
that are older than W again; the next owner, who cannot know whether it was written, does so again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from streams.engine.checkpoint import COMMIT_SECONDS, WRITE, Written, produce
from streams.engine.delivery import Delivery, declares_to
from streams.engine.emit import Encoder, Snapshot
from streams.engine.settings import EngineSettings
from streams.engine.stages import Stage
from streams.engine.topology import SubTopology
from streams.topics import Topic

LINGER_MS = 5
"""How long a result waits for others of its partition; a checkpoint waits for none."""
MOST_AHEAD = 10_000
"""Results at once, and records on their way to the brokers, above which results wait for their
checkpoint: they are encoded on the event loop, which other tasks need."""
CLOSE_SECONDS = 0.2
"""How long a watermark that is on its way may take at the end: there may be no next owner soon."""


class Repeating(Delivery):
    """The results and watermarks of one task, on their way out."""

    def __init__(
        self, encoder: Encoder, declare_to: tuple[Topic, ...], config: dict[str, Any]
    ) -> None:
        super().__init__(encoder, declare_to)
        own = {name: value for name, value in WRITE.items() if not name.startswith("transaction")}
        refused = self._refused = list[KafkaError]()

        def told(error: KafkaError | None, message: Any) -> None:
            if error is not None:
                refused.append(error)

        every = {"enable.idempotence": True, "linger.ms": LINGER_MS, "on_delivery": told}
        self._config = {**own, **config, **every}
        self.producer = self._made()
        self._ahead = self._taken = 0
        self._stored: int | None = None
        """How many of the checkpoint's results are stored: all of them, or it is not known."""
        self._held = False
        self._declared: list[Written] = []
        """What was declared since it was last known that all is stored."""
        self._declare_again = False

    def _made(self) -> Producer:
        return Producer(self._config)

    def owes(self) -> bool:
        """Whether a declaration was refused: there may be no other reason for a checkpoint."""
        self.producer.poll(0)
        return bool(self._declared) and (self._declare_again or bool(self._refused))

    def ahead(self, pending: Sequence[Any]) -> None:
        """Write what is new in ``pending``, and wait for nothing; called on the event loop."""
        new = len(pending) - self._ahead
        if self._held or not 0 < new <= MOST_AHEAD:
            return
        self.producer.poll(0)  # what is stored counts as on its way until it has been asked for
        if len(self.producer) > MOST_AHEAD:
            return
        try:
            produce(self.producer, self.encoder.outputs(pending[self._ahead :]), patience=0)
        except (KafkaException, BufferError):
            self.hold()  # some may have been handed over: the checkpoint writes all of it again
        else:
            self._ahead = len(pending)

    def hold(self) -> None:
        self._held = True

    def take(self) -> None:
        self._taken, self._ahead, self._stored = self._ahead, 0, None
        self.hold()

    def records(self, snapshot: Snapshot) -> Iterable[Written]:
        """Its state, when all results are stored.

        Changes of idleness are declared with it: written later, when somebody else may have the
        task, they would be wrong, while a watermark is at most old.
        """
        self.send(snapshot.outputs)
        state = self.encoder.state(snapshot)
        if not snapshot.changes_idleness:
            return state
        return chain(self.encoder.declared(snapshot, self.declare_to), state)

    def committed(self, snapshot: Snapshot) -> None:
        """Watermarks; waits for nothing, and cannot fail any more."""
        if snapshot.changes_idleness:
            return
        try:
            controls = list(self.encoder.declared(snapshot, self.declare_to, unfenced=True))
            self._declared += controls
            produce(self.producer, controls, patience=0)
        except (KafkaException, BufferError):
            self._declare_again = True

    def send(self, outputs: Sequence[Any]) -> None:
        """Write what is left of a checkpoint's outputs, and see all of them stored.

        Waits for brokers that are away: to write again what still waits in the client would hold it
        twice, and write it twice once they are back. Raises KafkaException where one is refused, or
        the client can write no more: then another one does.
        """
        with Stage.OUTPUTS:
            try:
                self._send(outputs)
            except KafkaException as error:
                if error.args[0].fatal() or error.args[0].code() == KafkaError._FATAL:
                    self.producer = self._made()
                raise
        self._stored, self._held = len(outputs), False
        self._declared, self._declare_again = [], False

    def _send(self, outputs: Sequence[Any]) -> None:
        if self._declare_again:
            produce(self.producer, self._declared)
        produce(self.producer, self.encoder.outputs(outputs[self._taken :]))
        while self.producer.flush(COMMIT_SECONDS):
            pass
        if self._refused:
            raise KafkaException(self._refused[0])

    def over(self, failed: bool) -> None:
        self._held = False
        if failed and self._stored is not None:
            self._ahead += self._stored
        elif failed:
            self._refused.clear()  # all that was refused is written again
            self._declare_again = bool(self._declared)

    def close(self) -> None:
        self.hold()
        if self._declared:
            self.producer.flush(CLOSE_SECONDS)
        self.producer.purge()


def delivery_of(settings: EngineSettings, sub: SubTopology, encoder: Encoder) -> Delivery:
    """How the results of a task get out, as its settings say."""
    if settings.delivery == "exactly_once":
        return Delivery(encoder, declares_to(sub))
    kafka = {"bootstrap.servers": settings.bootstrap, **settings.kafka}
    return Repeating(encoder, declares_to(sub), kafka)
