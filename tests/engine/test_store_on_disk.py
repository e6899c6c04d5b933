"""The store on disk: what is gone on from, and what is thrown away and built again."""

from __future__ import annotations

from typing import Any

import pytest

from streams.engine.stores import StateLost
from tests.engine.stores import RocksWorld, World, content, needs_rocks


@pytest.fixture
def rocks() -> Any:
    """A store on disk with three checkpoints: twelve entries, four records each."""
    made = RocksWorld()
    for start in (0, 4, 8):
        for number in range(start, start + 4):
            made.scope.put(("e", number), number, number)
        made.checkpoint()
    yield made
    made.close()


@needs_rocks
def test_only_the_rest_of_the_changelog_is_read(rocks: RocksWorld) -> None:
    """After any end that left the folder: the last position; what was committed without it: that.

    ::

        changelog   |  0..3 P | 4..7 P | 8..11 P | 12, 13 P |
        on disk     ----------------------------->
        read                                  --------------
    """
    assert 1 == rocks.restart("closed")
    assert 1 == rocks.restart("killed")
    rocks.scope.put(("e", 12), 12, 12)
    rocks.scope.put(("e", 13), 13, 13)
    rocks.take()
    rocks.commit()
    assert 4 == rocks.restart("killed")
    assert (14, "") == (len(rocks.store), rocks.store.why)
    assert 14 == len(content(rocks.scope))


@needs_rocks
@pytest.mark.parametrize("damage", ["CURRENT", "MANIFEST", "all"])
def test_a_folder_that_cannot_be_read_is_thrown_away(rocks: RocksWorld, damage: str) -> None:
    """Damaged files are no reason to stop: everything is read again, and said."""
    rocks.store.close()
    for path in rocks.folder.iterdir():
        if damage == "all" or path.name.startswith(damage):
            path.write_bytes(b"damaged")
    rocks.store = rocks.made()
    assert 15 == rocks.recover()
    assert "nothing was there" == rocks.store.why
    assert {("e", number): number for number in range(12)} == content(rocks.scope)


@needs_rocks
def test_what_is_of_another_task_is_thrown_away(rocks: RocksWorld) -> None:
    """The folder of another application, partition, or partition count is not ours."""
    rocks.store.close()
    rocks.store = rocks.made("app/sub/0 of 2")
    assert (15, "it is of another task") == (rocks.recover(), rocks.store.why)


@needs_rocks
def test_what_is_newer_than_the_changelog_is_thrown_away(rocks: RocksWorld) -> None:
    """A changelog that lost its end wins: it is the truth."""
    del rocks.log[6:]
    assert 5 == rocks.restart()
    assert "it is newer than the changelog" == rocks.store.why
    assert {("e", number): number for number in range(4)} == content(rocks.scope)


@needs_rocks
def test_what_is_of_another_changelog_is_thrown_away(rocks: RocksWorld) -> None:
    """A topic that was deleted and made again, and has grown beyond: told by its lineage."""
    other = World()
    for start in range(0, 40, 4):
        for number in range(start, start + 4):
            other.scope.put(("e", number), "other")
        other.checkpoint()
    rocks.log, rocks.lineage = other.log, other.lineage
    rocks.restart()
    assert "it is of another changelog" == rocks.store.why
    assert {("e", number): "other" for number in range(40)} == content(rocks.scope)


@needs_rocks
def test_what_fell_behind_for_too_long_is_thrown_away(
    rocks: RocksWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changelog forgets deletions in time, and whoever was away would never hear of them.

    With nothing behind its place it has missed nothing, however long it was away.
    """
    from streams.engine import rocks as module  # noqa: PLC0415

    monkeypatch.setattr(module, "TRUSTED_MS", -1)
    assert (1, "") == (rocks.restart(), rocks.store.why)
    rocks.scope.delete(("e", 3))
    rocks.take()
    rocks.commit()
    rocks.log[-4 - 1 : -3] = []  # as if compacted: the deletion is forgotten, the entry is too
    rocks.restart()
    assert "it fell behind for too long" == rocks.store.why


@needs_rocks
def test_what_is_half_read_is_as_old_as_what_it_was_read_behind(
    rocks: RocksWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each batch of a reading that ends early is written, and makes the copy no younger."""
    from streams.engine import rocks as module  # noqa: PLC0415

    before = rocks.store._disk.stand  # type: ignore[attr-defined]
    half = rocks.made()
    rocks.store.close()
    monkeypatch.setattr(module, "REPLAYED", 1)
    half.begin(lambda: (0, len(rocks.log)))
    half.replay(b"\x93\xa4step\xa5entry\x01", b"\x01")  # type: ignore[attr-defined]
    found = half._disk.stand  # type: ignore[attr-defined]
    half.close()
    assert (before.after, before.written_ms) == (found.after, found.written_ms)
    rocks.store = rocks.made()


@needs_rocks
def test_a_checkpoint_that_the_disk_does_not_take_is_not_passed_over(
    rocks: RocksWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later one says that the disk has all up to it: so the first may not be counted in."""
    store: Any = rocks.store
    rocks.scope.put(("e", 100), 100)
    rocks.take()
    rocks.commit()
    after = store._after
    with monkeypatch.context() as patch:
        patch.setattr(store._disk, "write", _full)
        with pytest.raises(OSError, match="full"):
            rocks.keep()
    assert after == store._after


def _full(into: Any, stand: Any) -> None:
    raise OSError("the disk is full")


@needs_rocks
def test_one_task_has_one_owner_and_the_next_one_waits_or_goes_elsewhere(
    rocks: RocksWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process holds the folder, its neighbour is used, and kept for the next time."""
    from streams.engine import disk  # noqa: PLC0415

    monkeypatch.setattr(disk, "LOCK_SECONDS", 0.0)
    first = rocks.store
    rocks.store = rocks.made()
    assert 15 == rocks.recover()
    assert 12 == len(content(rocks.scope))
    first.close()
    rocks.store.close()
    assert ["0", "0-2"] == sorted(path.name for path in rocks.home.iterdir())
    rocks.store = rocks.made()
    assert 1 == rocks.recover()


@needs_rocks
def test_a_store_that_fails_is_not_the_fault_of_a_record(rocks: RocksWorld) -> None:
    """What it raises passes every guard, and at the next start everything is read again."""
    rocks.scope.recent.__init__(2)  # type: ignore[attr-defined, misc]
    rocks.store._disk._db.close()  # type: ignore[attr-defined]
    with pytest.raises(StateLost):
        rocks.scope.get(("e", 1))
    assert not isinstance(StateLost("disk"), Exception)
    rocks.store.spoil()
    rocks.store = rocks.made()
    assert (15, 12) == (rocks.recover(), len(rocks.store))


@needs_rocks
def test_the_order_of_stores_may_change(rocks: RocksWorld) -> None:
    """What one store wrote to the changelog, the other one reads: the setting may be changed."""
    rocks.scope.table("plain").update({number: number for number in range(100)})
    rocks.checkpoint()
    memory = World()
    memory.log, memory.lineage = rocks.log, rocks.lineage
    memory.restart()
    assert content(rocks.scope) == content(memory.scope)
    memory.scope.delete(("e", 0))
    memory.scope.table("plain").update({number: -number for number in range(300)})
    memory.checkpoint()
    rocks.lineage = memory.lineage
    rocks.restart("deleted")
    assert content(memory.scope) == content(rocks.scope)
    assert dict(memory.scope.table("plain").items()) == dict(rocks.scope.table("plain").items())
