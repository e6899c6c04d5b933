"""The unspent outputs of an archive's blocks, on disk: how far it reaches is bounded by no memory.

What is new stays in memory until ``save`` writes it in one SQLite transaction, together with the
block up to which everything is then on disk. The caller saves only what Kafka has already, so a
file never holds more than the topics; it may hold less, and is then filled up from the blocks.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from schemas.events import Prevout
from streams.chain.build import prevout
from streams.chain.parse import RawTx
from streams.chain.script import is_unspendable
from streams.sources.errors import SourceError

Outpoint = tuple[str, int]
MOST = 200_000
"""New and spent outputs held in memory, about 400 bytes each, until they are saved."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS output (
  outpoint BLOB PRIMARY KEY, value INTEGER, script BLOB, height INTEGER, coinbase INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS standing (network TEXT, block TEXT);
"""
_FIND = "SELECT value, script, height, coinbase FROM output WHERE outpoint = ?"
_REMEDY = "end the other run, free space, or delete the file: it is filled again from the blocks"


class OutpointStore:
    """The table; ``path`` None keeps it in a temporary file that ends with it."""

    def __init__(self, path: Path | None, network: str) -> None:
        self._network, self._path = network, path
        self._new: dict[Outpoint, tuple[int, bytes, int, bool]] = {}
        self._spent: set[Outpoint] = set()
        self._sql = self._opened()
        row = self._sql.execute("SELECT block FROM standing WHERE network = ?", (network,))
        found = row.fetchone()
        self.block: str | None = found[0] if found else None
        """The block up to which the file holds everything; None: nothing."""

    @property
    def is_full(self) -> bool:
        """Whether it is time to save."""
        return len(self._new) + len(self._spent) >= MOST

    def add(self, tx: RawTx, height: int) -> None:
        """Make the outputs of a transaction spendable."""
        coinbase, new = tx.is_coinbase, self._new
        for index, (value, script) in enumerate(tx.outputs):
            if not is_unspendable(script):
                new[tx.txid, index] = value, script, height, coinbase

    def spend(self, txid: str, index: int) -> Prevout | None:
        """Take an output out; None when it was never added or is spent."""
        place = txid, index
        found = self._new.pop(place, None)
        if found is None and place not in self._spent:
            found = self._on_disk(place)
            if found is not None:
                self._spent.add(place)
        return None if found is None else self._prevout(found)

    def drop(self, txid: str, index: int) -> None:
        """Take an output out without asking what it was."""
        if self._new.pop((txid, index), None) is None:
            self._spent.add((txid, index))

    def look(self, txid: str, index: int) -> Prevout | None:
        """The same without taking it out: for a branch that will be undone."""
        place = txid, index
        found = self._new.get(place)
        if found is None and place not in self._spent:
            found = self._on_disk(place)
        return None if found is None else self._prevout(found)

    def save(self, block: str) -> None:
        """Write what has changed since the last time; ``block`` is the last one applied."""
        gone = sorted(map(_key, self._spent - self._new.keys()))
        new = sorted((_key(place), *row) for place, row in self._new.items())
        with self._said(), self._sql:
            self._sql.executemany("DELETE FROM output WHERE outpoint = ?", ((key,) for key in gone))
            self._sql.executemany("INSERT OR REPLACE INTO output VALUES (?, ?, ?, ?, ?)", new)
            self._sql.execute("DELETE FROM standing")
            self._sql.execute("INSERT INTO standing VALUES (?, ?)", (self._network, block))
        self._new.clear()
        self._spent.clear()
        self.block = block

    def clear(self) -> None:
        """Forget everything."""
        self._new.clear()
        self._spent.clear()
        with self._said(), self._sql:
            self._sql.execute("DELETE FROM output")
            self._sql.execute("DELETE FROM standing")
        self.block = None

    def close(self) -> None:
        """Let the file go; what was not saved is filled again from the blocks."""
        self._sql.close()

    def _on_disk(self, place: Outpoint) -> tuple[int, bytes, int, bool] | None:
        if self.block is None:  # nothing was saved yet
            return None
        try:
            found: tuple[int, bytes, int, bool] | None = self._sql.execute(
                _FIND, (_key(place),)
            ).fetchone()
        except sqlite3.Error as problem:
            raise self._error(problem) from problem
        return found

    def _error(self, problem: sqlite3.Error) -> SourceError:
        return SourceError(f"outpoint table {self._path}: {problem}", _REMEDY)

    def _prevout(self, found: tuple[int, bytes, int, bool]) -> Prevout:
        value, script, height, coinbase = found
        return prevout(value, script, self._network, height, bool(coinbase))

    def _opened(self) -> sqlite3.Connection:
        try:
            return self._connected()
        except sqlite3.OperationalError as problem:
            raise SourceError(f"{self._path}: {problem}", _REMEDY) from problem
        except sqlite3.DatabaseError:  # not a database, or a damaged one: it can be filled again
            for suffix in ("", "-wal", "-shm"):
                with suppress(FileNotFoundError):
                    Path(f"{self._path}{suffix}").unlink()
            return self._connected()

    def _connected(self) -> sqlite3.Connection:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        sql = sqlite3.connect(self._path or "", timeout=1)
        sql.execute("PRAGMA locking_mode = EXCLUSIVE")
        sql.execute("PRAGMA journal_mode = WAL")
        sql.execute("PRAGMA synchronous = NORMAL")
        sql.execute("PRAGMA cache_size = -65536")
        sql.executescript(_SCHEMA)
        return sql

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as problem:
            raise self._error(problem) from problem


def _key(place: Outpoint) -> bytes:
    """32 bytes of txid, 4 of index."""
    return bytes.fromhex(place[0]) + place[1].to_bytes(4, "big")
