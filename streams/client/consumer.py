"""The consumer: typed records of our topics, one by one or in batches."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar, Unpack, overload

from streams.client.errors import BadOption, NotCommitted, TimedOut
from streams.client.intake import Control, Intake
from streams.client.options import Common, Options, settings_of
from streams.client.records import Asserted, Malformed, Record, Withdrawn
from streams.client.start import Place
from streams.topics import Topic

I_co = TypeVar("I_co", covariant=True)
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
SLICE_SECONDS = 0.1
"""How long a stop may go unnoticed."""


class Consumer(Generic[I_co]):
    """Reads topics: committed records only, decoded, in offset order within a partition.

    ``Consumer("host:9092", topics.alerts)`` yields ``Record[Alert]``, a view ``Asserted[Alert]``
    and ``Withdrawn[Alert]``; several topics yield the union; ``malformed="yield"`` adds Malformed.
    The options are those of ``Options``.

    Without a group every partition is read, and ``positions()`` is the caller's to keep. With a
    group a record counts as processed when the next one is asked for, when the ``with`` block ends
    without an error, or at ``commit()``: what was not processed comes again (at least once).

    The views fold from the beginning of the log, whatever the start, so that they know what a
    retract withdraws; ``start`` and the group's position say from where changes are yielded.

    One thread at a time may use a consumer; only ``stop`` may be called from any. Records are
    fetched ahead up to 16 MB, and no further while nobody asks for them.

    Raises BadOption, NoTopic, Unavailable, TimedOut or RegistryError.
    """

    @overload
    def __init__(
        self: Consumer[Record[A] | Malformed],
        bootstrap: str,
        topic: Topic[A],
        /,
        *,
        malformed: Literal["yield"],
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: Consumer[Asserted[A] | Withdrawn[A]],
        bootstrap: str,
        topic: Topic[A],
        /,
        *,
        view: Literal["net"],
        confirmations: int | None = ...,
        malformed: Literal["skip"] = ...,
        **options: Unpack[Common],
    ) -> None: ...
    @overload
    def __init__(
        self: Consumer[Asserted[A] | Withdrawn[A]],
        bootstrap: str,
        topic: Topic[A],
        /,
        *,
        confirmations: int,
        malformed: Literal["skip"] = ...,
        **options: Unpack[Common],
    ) -> None: ...
    @overload
    def __init__(
        self: Consumer[Record[A]],
        bootstrap: str,
        topic: Topic[A],
        /,
        *,
        malformed: Literal["skip"] = ...,
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: Consumer[Record[A] | Record[B]],
        bootstrap: str,
        first: Topic[A],
        second: Topic[B],
        /,
        *,
        malformed: Literal["skip"] = ...,
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: Consumer[Record[A] | Record[B] | Record[C]],
        bootstrap: str,
        first: Topic[A],
        second: Topic[B],
        third: Topic[C],
        /,
        *,
        malformed: Literal["skip"] = ...,
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: Consumer[Record[Any] | Malformed],
        bootstrap: str,
        /,
        *topics: Topic | str,
        malformed: Literal["yield"],
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: Consumer[Record[Any]],
        bootstrap: str,
        /,
        *topics: Topic | str,
        malformed: Literal["skip"] = ...,
        **options: Unpack[Options],
    ) -> None: ...

    def __init__(self, bootstrap: str, /, *topics: Topic | str, **options: Any) -> None:
        self.settings = settings_of(bootstrap, topics, options)
        self._ready: deque[Any] = deque()
        self._held: list[Any] = []
        """What was yielded last: not processed before more is asked for."""
        self._stopped = threading.Event()
        self._closed = False
        self._commit_at = time.monotonic() + self.settings.commit_seconds
        self._uncommitted: set[Place] = set()
        """Partitions of which something was yielded since the last commit by hand."""
        self._torn = ""
        """Why a transaction with the positions could lose or repeat what was yielded."""
        self._intake = Intake(self.settings, self._undone, self._gone)

    # Reading --------------------------------------------------------------------------------------

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> I_co:
        asked = time.monotonic()
        while not self._fill(SLICE_SECONDS):
            if self._over():
                raise StopIteration
            self._check_progress(asked)
        return self._take(1)[0]

    def poll(self, seconds: float = 1.0, most: int = 500) -> list[I_co]:
        """The next records, at most ``most``; empty when none came within ``seconds``."""
        deadline = time.monotonic() + seconds
        while not self._fill(min(SLICE_SECONDS, deadline - time.monotonic()), most):
            if self._over() or time.monotonic() >= deadline:
                return []
        return self._take(most)

    def _fill(self, seconds: float, most: int = 1) -> bool:
        """Have something ready if it comes in time; what was yielded before is processed now."""
        self._open()
        if not self._is_ready():
            self._processed()
            found = [] if self._over() else self._intake.poll(max(0.0, seconds))
            while found:
                self._ready.extend(found)
                found = self._intake.poll(0.0) if len(self._ready) < most else []
        return self._is_ready()

    def _is_ready(self) -> bool:
        while self._ready and isinstance(self._ready[0], Control):
            self._intake.watermarks.take(*self._ready.popleft())
        return bool(self._ready)

    def _take(self, most: int) -> list[I_co]:
        found: list[I_co] = []
        while len(found) < most and self._is_ready():
            found.append(self._ready.popleft())
        self._held = list(found)
        if self.settings.commit == "manual":
            self._uncommitted |= {(item.topic, item.partition) for item in self._held}
        return found

    def stop(self) -> None:
        """End the iteration before its next record; may be called from any thread."""
        self._stopped.set()

    @property
    def at_end(self) -> bool:
        """With ``until="end"``: whether everything was yielded that was there at the start."""
        return self.settings.until is not None and not self._ready and self._intake.at_end

    def _over(self) -> bool:
        return self._stopped.is_set() or self.at_end

    def _open(self) -> None:
        if self._closed:
            raise BadOption("this consumer is closed", "open another one")

    def _check_progress(self, asked: float) -> None:
        if self.settings.until is None or self._ready or self._intake.at_end:
            return
        since = max(asked, self._intake.fetch.moved_at)
        if time.monotonic() - since > self.settings.timeout:
            places = self._intake.fetch.behind() or ["no partition was given to this member"]
            raise TimedOut(
                f"the end was not reached, nothing came for {self.settings.timeout} s: {places[0]}",
                "a transaction is open there, or the broker is away: raise timeout= to wait longer",
            )

    # What is known --------------------------------------------------------------------------------

    def net(self) -> dict[str, I_co]:
        """With a view: what is true by all that was read so far, by event id."""
        found: dict[str, Any] = self._intake.view.net()
        return found

    def watermark(self, topic: Topic | str, partition: int | None = None) -> int | None:
        """The event time (ms) below which no more is expected in the topic, corrections excepted.

        That is the least of its partitions here, as of the records that were yielded; None while a
        writer has not declared, or all are idle.
        """
        name = topic if isinstance(topic, str) else topic.name
        places = [
            place
            for place in self._intake.fetch.next
            if place[0] == name and partition in (None, place[1])
        ]
        return self._intake.watermarks.of(places)

    @property
    def malformed(self) -> int:
        """How many records were no event of their topic."""
        return self._intake.malformed

    def counts(self) -> dict[str, int]:
        """What became of records that were not yielded: ``malformed``, and what the view counts."""
        return {"malformed": self.malformed, **self._intake.view.counts()}

    @property
    def assignment(self) -> list[Place]:
        """The partitions that are read."""
        return sorted(self._intake.fetch.next)

    # Positions ------------------------------------------------------------------------------------

    def positions(self) -> dict[Place, int]:
        """Where a consumer must ``start`` to go on behind everything that was yielded."""
        return self._intake.positions(self._waiting())

    def commit(self) -> None:
        """Store in the group that all that was yielded is processed; raises NotCommitted."""
        if self.settings.group is None:
            raise BadOption("there is no group to commit to", "open the consumer with group=")
        self._intake.fetch.commit(self.positions())
        self._uncommitted.clear()

    def in_transaction(self, commit: Callable[[dict[Place, int], Any], None]) -> None:
        """Let a producer's transaction commit the positions; raises NotCommitted, or as ``commit``.

        It cannot when partitions were taken away whose records were yielded and are not committed:
        who has them now reads these again, and would make the same of them.
        """
        self.check_whole()
        commit(self.positions(), self.group_metadata())
        self._uncommitted.clear()

    def check_whole(self) -> None:
        """Raise NotCommitted unless all that was yielded since the last commit can be committed."""
        if self._torn:
            raise NotCommitted(
                f"a transaction cannot hold the positions of this consumer: {self._torn}",
                "open the consumer again: what was not committed comes again",
            )

    def tear(self) -> None:
        """A transaction with what was yielded was given up: a later one would leave that out."""
        self._torn = self._torn or "an earlier one failed"

    def group_metadata(self) -> Any:
        """Who this member of the group is, for a transaction that commits its positions."""
        return self._intake.fetch.consumer.consumer_group_metadata()

    def _waiting(self) -> list[Any]:
        """What was read and not yielded."""
        return [item for item in self._ready if not isinstance(item, Control)]

    def _undone(self) -> list[Any]:
        """What was read and may not have been processed."""
        return [*self._held, *self._waiting()]

    def _gone(self, places: set[Place]) -> None:
        """What was read of partitions that were taken away is for their next owner to yield."""
        self._ready = deque(item for item in self._ready if _place_of(item) not in places)
        if places & self._uncommitted:
            self._torn = "the group took partitions away whose records it had given out"

    def _processed(self) -> None:
        """Everything that was yielded is done, since more is asked for."""
        self._held = []
        if self._commits and time.monotonic() >= self._commit_at:
            self._intake.commit_quietly(())
            self._commit_at = time.monotonic() + self.settings.commit_seconds

    @property
    def _commits(self) -> bool:
        return self.settings.group is not None and self.settings.commit == "auto"

    # The end --------------------------------------------------------------------------------------

    def close(self) -> None:
        """Commit what was yielded (``commit="auto"``), leave the group and the broker."""
        self._held = []
        self._end()

    def _end(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            if self._commits:
                self._intake.commit_quietly(self._undone())
        finally:
            self._intake.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        self._end()


def _place_of(item: Any) -> Place:
    return item.place if isinstance(item, Control) else (item.topic, item.partition)
