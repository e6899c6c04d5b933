"""Every store against a dict: whatever is done to it, in whatever order, and killed at any point.

One machine for all of them: entries, timelines, plain tables, ranges, batches that are undone,
checkpoints that fail or that a crash meets half way.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from joins.state import Key
from tests.engine.stores import RocksWorld, World, needs_rocks

DEEP = os.environ.get("STREAMS_DEEP") == "1"
QUICK = (Phase.explicit, Phase.reuse, Phase.generate)
EXAMPLES = settings(
    max_examples=2000 if DEEP else 25,
    stateful_step_count=60,
    deadline=None,
    phases=QUICK if DEEP else tuple(Phase),
    suppress_health_check=list(HealthCheck),
)

WORDS = st.sampled_from(["", "a", "a\0", "ab", "b", "é"])
NUMBERS = st.sampled_from([-(2**63), -300, -1, 0, 1, 7, 255, 256, 10**12])
KEYS = st.one_of(
    st.tuples(st.just("e"), WORDS, NUMBERS),
    st.tuples(st.just("e"), WORDS, NUMBERS, WORDS),
    st.tuples(st.just("t"), NUMBERS),
)
VALUES = st.one_of(st.integers(0, 3), st.text(max_size=2), st.binary(max_size=2), st.just(False))
DUES = st.none() | st.integers(-3, 12)
PLAIN = st.one_of(WORDS, st.integers(-40, 40), st.binary(max_size=1))
MODEL = tuple[dict[Key, tuple[Any, int | None]], dict[Any, Any]]


class Machine(RuleBasedStateMachine):
    """What a task, its checkpoints and its end may do to a store."""

    kind: type[World]

    @initialize()
    def begin(self) -> None:
        self.world = self.kind()
        self.entries: dict[Key, tuple[Any, int | None]] = {}
        self.plain: dict[Any, Any] = {}
        self.settled: MODEL = ({}, {})
        self.taken: MODEL = ({}, {})
        self.committed: MODEL = ({}, {})
        self.stage = ""

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.close()

    # Batches --------------------------------------------------------------------------------------

    @rule(key=KEYS, value=VALUES, due=DUES)
    def put(self, key: Key, value: Any, due: int | None) -> None:
        self.world.scope.put(key, value, due)
        self.entries[key] = (value, due)

    @rule(key=KEYS)
    def put_nothing(self, key: Key) -> None:
        self.world.scope.put(key, None)
        self.entries.pop(key, None)

    @rule(key=KEYS)
    def delete(self, key: Key) -> None:
        self.world.scope.delete(key)
        self.entries.pop(key, None)

    @rule(data=st.data())
    def delete_one(self, data: st.DataObject) -> None:
        if self.entries:
            self.delete(data.draw(st.sampled_from(sorted(self.entries, key=repr))))

    @rule(before=st.integers(-3, 13))
    def expire(self, before: int) -> None:
        for key in self.world.scope.due("e", None, before):
            self.world.scope.delete(key)
            del self.entries[key]

    @rule(entries=st.dictionaries(PLAIN, st.integers(1, 9), max_size=30))
    def update(self, entries: dict[Any, int]) -> None:
        self.world.scope.table("plain").update(entries)
        self.plain.update(entries)

    @rule(keys=st.lists(PLAIN, max_size=20))
    def forget(self, keys: list[Any]) -> None:
        table = self.world.scope.table("plain")
        for key in keys:
            del table[key]
            self.plain.pop(key, None)

    @rule(keys=st.lists(PLAIN, max_size=40))
    def count(self, keys: list[Any]) -> None:
        self.world.scope.table("plain").count(keys)
        self._counted(Counter(keys))

    @rule(keys=st.lists(PLAIN, max_size=40))
    def add(self, keys: list[Any]) -> None:
        self.world.scope.table("plain").add(Counter(keys))
        self._counted(Counter(keys))

    def _counted(self, numbers: Counter[Any]) -> None:
        for key, number in numbers.items():
            self.plain[key] = self.plain.get(key, 0) + number

    @rule()
    def settle(self) -> None:
        self.world.store.settle()
        self.settled = dict(self.entries), dict(self.plain)

    @rule()
    def undo(self) -> None:
        self.world.store.undo()
        self.entries, self.plain = dict(self.settled[0]), dict(self.settled[1])

    # Checkpoints ----------------------------------------------------------------------------------

    @precondition(lambda self: self.stage == "")
    @rule()
    def take(self) -> None:
        self.settle()
        self.world.take()
        self.taken, self.stage = self.settled, "taken"

    @precondition(lambda self: self.stage == "taken")
    @rule()
    def fail(self) -> None:
        self.settle()
        self.world.fail()
        self.stage = ""

    @precondition(lambda self: self.stage == "taken")
    @rule()
    def commit(self) -> None:
        self.world.commit()
        self.committed, self.stage = self.taken, "committed"

    @precondition(lambda self: self.stage == "committed")
    @rule()
    def keep(self) -> None:
        self.world.keep()
        self.stage = "written"

    @precondition(lambda self: self.stage == "written")
    @rule()
    def kept(self) -> None:
        self.settle()
        self.world.kept()
        self.stage = ""

    @rule()
    def checkpoint(self) -> None:
        while self.stage:
            {"taken": self.commit, "committed": self.keep, "written": self.kept}[self.stage]()
        self.take()
        while self.stage:
            {"taken": self.commit, "committed": self.keep, "written": self.kept}[self.stage]()

    @rule(how=st.sampled_from(["killed", "closed", "deleted"]))
    def crash(self, how: str) -> None:
        self.world.restart(how)
        self.entries, self.plain = dict(self.committed[0]), dict(self.committed[1])
        self.settled, self.stage = self.committed, ""
        assert not self.world.store.dirty

    # What must be true ----------------------------------------------------------------------------

    @invariant()
    def same_entries(self) -> None:
        if not hasattr(self, "world"):
            return
        scope = self.world.scope
        expected = {key: value for key, (value, _) in self.entries.items()}
        assert [(k, expected[k]) for k in sorted(expected)] == list(scope.scan(()))
        assert self.plain == dict(scope.table("plain").items())
        assert len(self.entries) + len(self.plain) == len(self.world.store)

    @rule(key=KEYS, plain=PLAIN)
    def look(self, key: Key, plain: Any) -> None:
        assert self.entries.get(key, (None,))[0] == self.world.scope.get(key)
        table = self.world.scope.table("plain")
        assert (self.plain.get(plain), plain in self.plain) == (table.get(plain), plain in table)

    @rule(
        prefix=KEYS, parts=st.integers(0, 3), low=st.none() | KEYS, high=st.none() | KEYS,
        reverse=st.booleans(),
    )  # fmt: skip
    def scan(
        self, prefix: Key, parts: int, low: Key | None, high: Key | None, reverse: bool
    ) -> None:
        prefix = prefix[:parts]
        low = low and low[len(prefix) :]
        high = high and high[len(prefix) :]
        if any(bound and _kinds(prefix + bound) for bound in (low, high)):
            return
        found = self.world.scope.scan(prefix, low, high, reverse)
        inside = [
            key
            for key in sorted(self.entries, reverse=reverse)
            if key[: len(prefix)] == prefix
            and (low is None or prefix + low <= key)
            and (high is None or key < prefix + high)
        ]
        values = [self.entries[key][0] for key in inside]
        assert list(zip(inside, values, strict=True)) == list(found)
        if prefix and not reverse:
            assert values == self.world.scope.between(prefix, low, high)
            assert values[-1:] == [self.world.scope.last(prefix, low, high)][: len(values)]

    @rule(
        table=st.sampled_from("et"), low=st.none() | st.integers(-4, 13),
        high=st.none() | st.integers(-4, 13),
    )  # fmt: skip
    def due(self, table: str, low: int | None, high: int | None) -> None:
        waiting = sorted(
            (due, key)
            for key, (_, due) in self.entries.items()
            if key[0] == table
            and due is not None
            and (low is None or low <= due)
            and (high is None or due < high)
        )
        scope = self.world.scope
        assert [key for _, key in waiting] == scope.due(table, low, high)
        least = scope.next_due(table, low)
        assert min((d for d, _ in waiting), default=None) == (
            None if least is not None and high is not None and least >= high else least
        )


def _kinds(key: Key) -> bool:
    """Whether a bound compares text with numbers somewhere, which no caller does."""
    forms = {"e": (str, str, int, str), "t": (str, int)}
    form = forms.get(str(key[0]) if key else "", (str,))
    return any(type(part) is not kind for part, kind in zip(key, form, strict=False))


def _machine(world: type[World]) -> type[Machine]:
    return type(f"{world.__name__}Machine", (Machine,), {"kind": world})


def test_a_store_in_memory_is_a_dict_that_goes_back() -> None:
    """The task's store in memory, as the machine above says."""
    run_state_machine_as_test(_machine(World), settings=EXAMPLES)


@needs_rocks
def test_a_store_on_disk_is_a_dict_that_goes_back() -> None:
    """The store on disk, with next to no memory, killed, closed, and robbed of its folder."""
    run_state_machine_as_test(_machine(RocksWorld), settings=EXAMPLES)
