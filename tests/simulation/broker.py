"""A model of Kafka: logs of partitions, transactions with their markers, fencing, compaction.

What a broker has acknowledged is never lost (acks=all). A transaction is decided at once, by its
coordinator; its markers come to the partitions later, one by one, and until then readers of
committed records wait in front of it. A request names the epoch and the transaction that it belongs
to, and one that is late is refused (transaction.version 2, as Apache Kafka 4 has it).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from schemas.headers import Headers

HOUR_MS = 3_600_000
RETENTION_MS = 24 * HOUR_MS
"""How long a deletion stays in a compacted log (delete.retention.ms)."""


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class Content(NamedTuple):
    """What a producer writes."""

    key: bytes | None
    value: bytes | None
    headers: Headers | None = None


class Transaction:
    """One transaction: undecided, then decided, then marked in each of its partitions."""

    def __init__(self, id: str, epoch: int, serial: int) -> None:
        self.id, self.epoch, self.serial = id, epoch, serial
        self.committed: bool | None = None
        self.unmarked: dict[Place, int] = {}
        """Where its marker is missing, with the offset of its first record there."""


class Entry(NamedTuple):
    """A record in a log."""

    offset: int
    content: Content
    transaction: Transaction | None


class Log:
    """One partition; offsets have gaps where markers are, and where records were cleaned away."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.end = 0
        self.undecided: dict[Transaction, int] = {}
        """Transactions without a marker here, and where each begins."""
        self._deleted: dict[int, int] = {}
        """By offset of a deletion: when the cleaner saw it first (ms)."""

    def append(self, contents: Iterable[Content], transaction: Transaction | None) -> None:
        if transaction is not None:
            self.undecided.setdefault(transaction, self.end)
        for content in contents:
            self.entries.append(Entry(self.end, content, transaction))
            self.end += 1

    def mark(self, transaction: Transaction) -> None:
        """The marker of a decided transaction arrives: an offset without a record."""
        del self.undecided[transaction]
        self.end += 1

    @property
    def stable(self) -> int:
        """The last stable offset: everything below it is decided."""
        return min(self.undecided.values(), default=self.end)

    def read(self, start: int, most: int, committed: bool = True) -> tuple[list[Entry], int | None]:
        """Up to ``most`` records from ``start`` on, and the end where it was reached."""
        end = self.stable if committed else self.end
        found = [e for e in self.entries if start <= e.offset < end]
        if committed:
            found = [e for e in found if e.transaction is None or e.transaction.committed]
        return found[:most], end if len(found) <= most else None

    def clean(self, now_ms: int) -> None:
        """Compact what is decided: of each key the last committed record, deletions for a day."""
        stable = self.stable
        last = {
            e.content.key: e.offset
            for e in self.entries
            if e.offset < stable and (e.transaction is None or e.transaction.committed)
        }
        kept = []
        for entry in self.entries:
            if entry.offset < stable:
                if last.get(entry.content.key) != entry.offset:
                    continue
                if entry.content.value is None:
                    since = self._deleted.setdefault(entry.offset, now_ms)
                    if now_ms - since > RETENTION_MS:
                        continue
            kept.append(entry)
        self.entries = kept


class Refused(Exception):
    """The broker refuses a request: its producer is fenced."""


class Concurrent(Exception):
    """The transaction before is not marked everywhere: ask again."""


class _Id:
    """A transactional id: its epoch, and its transaction under way or last one."""

    def __init__(self) -> None:
        self.epoch = -1
        self.transaction: Transaction | None = None


class Broker:
    """All of Kafka, as its clients and its operators see it."""

    def __init__(self) -> None:
        self.logs: dict[Place, Log] = {}
        self.ids: dict[str, _Id] = {}
        self.marking: list[tuple[Transaction, Place]] = []
        """Markers on their way."""
        self.now_ms = 0

    def log(self, place: Place) -> Log:
        """The log of a partition."""
        found = self.logs.get(place)
        if found is None:
            found = self.logs[place] = Log()
        return found

    # Requests of producers ------------------------------------------------------------------------

    def init(self, id: str) -> int:
        """InitProducerId: a new epoch; what the older one had open is aborted first."""
        known = self.ids.setdefault(id, _Id())
        open_one = known.transaction
        if open_one is not None and open_one.committed is None:
            self._decide(open_one, commit=False)
            known.epoch += 1  # its owner is fenced at once
        if open_one is not None and open_one.unmarked:
            raise Concurrent
        known.epoch += 1
        known.transaction = None
        return known.epoch

    def produce(
        self, id: str, epoch: int, serial: int, place: Place, contents: Iterable[Content]
    ) -> None:
        """Records of a transaction, which begins with the first of them."""
        transaction = self._current(id, epoch, serial)
        if transaction.committed is not None:
            raise Refused("the transaction is over")
        transaction.unmarked.setdefault(place, self.log(place).end)
        self.log(place).append(contents, transaction)

    def end(self, id: str, epoch: int, serial: int, commit: bool) -> None:
        """EndTxn; saying the same again is answered the same."""
        transaction = self._current(id, epoch, serial)
        if transaction.committed is None:
            self._decide(transaction, commit)
        elif transaction.committed is not commit:
            raise Refused("it was decided otherwise")

    def _current(self, id: str, epoch: int, serial: int) -> Transaction:
        known = self.ids[id]
        if known.epoch != epoch:
            raise Refused("there is a newer epoch")
        last = known.transaction
        if last is not None and last.serial == serial:
            return last
        if last is not None and last.serial > serial:
            raise Refused("the transaction is over")
        self.settle(last)
        known.transaction = Transaction(id, epoch, serial)
        return known.transaction

    def _decide(self, transaction: Transaction, commit: bool) -> None:
        transaction.committed = commit
        self.marking += [(transaction, place) for place in transaction.unmarked]

    # What happens by itself -----------------------------------------------------------------------

    def settle(self, transaction: Transaction | None) -> None:
        """The markers of a decided transaction arrive, all of them."""
        for one, place in [m for m in self.marking if m[0] is transaction]:
            self.mark(one, place)

    def mark(self, transaction: Transaction, place: Place) -> None:
        """One marker arrives."""
        self.marking.remove((transaction, place))
        del transaction.unmarked[place]
        self.log(place).mark(transaction)

    @property
    def open(self) -> list[str]:
        """The ids that have a transaction which is not decided."""
        return [
            name
            for name, known in self.ids.items()
            if known.transaction is not None and known.transaction.committed is None
        ]

    def expire(self, id: str) -> None:
        """transaction.timeout.ms is over: abort, and fence the producer."""
        known = self.ids[id]
        assert known.transaction is not None
        self._decide(known.transaction, commit=False)
        known.epoch += 1
