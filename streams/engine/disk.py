"""A task's database on local disk: a copy of its changelog's content, thrown away when in doubt.

The changelog is the truth. Nothing here is ever synced: what a process wrote survives its end, what
a machine had not written out is lost with it, in both cases the newest writes first, since RocksDB
replays its log in order; and each write holds the place in the changelog that it belongs to.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from functools import cache
from itertools import count, islice
from pathlib import Path
from typing import Any

import msgspec
from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteBufferManager,
)

from streams.engine.guard import attempt, call_as
from streams.engine.stores import StateLost

FORMAT = 1
"""Raised when what is on disk changes its form: what is of another one is thrown away."""
STAND = b"S"
SPOILT = "SPOILT"
"""A file that says that the database beside it must not be read again."""
MEBIBYTE = 1 << 20
BLOCK_CACHE = 64 * MEBIBYTE
"""Blocks of all databases of this process that stay in memory."""
UNWRITTEN = 64 * MEBIBYTE
"""What all of them may hold before it goes to files."""
BLOOM_BITS = 10
LOCK_SECONDS = 5.0
"""How long an earlier owner on this machine may take to let go of a task."""


class Unreadable(Exception):
    """The database cannot be opened."""


class Stand(msgspec.Struct, frozen=True):
    """What the database is a copy of."""

    identity: str
    """The task: application, sub-topology, partition, and of how many."""
    lineage: str
    """The changelog; empty while its first reading has not come to the end."""
    after: int
    """An offset behind the last position record that is in it, and not behind a later one."""
    written_ms: int
    """When it was written (processing time)."""
    sizes: dict[str, int]
    """How many entries each step has."""
    format: int = FORMAT


class Disk:
    """One database: bytes to bytes, in order of their bytes."""

    def __init__(self, folder: Path, wanted: Callable[[], bool] = lambda: True) -> None:
        self.folder, self._db = _opened(folder, wanted)
        self.get: Callable[[bytes], bytes | None] = self._get

    def _get(self, key: bytes) -> bytes | None:
        found: bytes | None = call_as(StateLost, self._db.get, key)
        return found

    def get_all(self, keys: list[bytes]) -> list[bytes | None]:
        """What stands at each key, in one call."""
        found: Any = call_as(StateLost, self._db.get, keys)
        return list(found)

    @property
    def stand(self) -> Stand | None:
        """What is here; None where nothing is, or something else."""
        try:
            return msgspec.msgpack.decode(self._get(STAND) or b"", type=Stand)
        except (ValueError, RecursionError):
            return None

    def rows(self, first: bytes, end: bytes) -> list[tuple[bytes, bytes]]:
        """The entries with ``first <= key < end``, in order, at once."""
        options = ReadOptions()
        options.set_iterate_upper_bound(end)
        found: list[tuple[bytes, bytes]] = call_as(
            StateLost, list, self._db.items(from_key=first, read_opt=options)
        )
        return found

    def between(
        self, first: bytes, end: bytes, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """The entries with ``first <= key < end``, in order."""
        options = ReadOptions()
        options.set_iterate_upper_bound(end)
        step = _backwards(self._db, first, options) if reverse else self._forwards(first, options)
        size = 4
        while found := call_as(StateLost, list, islice(step, size)):
            yield from found
            if len(found) < size:
                return
            size = min(size * 8, 1024)

    def _forwards(self, first: bytes, options: ReadOptions) -> Iterator[tuple[bytes, bytes]]:
        found: Any = self._db.items(from_key=first, read_opt=options)
        return iter(found)

    def write(self, batch: WriteBatch, stand: Stand) -> None:
        """Write all of it, or nothing."""
        batch.put(STAND, msgspec.msgpack.encode(stand))
        call_as(StateLost, self._db.write, batch)

    @property
    def empty(self) -> bool:
        """Whether nothing was ever written."""
        return next(self.between(b"", b"\xff"), None) is None

    def spoil(self) -> None:
        """Have everything thrown away when it is opened next."""
        (self.folder / SPOILT).touch()

    def clear(self) -> None:
        """Throw everything away."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder, self._db = _opened(self.folder, lambda: True)

    def close(self) -> None:
        """Let go of the folder; what could not be written any more is in the changelog."""
        attempt(self._db.close)


def batch() -> WriteBatch:
    """An empty batch of writes."""
    return WriteBatch(raw_mode=True)


def _backwards(db: Rdict, first: bytes, options: ReadOptions) -> Iterator[tuple[bytes, bytes]]:
    """The library's own way backwards does not end at a lower bound."""
    place = db.iter(options)
    place.seek_to_last()
    while place.valid():
        key: Any = place.key()
        if key < first:
            return
        yield key, place.value()
        place.prev()
    place.status()


def _opened(folder: Path, wanted: Callable[[], bool]) -> tuple[Path, Rdict]:
    """The database in a folder, else, while another process has it, in one beside it.

    A worker that was stopped without ending holds what it had for ever.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    for number in count(1):
        place = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        while True:
            found = _attempt(place)
            if found is not None:
                return place, found
            if time.monotonic() > deadline or not wanted():
                break
            time.sleep(0.05)
    raise AssertionError


def is_taken(folder: Path) -> bool:
    """Whether a process, be it this one, has a database open."""
    found = _attempt(folder)
    if found is not None:
        found.close()
    return found is None


def _attempt(folder: Path) -> Rdict | None:
    """The database in a folder, emptied if it cannot be read; None while somebody else has it."""
    if (folder / SPOILT).exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        found: Rdict = call_as(Unreadable, Rdict, str(folder), _options())
    except Unreadable as error:
        if "/LOCK" in str(error):
            return None
        shutil.rmtree(folder)
        folder.mkdir()
        found = call_as(StateLost, Rdict, str(folder), _options())
    return found


@cache
def _shared() -> tuple[Cache, WriteBufferManager]:
    """Memory that all databases of this process share."""
    return Cache(BLOCK_CACHE), WriteBufferManager(UNWRITTEN, False)


def _options() -> Options:
    blocks, buffers = _shared()
    table = BlockBasedOptions()
    table.set_block_cache(blocks)
    table.set_bloom_filter(BLOOM_BITS, False)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    options.set_write_buffer_manager(buffers)
    options.set_write_buffer_size(16 * MEBIBYTE)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_level_compaction_dynamic_level_bytes(True)
    options.set_max_open_files(256)
    options.set_max_background_jobs(2)
    options.set_keep_log_file_num(1)
    options.set_max_log_file_size(MEBIBYTE)
    options.set_stats_dump_period_sec(0)
    return options
