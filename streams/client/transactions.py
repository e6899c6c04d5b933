"""Transactions of a producer: all of it becomes visible at once, or nothing does."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import KafkaException, TopicPartition

from streams.client.errors import ClientError, Fenced, NotDelivered, Unavailable
from streams.client.librdkafka import explained
from streams.client.sending import Sender, refusal
from streams.client.start import Place

ATTEMPT_SECONDS = 5.0


class Transactions:
    """Begins, commits and aborts; what can be tried again is, for ``timeout`` seconds."""

    def __init__(self, sender: Sender) -> None:
        self.sender, self.under_way = sender, False

    def fence(self) -> None:
        """Take the transactional id over from an older owner; raises Unavailable."""
        rdkafka = self.sender.librdkafka
        self._again(lambda: rdkafka.init_transactions(ATTEMPT_SECONDS))

    def begin(self) -> None:
        """Open a transaction."""
        self._again(self.sender.librdkafka.begin_transaction)
        self.under_way = True

    def commit(self, positions: Mapping[Place, int] | None = None, group: Any = None) -> None:
        """Commit, with a group's positions; on an error the transaction is aborted and it raises.

        Raises NotDelivered, Fenced or Unavailable.
        """
        rdkafka = self.sender.librdkafka
        try:
            self.sender.flush()
            if positions is not None:
                offsets = [TopicPartition(t, p, o) for (t, p), o in positions.items()]
                self._again(
                    lambda: rdkafka.send_offsets_to_transaction(offsets, group, ATTEMPT_SECONDS)
                )
            self._again(lambda: rdkafka.commit_transaction(ATTEMPT_SECONDS))
        except NotDelivered:
            self.abort()
            raise
        except Fenced:
            self.under_way = False
            self.sender.forget()
            raise
        self.under_way = False

    def abort(self) -> None:
        """Undo the transaction; nothing of it is ever seen by readers of committed records."""
        self.under_way = False
        try:  # librdkafka drops what is queued; to drop what is on its way would break its sequence
            self._again(lambda: self.sender.librdkafka.abort_transaction(ATTEMPT_SECONDS))
        finally:
            self.sender.settle()

    def _again(self, action: Callable[[], object]) -> None:
        deadline = time.monotonic() + self.sender.timeout
        while True:
            try:
                action()
                return
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > deadline:
                    raise self._words(error) from error

    def _words(self, error: KafkaException) -> ClientError:
        problem = error.args[0]
        if problem.txn_requires_abort():
            return NotDelivered(
                f"the transaction cannot be committed ({problem.name()}: {problem.str()})",
                "it was aborted: do it again",
            )
        if problem.fatal():
            return refusal(problem, ())
        found = explained(error, self.sender.bootstrap)
        if problem.retriable():
            return Unavailable(
                f"the transaction's outcome is not known ({problem.str()})",
                "open a producer of the same transactional_id: that settles the transaction",
            )
        return found
