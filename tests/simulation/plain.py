"""Checkpoints without transactions, as they were tried before: what a marker or a claim commits.

``claim`` is right where nothing is compacted (its results may repeat, its state does not); every
scheme here is wrong where the changelog is compacted, since a torn or late record takes the place
of a committed one, and no reader can bring that back.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from streams.engine.emit import POSITION, Snapshot
from streams.engine.recovery import Recovery
from streams.engine.runner import Runner
from streams.engine.stages import Stage
from tests.simulation.broker import Content, Entry, Place
from tests.simulation.owner import Owner
from tests.simulation.schemes import Scheme

CLAIM = b"\x00claim"
_names = count()
Record = tuple[int, bytes, bytes | None]
"""Offset, key, body: what a recovery takes."""


class Marker(Runner):
    """A marker, the position record, commits what is before it."""

    owner: Owner
    epoch, number = 0, 0
    atomic = False
    """Whether a checkpoint is one batch."""

    @property
    def _log(self) -> Place:
        return Place(self.changelog, self.partition)

    def _fence(self, wanted: Callable[[], bool]) -> None:
        with Stage.FENCE:
            pass

    def _replay(self, wanted: Callable[[], bool]) -> Recovery:
        recovery = Recovery(self.task)
        with Stage.REPLAY:
            for record in self.chosen(self._read_all()):
                recovery.take(*record)
        with Stage.RESTORE:
            recovery.stand()
        return recovery

    def _read_all(self) -> list[Entry]:
        """The log to its end, committed or not."""
        found: list[Entry] = []
        log, small = self.owner.world.broker.log(self._log), self.owner.world.plan.small
        end: int | None = None
        while end is None:
            self.owner.point("fetch")
            start = found[-1].offset + 1 if found else 0
            more, end = log.read(start, 1 + small(12), committed=False)
            found += more
        return found

    def chosen(self, entries: list[Entry]) -> list[Record]:
        """What counts of the log."""
        found: list[Record] = []
        waiting: list[Record] = []
        for offset, content, _ in entries:
            waiting.append((offset, content.key or b"", content.value))
            if content.key == POSITION:
                found += waiting
                waiting = []
        return found

    def _commit(self, snapshot: Snapshot) -> None:
        self.number += 1
        batch: list[Content] = []
        for topic, key, value, _, partition in self.encoder.state(snapshot):
            assert topic == self.changelog and partition == self.partition
            batch += self.written(key or b"", value)
        for content in [batch] if self.atomic else [[one] for one in batch]:
            self._append(content)

    def _append(self, contents: list[Content]) -> None:
        self.owner.point("write")
        self.owner.world.broker.log(self._log).append(contents, None)
        self.owner.note(f"wrote {len(contents)} to its changelog")

    def written(self, key: bytes, value: bytes | None) -> list[Content]:
        """The records of one."""
        return [Content(key, value)]


class Claim(Marker):
    """Every record names its epoch and checkpoint; an epoch is claimed in the log.

    The position record commits its own checkpoint only, and of two claims of one epoch the first
    one counts.
    """

    def _fence(self, wanted: Callable[[], bool]) -> None:
        with Stage.FENCE:
            while True:
                name = b"%d" % next(_names)
                self.epoch = 1 + max((e for e, _ in _claims(self._read_all())), default=-1)
                self._append([Content(CLAIM + b"%d" % self.epoch, name)])
                first = next(n for e, n in _claims(self._read_all()) if e == self.epoch)
                if first == name:
                    return

    def written(self, key: bytes, value: bytes | None) -> list[Content]:
        return [Content(key, value, [("epoch", b"%d" % self.epoch), ("no", b"%d" % self.number)])]

    def chosen(self, entries: list[Entry]) -> list[Record]:
        found: list[Record] = []
        waiting: dict[tuple[int, int], list[Record]] = {}
        current = -1
        for offset, content, _ in entries:
            key = content.key or b""
            if key.startswith(CLAIM):
                current = max(current, int(key[len(CLAIM) :]))
                continue
            epoch, number = _tags(content)
            if epoch == current:
                own = waiting.setdefault((epoch, number), [])
                own.append((offset, key, content.value))
                if key == POSITION:
                    found += own
        return found


class Generation(Claim):
    """The epoch is the generation of the group, which begins again when the group expires."""

    def _fence(self, wanted: Callable[[], bool]) -> None:
        with Stage.FENCE:
            self.epoch = self.owner.world.generation
            self._append([Content(CLAIM + b"%d" % self.epoch, b"")])


class OneBatch(Claim):
    """The same, and a checkpoint is one batch: nothing is torn."""

    atomic = True


class Previous(Claim):
    """The same, and a record has what was committed before it, in case it is not."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.committed: dict[bytes, bytes | None] = {}
        self.sent: dict[bytes, bytes | None] = {}
        self.done: dict[int, int] = {}
        """The last committed checkpoint of each epoch."""

    def written(self, key: bytes, value: bytes | None) -> list[Content]:
        (one,) = super().written(key, value)
        self.sent[key] = value
        if key == POSITION:
            self.committed |= self.sent
            self.done[self.epoch] = self.number
            done = b",".join(b"%d:%d" % pair for pair in self.done.items())
            return [
                Content(
                    POSITION + b"%d" % self.epoch, value, [*(one.headers or ()), ("done", done)]
                )
            ]
        previous = self.committed.get(key)
        old = [] if previous is None else [("previous", previous)]
        return [Content(key, value or b"", [*(one.headers or ()), *old])]

    def chosen(self, entries: list[Entry]) -> list[Record]:
        self.done, position = _last_position(entries)
        state: dict[bytes, bytes | None] = {}
        for _, content, _ in entries:
            key = content.key or b""
            if key.startswith((CLAIM, POSITION)):
                continue
            epoch, number = _tags(content)
            headers = dict(content.headers or ())
            if number <= self.done.get(epoch, 0):
                state[key] = content.value or None
            elif key not in state:
                state[key] = headers.get("previous")
        self.committed = dict(state)
        found: list[Record] = [(0, key, body) for key, body in state.items() if body is not None]
        return found if position is None else [*found, position]


