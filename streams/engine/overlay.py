"""A step's state over a disk: what changed is held, what was used lately is remembered.

::

    get, put, scan, due     batches, on the event loop
      over    what changed since the last checkpoint that is kept       hides what is below
      recent  what was read or written lately, as it is on disk         two generations, bounded
      disk    the content of a committed checkpoint                     RocksDB

Until the event loop hears that a checkpoint is kept, its entries stay in ``over``: they hide what
the thread that keeps it writes meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Any, NamedTuple

from joins.state import Dump, Key, MemoryStore, Store
from streams.engine.changes import Changes, Timed
from streams.engine.codec import decode_value, due_of
from streams.engine.disk import Disk
from streams.engine.ordered import END, number, pack, unpack
from streams.engine.plain import PLAIN, PlainTable
from streams.engine.stores import Scope

ENTRY, DUE = b"E", b"T"
"""Spaces of the database: entries by key, and (scope, table, due, key) of those with a time."""
ABSENT: Any = object()
"""In place of a time: the disk has no such entry."""
NEVER, NOWHERE = -(1 << 63), (1 << 63) - 1

Held = tuple[Any, int | None, Any, bytes]
"""An entry that changed: value (None: deleted), due, the time that it has on disk, or ABSENT, and
its place there."""
Known = tuple[Any, Any]
"""An entry as it is on disk: value and due, or None and ABSENT."""


class Recent:
    """A bounded memory of entries: two generations, of which the older is forgotten at once."""

    __slots__ = ("_most", "_old", "_young")

    def __init__(self, most: int) -> None:
        self._young: dict[bytes, Known] = {}
        self._old: dict[bytes, Known] = {}
        self._most = max(1, most // 2)

    def get(self, place: bytes) -> Known | None:
        """The entry, if it is remembered."""
        found = self._young.get(place)
        if found is None:
            found = self._old.get(place)
            if found is not None:
                self.put(place, found)
        return found

    def put(self, place: bytes, known: Known) -> None:
        """Remember an entry."""
        self._young[place] = known
        if len(self._young) > self._most:
            self._old, self._young = self._young, {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


class _Fronts(dict[Any, bytes]):
    """By table, how the places of its entries begin."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __missing__(self, table: str | int) -> bytes:
        front = self[table] = ENTRY + pack((self._name, table))
        return front


Before = tuple["RocksScope", Key, Held | None]
"""What was held before a write."""


