"""Writes letters back to where they came from, each once: records and ledger in one transaction.

A run that was killed leaves a transaction that nobody commits; the next one ends it, reads in the
ledger what was written back, and goes on behind that. Two runs at once are one too many: the later
one takes over, the earlier one is told so.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from streams import topics
from streams.client.errors import NotDelivered
from streams.client.sending import BLAMES_RECORD, FELL_WITH_ANOTHER, Sender, Whole
from streams.client.transactions import Transactions
from streams.ops.admin import Admin, Planned
from streams.ops.ledger import Entry, Ledger, encoded, entries, merged, topic_id
from streams.ops.letter_counts import letters
from streams.ops.letter_scan import Scanner
from streams.ops.letters import Kind, Letter, Selection, as_text, reason_of
from streams.ops.redriving import Options, Plan, Planner, Why

MOST_RECORDS = 500
MOST_BYTES = 8 << 20
"""Of one transaction."""
TIMEOUT_SECONDS = 20
ATTEMPTS = 8
AGAIN_SECONDS = 0.2
BATCHES_A_SECOND = 2
"""With a rate: so often something is written."""
Pairs = list[tuple[Letter, Plan]]
Line = tuple[str, str, str, str, str, Why]
"""Topic, step and reason of letters, whereto, for whom, and what became of them."""


class Tally:
    """What became of letters, counted."""

    def __init__(self) -> None:
        self.lines: Counter[Line] = Counter()

    def add(self, letter: Letter, plan: Plan) -> None:
        """Count one."""
        origin, step = letter.text("topic"), letter.text("step")
        reason = as_text(reason_of(letter.why))
        self.lines[origin, step, reason, plan.topic, plan.reader, plan.why] += 1

    def count(self, *whys: Why) -> int:
        """How many became that."""
        return sum(count for line, count in self.lines.items() if line[-1] in whys)

    @property
    def left(self) -> dict[Why, int]:
        """The letters that cannot be written back, by why."""
        found: Counter[Why] = Counter()
        for line, count in self.lines.items():
            if line[-1] not in ("redrive", "already"):
                found[line[-1]] += count
        return dict(found)

    def rows(self) -> list[dict[str, Any]]:
        """A row for each kind of letter and outcome, the most frequent first."""
        names = ("topic", "step", "reason", "to", "for", "outcome")
        ordered = sorted(self.lines.items(), key=lambda item: (-item[1], item[0]))
        return [{**dict(zip(names, line, strict=True)), "letters": n} for line, n in ordered]


def planned(
    scanner: Scanner, kind: Kind, selection: Selection, options: Options, ledger: Ledger
) -> Iterator[tuple[Letter, Plan]]:
    """Each selected letter with what is to become of it."""
    other = Scanner(scanner.bootstrap, scanner.options)
    try:
        planner = Planner(other, kind, options, ledger)
        for letter in letters(scanner, kind, selection):
            yield letter, planner.plan(letter)
    finally:
        other.close()


class Redrive:
    """One run: fenced, with the ledger as it stands."""

    def __init__(self, scanner: Scanner, kind: Kind, kafka: dict[str, Any], admin: Admin) -> None:
        self._scanner, self._kind = scanner, kind
        if topics.redrives.name not in scanner.counts():
            about, count = topics.redrives.about, topics.redrives.partitions or 1
            name, settings = topics.redrives.name, topics.redrives.settings()
            admin.create([Planned(name, count, settings, "missing", about)])
        quiet = {"log_level": 0, "error_cb": lambda error: None}
        self._sender = Sender(
            scanner.bootstrap, {**kafka, **quiet}, TIMEOUT_SECONDS, kind.transactional_id
        )
        self._transactions = Transactions(self._sender)
        self._transactions.fence()
        self._topic_id = topic_id(scanner, kind.topic.name)
        self.ledger = Ledger(entries(scanner, kind))
        self.tally = Tally()

    def run(
        self,
        selection: Selection,
        options: Options,
        rate: float | None = None,
        limit: int | None = None,
        tell: Callable[[Letter], None] = lambda letter: None,
    ) -> Tally:
        """Write the selected letters back, at most ``limit``, at most ``rate`` a second.

        ``tell`` hears of each letter when its outcome is certain. Raises ClientError or OpsError.
        """
        found = planned(self._scanner, self._kind, selection, options, self.ledger)
        began, sent = time.monotonic(), 0
        for batch in batched(first(found, limit), rate):
            for letter, plan in self._write(batch, options):
                self.tally.add(letter, plan)
                tell(letter)
                sent += plan.why == "redrive"
            if rate is not None:
                time.sleep(max(0.0, began + sent / rate - time.monotonic()))
        return self.tally

    def _write(self, batch: Pairs, options: Options) -> Pairs:
        """Write a batch in one transaction; where the broker refuses a record, each in its own."""
        going = [(letter, plan) for letter, plan in batch if plan.record is not None]
        if not going:
            return batch
        try:
            self._commit(going, options)
        except NotDelivered as error:
            if error.kafka_code not in BLAMES_RECORD:
                raise
            if len(batch) > 1:
                return [pair for one in batch for pair in self._write([one], options)]
            [(letter, plan)] = batch
            return [(letter, plan._replace(why="refused", record=None))]
        return batch

    def _commit(self, going: Pairs, options: Options) -> None:
        """One transaction; tried again where its records fell with an earlier one's."""
        for left in reversed(range(ATTEMPTS)):
            try:
                self._commit_once(going, options)
                return
            except NotDelivered as error:
                if error.kafka_code not in FELL_WITH_ANOTHER or not left:
                    raise
                time.sleep(AGAIN_SECONDS)

    def _commit_once(self, going: Pairs, options: Options) -> None:
        self._transactions.begin()
        try:
            for letter, plan in going:
                if plan.record is not None:
                    self._put(letter.address, plan.record)
            for record in self._entries([letter for letter, _ in going], options):
                self._put(topics.redrives.name, record)
        except NotDelivered as error:
            cause = self._first_failure() or error
            self._transactions.abort()
            raise cause from error
        except BaseException:
            self._transactions.abort()
            raise
        self._transactions.commit()

    def _first_failure(self) -> NotDelivered | None:
        """Why a record was not delivered, where later ones only heard that something failed."""
        try:
            self._sender.librdkafka.poll(0)
            self._sender.check()
        except NotDelivered as error:
            return error
        return None

    def _put(self, id: str, record: Whole) -> None:
        """Queue a record; waits while the queue is full. Raises NotDelivered."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while self._sender.put(id, record) is None:
            self._sender.librdkafka.poll(0.1)
            self._sender.check()
            if time.monotonic() > deadline:
                raise self._sender.too_slow((id,))

    def _entries(self, going: list[Letter], options: Options) -> Iterator[Whole]:
        """What the ledger gets: one record for each partition of letters."""
        places: dict[int, list[tuple[int, int]]] = {}
        for letter in going:
            places.setdefault(letter.partition, []).append((letter.offset, letter.offset))
        for partition, ranges in places.items():
            entry = Entry(
                self._kind.topic.name, self._topic_id, partition, options.destination,
                merged(ranges),
            )  # fmt: skip
            key, value = encoded(entry)
            yield Whole(topics.redrives.name, value, key, self._kind.partition, [])

    def close(self) -> None:
        """Give up what is under way."""
        self._sender.forget()


def first(found: Iterable[tuple[Letter, Plan]], limit: int | None) -> Iterator[Any]:
    """Pairs up to the one with which ``limit`` letters are written back."""
    going = 0
    for pair in found:
        if limit is not None and going >= limit:
            return
        going += pair[1].why == "redrive"
        yield pair


def batched(found: Iterable[tuple[Letter, Plan]], rate: float | None) -> Iterator[Pairs]:
    """Pairs in batches that one transaction may hold; with a rate, some a second."""
    most = MOST_RECORDS if rate is None else max(1, min(MOST_RECORDS, int(rate / BATCHES_A_SECOND)))
    batch: Pairs = []
    size = going = 0
    for letter, plan in found:
        batch.append((letter, plan))
        if plan.record is not None:
            going += 1
            size += len(plan.record.value or b"") + len(plan.record.key or b"")
        if going >= most or size >= MOST_BYTES or len(batch) >= 10 * MOST_RECORDS:
            yield batch
            batch, size, going = [], 0, 0
    if batch:
        yield batch


def plan_row(letter: Letter, plan: Plan) -> dict[str, Any]:
    """A letter and what is to become of it, as one row."""
    record = plan.record
    return {
        "letter": letter.address,
        "topic": letter.text("topic"),
        "step": letter.text("step"),
        "reason": as_text(reason_of(letter.why)),
        "outcome": plan.why,
        "to": plan.topic,
        "partition": None if record is None else record.partition,
        "for": plan.reader,
        "replays": plan.replays if record is not None else letter.replays,
        "bytes": len((letter if record is None else record).value or b""),
    }