class TwoSlots(Previous):
    """The same, and a key has two places, of which the one is written that is not committed."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        self.slots: dict[bytes, int] = {}

    def written(self, key: bytes, value: bytes | None) -> list[Content]:
        (one,) = super().written(key, value)
        if key == POSITION:
            self.slots |= {key: 1 - self.slots.get(key, 1) for key in self.sent}
            self.sent = {}
            return [one]
        slot = 1 - self.slots.get(key, 1)
        return [Content(key + b"%d" % slot, one.value, one.headers)]

    def chosen(self, entries: list[Entry]) -> list[Record]:
        self.done, position = _last_position(entries)
        state: dict[bytes, bytes | None] = {}
        for _, content, _ in entries:
            key = content.key or b""
            if not key.startswith((CLAIM, POSITION)):
                epoch, number = _tags(content)
                if number <= self.done.get(epoch, 0):
                    state[key[:-1]] = content.value or None
                    self.slots[key[:-1]] = int(key[-1:])
        found: list[Record] = [(0, key, body) for key, body in state.items() if body is not None]
        return found if position is None else [*found, position]


def _claims(entries: list[Entry]) -> list[tuple[int, bytes | None]]:
    """Epochs and who claimed them, in order."""
    found = []
    for _, content, _ in entries:
        key = content.key or b""
        if key.startswith(CLAIM):
            found.append((int(key[len(CLAIM) :]), content.value))
    return found


def _tags(content: Content) -> tuple[int, int]:
    headers = dict(content.headers or ())
    return int(headers["epoch"]), int(headers["no"])


def _last_position(entries: list[Entry]) -> tuple[dict[int, int], Record | None]:
    """The position record of the newest epoch that has one: what it says is done, and itself."""
    best: tuple[int, int, Content] | None = None
    for offset, content, _ in entries:
        key = content.key or b""
        if key.startswith(POSITION):
            epoch = int(key[len(POSITION) :])
            if best is None or (epoch, offset) > best[:2]:
                best = (epoch, offset, content)
    if best is None:
        return {}, None
    done = dict(best[2].headers or ())["done"].decode()
    pairs = (pair.split(":") for pair in done.split(","))
    return {int(e): int(n) for e, n in pairs}, (best[1], POSITION, best[2].value)


def _scheme(
    name: str, runner: type[Marker], why: str, compacted: bool = True, often: tuple[str, ...] = ()
) -> Scheme:
    return Scheme(name, why, often=often, runner=runner, compacted=compacted, exact_outputs=False)


CLAIMED = _scheme("claim", Claim, "", compacted=False)
"""Right, for the state; its results may repeat."""
PLAIN = (
    _scheme("marker", Marker, "the next marker commits a torn tail", False, ("crash",)),
    _scheme("marker-compacted", Marker, "a torn record replaces a committed one"),
    _scheme("claim-compacted", Claim, "a torn record replaces a committed one"),
    _scheme("generation-as-epoch", Generation, "it begins again at 0", False, ("regroup", "group")),
    _scheme("one-batch", OneBatch, "a late batch replaces committed records"),
    _scheme(
        "previous-value",
        Previous,
        "who is late knows an older previous value",
        often=("freeze", "clean"),
    ),
    _scheme(
        "two-slots",
        TwoSlots,
        "who is late writes where the newer value is",
        often=("freeze", "clean"),
    ),
)