class RocksScope(Scope):
    """A step's own part of the state, as ``Scope``, with most of it on disk."""

    def __init__(self, name: str, log: Callable[[Before], None], recent: int) -> None:
        super().__init__(name, lambda _: None)
        self._say = log
        self.over = MemoryStore()
        self.recent = Recent(recent)
        self.disk: Disk
        self.dirty: dict[Key, None] = {}
        self.size = 0
        """How many entries there are, those of plain tables left out."""
        self._front = ENTRY + pack((name,))
        self._fronts = _Fronts(name)
        self._floor: dict[str | int, int] = {}
        """By table: no entry on disk has an earlier time. What was deleted there is slow to pass
        until it is compacted, and timers are deleted where the next ones are looked for."""

    # Entries --------------------------------------------------------------------------------------

    def _place(self, key: Key) -> bytes:
        return self._fronts[key[0]] + pack(key[1:])

    def get(self, key: Key) -> Any | None:
        """The value at ``key``, or None."""
        held = self.over.get(key)
        if held is not None:
            return held[0]
        place = self._place(key)
        return (self.recent.get(place) or self._remember(place, self.disk.get(place)))[0]

    def _remember(self, place: bytes, body: bytes | None) -> Known:
        known: Known = (None, ABSENT) if body is None else _opened(body)
        self.recent.put(place, known)
        return known

    def _on_disk(self, place: bytes) -> Any:
        """The time that an entry which did not change has on disk, None, or ABSENT."""
        known = self.recent.get(place)
        if known is None:
            body = self.disk.get(place)
            return ABSENT if body is None else due_of(body)
        return known[1]

    def put(self, key: Key, value: Any, due: int | None = None) -> None:
        """Set the value at ``key``; None deletes."""
        if value is None:
            self.delete(key)
            return
        held: Held | None = self.over.get(key)
        if held is None:
            place = self._place(key)
            was = self._on_disk(place)
            self.size += was is ABSENT
        else:
            _, _, was, place = held
            self.size += held[0] is None
        self._say((self, key, held))
        self.over.put(key, (value, due, was, place), due)

    def delete(self, key: Key) -> None:
        """Remove ``key`` if it is there."""
        held: Held | None = self.over.get(key)
        if held is None:
            place = self._place(key)
            was = self._on_disk(place)
            if was is ABSENT:
                return
        else:
            value, _, was, place = held
            if value is None:
                return
        self.size -= 1
        self._say((self, key, held))
        self.over.put(key, (None, None, was, place))

    add = Store.add
    expire = Store.expire

    def put_back(self, key: Key, held: Held | None) -> None:
        """Undo a write: hold again what was held before it."""
        now: Any = self.over.get(key)
        lives = (now[2] is not ABSENT) if held is None else (held[0] is not None)
        self.size += lives - (now[0] is not None)
        if held is None:
            self.over.delete(key)
        else:
            self.over.put(key, held, held[1])

    # Ranges ---------------------------------------------------------------------------------------

    def scan(
        self, prefix: Key, low: Key | None = None, high: Key | None = None, reverse: bool = False
    ) -> Iterator[tuple[Key, Any]]:
        """The entries with ``prefix + low <= key < prefix + high``, in key order."""
        over, recent = self.over.scan(prefix, low, high, reverse), self.recent
        front, first, end = self._range(prefix, low, high)
        mine = next(over, None)
        for place, body in self.disk.between(first, end, reverse):
            key = prefix + unpack(place, front)
            while mine is not None and (mine[0] > key if reverse else mine[0] < key):
                if mine[1][0] is not None:
                    yield mine[0], mine[1][0]
                mine = next(over, None)
            if mine is None or mine[0] != key:
                yield key, (recent.get(place) or self._remember(place, body))[0]
        while mine is not None:
            if mine[1][0] is not None:
                yield mine[0], mine[1][0]
            mine = next(over, None)

    def _range(self, prefix: Key, low: Key | None, high: Key | None) -> tuple[int, bytes, bytes]:
        """The length of the prefix as bytes, the first place, and the place behind the last."""
        front = self._place(prefix) if prefix else self._front
        first = front + pack(low) if low else front if prefix else front + _PAST_PLAIN
        return len(front), first, front + (END if high is None else pack(high))

    def between(self, prefix: Key, low: Key | None = None, high: Key | None = None) -> list[Any]:
        """The values that ``scan`` gives, at once: no key need be read."""
        _, first, end = self._range(prefix, low, high)
        mine = {held[3]: held[0] for _, held in self.over.scan(prefix, low, high)}
        recent, remember, rows = self.recent.get, self._remember, self.disk.rows(first, end)
        if not mine:
            return [(recent(place) or remember(place, body))[0] for place, body in rows]
        found = [(p, (recent(p) or remember(p, body))[0]) for p, body in rows if p not in mine]
        found += [entry for entry in mine.items() if entry[1] is not None]
        return [value for _, value in sorted(found, key=itemgetter(0))]

    def last(self, prefix: Key, low: Key | None = None, high: Key | None = None) -> Any | None:
        """The last value that ``scan`` gives, or None."""
        return next((value for _, value in self.scan(prefix, low, high, reverse=True)), None)

    # Timelines ------------------------------------------------------------------------------------

    def due(self, table: str, low: int | None = None, high: int | None = None) -> list[Key]:
        """Keys of a table with ``low <= due < high``, by (due, key)."""
        mine = self.over.due(table, low, high)
        stored = list(self._timeline(table, low, high))
        if not stored:
            return mine
        both = [(self.over.get(key)[1], key) for key in mine] + stored  # type: ignore[index]
        return [key for _, key in sorted(both)]

    def next_due(self, table: str, low: int | None = None) -> int | None:
        """The least due (from ``low`` on) of any entry of a table, or None."""
        mine = self.over.next_due(table, low)
        stored, _ = next(self._timeline(table, low, mine), (None, ()))
        return mine if stored is None else stored

    def _timeline(self, table: str, low: int | None, high: int | None) -> Iterator[tuple[int, Key]]:
        """Times and keys on disk, of entries that did not change; moves the floor up."""
        floor = self._floor.get(table, NEVER)
        start = floor if low is None else max(low, floor)
        if high is not None and high <= start:
            return
        front, over = DUE + self._fronts[table][1:], self.over
        first, seen = front + number(start), False
        for place, _ in self.disk.between(first, front + (END if high is None else number(high))):
            at, *rest = unpack(place, len(front))
            due, key = int(at), (table, *rest)
            if start == floor and not seen:
                self._floor[table], seen = due, True
            if over.get(key) is None:
                yield due, key
        if start == floor and not seen:
            self._floor[table] = NOWHERE if high is None else high

    # Checkpoints ----------------------------------------------------------------------------------

    def take(self) -> Flight:
        """What is dirty, and is clean from now on.

        What came and went since the last checkpoint is not among it: neither the log nor the disk
        knows of it.
        """
        held: Callable[[Key], Any] = self.over.get
        dirty, self.dirty = self.dirty, {}
        taken: list[tuple[Key, Held]] = []
        for key in dirty:
            entry = held(key)
            if entry[0] is None and entry[2] is ABSENT:
                self.over.delete(key)
            else:
                taken.append((key, entry))
        entries = [(key, value, due) for key, (value, due, *_) in taken]
        return Flight(self, Changes((self.name,), entries, []), taken)

    def write(self, into: Any, flight: Flight) -> None:
        """Put what a checkpoint has committed into a batch of writes."""
        bodies = flight.changes.bodies or []
        for (key, (_, due, was, place)), body in zip(flight.taken, bodies, strict=True):
            if body is None:
                into.delete(place)
            else:
                into.put(place, body)
            if was != due:
                self.move(into, place, len(self._fronts[key[0]]), was, due)

    def move(self, into: Any, place: bytes, front: int, was: Any, due: int | None) -> None:
        """Move an entry on the timeline; ``front``: where the part of its place for it begins."""
        line, rest = DUE + place[1:front], place[front:]
        if was is not None and was is not ABSENT:
            into.delete(line + number(was) + rest)
        if due is not None:
            into.put(line + number(due) + rest, b"")

    def kept(self, flight: Flight) -> None:
        """What a checkpoint has written is on disk: what did not change since need not be held."""
        over, recent, floor = self.over, self.recent, self._floor
        for key, held in flight.taken:
            value, due, _, place = held
            was = ABSENT if value is None else due
            if due is not None and due < floor.get(key[0], NEVER):
                floor[key[0]] = due
            now: Any = over.get(key)
            if now is held:
                over.delete(key)
                recent.put(place, (value, was))
            else:
                over.put(key, (now[0], now[1], was, place), now[1])

    def touch(self, key: Key) -> None:
        """An entry is to be written at the next checkpoint."""
        if key[0] == PLAIN:
            super().touch(key)
        else:
            self.dirty[key] = None

    def tables(self) -> Iterator[PlainTable]:
        """The plain tables."""
        yield from self.plain.values()

    def dump(self) -> Dump:
        """All entries; one of a plain table is at (table, key)."""
        found = Dump(self.scan(()))
        found.update({(n, k): v for n, table in self.plain.items() for k, v in table.items()})
        for table in {str(key[0]) for key, _ in self.scan(())}:
            found.dues |= {key: due for due, key in self._timeline(table, None, None)}
            found.dues |= {key: self.over.get(key)[1] for key in self.over.due(table)}  # type: ignore[index]
        return found

    def __len__(self) -> int:
        return self.size + sum(map(len, self.plain.values()))


class Flight(NamedTuple):
    """What a checkpoint takes of a scope, until that is kept."""

    scope: RocksScope
    changes: Changes
    taken: list[tuple[Key, Held]]


_PAST_PLAIN = pack((PLAIN,)) + END
"""Where a step's own entries begin; its plain tables lie before."""


def _opened(body: bytes) -> Known:
    content = decode_value(body)
    return (content.value, content.due) if type(content) is Timed else (content, None)
