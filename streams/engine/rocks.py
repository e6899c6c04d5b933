"""State larger than memory: most of it on local disk, as a copy of the changelog.

A checkpoint takes what is dirty, the changelog gets it, and when that is committed a thread writes
the same bytes to disk, with the place in the changelog that they belong to, all at once or not at
all. A task that begins reads the changelog from that place on. Where there is any doubt about what
is on disk it is thrown away, and built again from the changelog.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from joins.state import Key
from streams.engine.changes import Changes
from streams.engine.codec import decode_key, decode_value, due_of, encode_key, encode_value
from streams.engine.disk import Disk, Stand, batch, is_taken
from streams.engine.ordered import END, pack, unpack
from streams.engine.overlay import ENTRY, Before, Flight, RocksScope
from streams.engine.plain import PLAIN
from streams.engine.stores import TaskStore

REPLAYED, REPLAYED_BYTES = 10_000, 32 << 20
"""Records of the changelog that are written at once."""
TRUSTED_MS = 12 * 3_600_000
"""What fell behind for longer is thrown away: the changelog forgets deletions, a day after them at
the earliest, and whoever has not read of one would keep the entry for ever."""


class RocksTaskStore(TaskStore):
    """The state of a task on disk: as ``TaskStore``, but ``begin`` and ``stand`` come first."""

    def __init__(self, folder: Path, identity: str, recent: int) -> None:
        super().__init__()
        self.folder, self.identity, self.recent = folder, identity, recent
        self._disk: Disk
        self._writes: list[Before] = []
        self._after = self._written_ms = 0
        self._open = self._stands = False
        self._replayed: dict[bytes, bytes | None] = {}
        self._weight = 0
        self._plain: list[Changes] = []
        self._flights: list[Flight] = []
        self._sizes: dict[str, int] = {}

    def scope(self, name: str) -> RocksScope:
        """The part of a step."""
        found = self._scopes.get(name)
        if found is None:
            found = self._scopes[name] = RocksScope(name, self._writes.append, self.recent)
            if self._open:
                found.disk = self._disk
            if self._stands:
                self._fill(found)
        return found  # type: ignore[return-value]

    @property
    def _parts(self) -> dict[str, RocksScope]:
        return self._scopes  # type: ignore[return-value]

    # Recovery -------------------------------------------------------------------------------------

    def begin(self, ends: Callable[[], tuple[int, int]]) -> int:
        """Open the database; the offset behind which the changelog has what is not in it."""
        self._disk, self._open = Disk(self.folder), True
        for scope in self._parts.values():
            scope.disk = self._disk
        stand = self._disk.stand
        self.why = _doubt(stand, self.identity, *ends())
        self._written_ms = _now_ms()
        if stand is None or self.why:
            if not self._disk.empty:
                self._forget()
            return 0
        self.lineage, self._after, self._sizes = stand.lineage, stand.after, dict(stand.sizes)
        self._written_ms = stand.written_ms  # what is half read is not any younger
        return max(0, stand.after - 1)

    def _forget(self) -> None:
        self._disk.clear()
        self.lineage, self._after, self._sizes, self._replayed = "", 0, {}, {}

    def replay(self, key: bytes, body: bytes | None) -> None:
        """Take over one record of the changelog; it is never decoded."""
        self._replayed[key] = body
        self._weight += len(key) + len(body or b"")
        if len(self._replayed) >= REPLAYED or self._weight >= REPLAYED_BYTES:
            self._flush()

    def load(self, key: Key, content: Any | None) -> None:
        """The same for an entry."""
        self.replay(encode_key(key), None if content is None else encode_value(content))

    def _flush(self) -> None:
        into, replayed, self._replayed, self._weight = batch(), self._replayed, {}, 0
        keys = [decode_key(record) for record in replayed]
        places = [ENTRY + pack(key) for key in keys]
        olds = self._disk.get_all(places)
        for key, place, old, body in zip(keys, places, olds, replayed.values(), strict=True):
            name, kind = str(key[0]), key[1]
            if body is not None:
                into.put(place, body)
            elif old is not None:
                into.delete(place)
            if kind == PLAIN:
                continue
            was, due = (None if b is None else due_of(b) for b in (old, body))
            if was != due:
                front = len(pack((name, kind))) + 1
                self.scope(name).move(into, place, front, was, due)
            more = (body is not None) - (old is not None)
            self._sizes[name] = self._sizes.get(name, 0) + more
        self._disk.write(into, self._stand(self._after))

    def _stand(self, after: int) -> Stand:
        return Stand(self.identity, self.lineage, after, self._written_ms, self._sizes)

    def stand(self, after: int, lineage: str | None) -> bool:
        """The changelog was read to its end; False: what was here is of another one, and gone."""
        if not self.copied(after, lineage):
            return False
        self._stands = True
        for scope in self._parts.values():
            self._fill(scope)
        return True

    @property
    def taken(self) -> bool:
        """Whether a process has the folder open."""
        return is_taken(self.folder)

    def copied(self, after: int, lineage: str | None) -> bool:
        """The same, for whoever does not work on it."""
        if self.lineage not in ("", lineage):
            self.why = "it is of another changelog"
            self._forget()
            return False
        super().stand(after, lineage)
        self._after, self._written_ms = after, _now_ms()
        self._flush()
        return True

    def _fill(self, scope: RocksScope) -> None:
        """Let a scope know how much there is of it, and its plain tables."""
        scope.size = self._sizes.get(scope.name, 0)
        front = ENTRY + pack((scope.name, PLAIN))
        for place, body in self._disk.between(front, front + END):
            table, count, page = unpack(place, len(front))
            scope.table(str(table)).load((int(count), int(page)), decode_value(body))

    # Batches and checkpoints ----------------------------------------------------------------------

    def settle(self) -> None:
        """What was written stays: forget how to undo it."""
        for scope, key, _ in self._writes:
            scope.dirty[key] = None
        self._writes.clear()
        super().settle()

    def undo(self) -> None:
        """Put back everything since the last ``settle``."""
        for scope, key, held in reversed(self._writes):
            scope.put_back(key, held)
        self._writes.clear()
        super().undo()

    @property
    def dirty(self) -> bool:
        """Whether entries changed since the last ``take_changes``."""
        return super().dirty or any(scope.dirty for scope in self._parts.values())

    def take_changes(self) -> list[Changes]:
        """The entries changed since the last call, with their present value."""
        self._plain = [changes._replace(bodies=[]) for changes in super().take_changes()]
        self._flights = [scope.take() for scope in self._parts.values() if scope.dirty]
        self._sizes |= {scope.name: scope.size for scope in self._parts.values()}
        return self._plain + [flight.changes for flight in self._flights]

    def keep(self, changes: list[Changes]) -> None:
        """Write what is committed to disk; called in a thread, while batches go on."""
        into = batch()
        for flight in self._flights:
            flight.scope.write(into, flight)
        for plain in self._plain:
            for place, body in zip(plain.places(), plain.bodies or [], strict=True):
                if body is None:
                    into.delete(ENTRY + pack(place))
                else:
                    into.put(ENTRY + pack(place), body)
        # each transaction so far was followed by a marker, and perhaps by one that was aborted
        entries = sum(len(taken.entries) for taken in changes)
        after = self._after + entries + (2 if self._after else 1)
        self._written_ms = _now_ms()
        self._disk.write(into, self._stand(after))
        self._after = after  # only now: what could not be written must not be passed over

    def kept(self) -> None:
        """What was committed last is on disk; called between batches."""
        for flight in self._flights:
            flight.scope.kept(flight)
        self._flights = []

    def spoil(self) -> None:
        """Have everything thrown away at the next start."""
        if self._open:
            self._disk.spoil()

    def __len__(self) -> int:
        others = (size for name, size in self._sizes.items() if name not in self._scopes)
        return super().__len__() + sum(others)

    def close(self) -> None:
        """Close the database: another process may open it now."""
        if self._open:
            self._open = False
            self._disk.close()


def _now_ms() -> int:
    return int(time.time() * 1000)


def _doubt(stand: Stand | None, identity: str, low: int, end: int) -> str:
    """Why what is on disk cannot be gone on from; empty where it can."""
    if stand is None:
        return "nothing was there"
    if stand.identity != identity:
        return "it is of another task"
    if stand.after > end:
        return "it is newer than the changelog"
    if stand.after and stand.after - 1 < low:
        return "the changelog begins after it"
    silent = end <= stand.after + 1  # the marker of its transaction
    if not silent and abs(_now_ms() - stand.written_ms) > TRUSTED_MS:
        return "it fell behind for too long"
    return ""
