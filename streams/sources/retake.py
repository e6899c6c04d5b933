"""A source whose transaction timed out takes its id again, if nobody else went on meanwhile.

The same way back as that of a task (``streams.engine.retake``): each position record of a source
names the run that wrote it and counts, so the last one tells who went on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from confluent_kafka import KafkaError, KafkaException

from streams.engine.checkpoint import Fenced, Transactions, Written
from streams.engine.retake import AGAIN_SECONDS, Signature, renew
from streams.engine.stages import Stage

Look = Callable[[], bytes | None]
"""Reads the last position record, with whatever had been begun before it decided."""


class Writing:
    """Commits one position after the other, through outages longer than a transaction may take."""

    def __init__(self, tx: Transactions, timeout_ms: int, look: Look) -> None:
        self._tx, self._timeout_ms, self._look = tx, timeout_ms, look
        self._signature = Signature()
        self._trying: float | None = None
        """Since when something has been tried and not committed (monotonic seconds)."""
        self.stands: bytes | None = None
        """The last position record that is known to be committed."""

    def sign(self) -> list[object]:
        """What tells the next position record from every other."""
        return self._signature.next()

    def commit(self, records: Iterable[Written], position: bytes) -> None:
        """Write ``records``, of which ``position`` is the value of one.

        Raises KafkaException where nothing was written, Fenced where somebody else has the id.
        """
        self._trying = time.monotonic() if self._trying is None else self._trying
        try:
            self._tx.commit(records)
        except Fenced as error:
            self._retake(position, error, time.monotonic() - self._trying)
        self._trying, self.stands = None, position

    def _retake(self, position: bytes, fenced: Fenced, seconds: float) -> None:
        """Return if it had been committed all the same; raises as ``commit``."""
        if not fenced.broken and seconds * 1000 < self._timeout_ms:
            raise fenced
        with Stage.RETAKE:
            self._require_ours(position, fenced)  # no healthy run is to be fenced for nothing
            renew(self._tx, self._tx.wanted, fenced)
            last = self._require_ours(position, fenced)
        if last != position:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "the transaction timed out"))

    def _require_ours(self, position: bytes, fenced: Fenced) -> bytes | None:
        last = self._patiently()
        if last not in (position, self.stands):
            raise fenced
        return last

    def _patiently(self) -> bytes | None:
        """Look, as often as it takes until a broker answers, or it is time to stop."""
        while True:
            try:
                return self._look()
            except KafkaException:
                if not self._tx.wanted():
                    raise
                time.sleep(AGAIN_SECONDS)
