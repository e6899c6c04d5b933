"""One owner of a task: the engine's own runner, in a strand, from taking over to letting go."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from streams.engine.mover import EXIT_BROKEN_CHAIN, EXIT_FENCED, Chunk, Place, Session
from streams.engine.settling import settle
from streams.engine.stages import Stage, When
from streams.testing import Record
from tests.simulation import inputs
from tests.simulation.broker import Log, Refused
from tests.simulation.broker import Place as LogPlace
from tests.simulation.disk import FULL
from tests.simulation.oracle import Violation, check_restored
from tests.simulation.strands import Inline, Strand

if TYPE_CHECKING:
    from tests.simulation.client import Producer
    from tests.simulation.world import Process, Wire, World

POOL = Inline()
IN_POOL = frozenset({
    Stage.BEGIN, Stage.OUTPUTS, Stage.DECLARE, Stage.CHANGELOG, Stage.POSITION, Stage.COMMIT,
    Stage.KEEP, Stage.ABORT, Stage.RETAKE,
})  # fmt: skip
T0 = 1_700_000_000_000


class Died(BaseException):
    """The process is dead: unwind."""


class Ended(BaseException):
    """The process ends itself."""


def end_process(code: int, words: str) -> None:
    """In place of the engine's own."""
    raise Ended(f"exit {code}: {words}", code)


class _Whole:
    """Where inputs begin: nothing of them has been deleted."""

    def get(self, wanted: Any) -> dict[Any, int]:
        return {}


class _Room:
    """In place of an event: nobody waits for room."""

    def set(self) -> None:
        pass


class Owner:
    """A task in a process."""

    def __init__(self, world: World, process: Process, task: int) -> None:
        self.world, self.process, self.task = world, process, task
        self.wanted, self.parked, self.gone = True, False, False
        self.revoked = False
        """Whether it was revoked since it began, or was given back: that is not undone."""
        self.waiting = self.in_pool = self.replaying = False
        self.producing: Producer | None = None
        self.flying: Callable[[], None] | None = None
        """A request that is on its way."""
        self.next: dict[Place, int] = {}
        self.runner: Any = None
        self.strand = Strand(self._live)

    def __str__(self) -> str:
        return f"{self.process}/{self.task}"

    # Seen from outside ----------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        """Whether its process lives."""
        return self.process.alive

    @property
    def ready(self) -> bool:
        """Whether it would do anything if it were resumed."""
        if self.strand.over or self.process.frozen:
            return False
        if self.parked:
            return self.wanted or self.gone
        return not self.waiting or self.revoked or self.readable or self.dirty

    @property
    def readable(self) -> bool:
        """Whether there is anything to read."""
        return bool(self._unread())

    def _unread(self) -> list[Place]:
        return [p for p, n in self.next.items() if n < self._end(p)]

    def _end(self, place: Place) -> int:
        log = self._log(place)
        return log.stable if self.world.scheme.inputs_committed else log.end

    @property
    def dirty(self) -> bool:
        """Whether there is anything to write."""
        return self.runner.unsaved

    def resume(self) -> None:
        """Let it run until its next pause."""
        self.world.turn = self
        self.strand.resume()
        self.world.turn = None
        if self.strand.over and self.process.owners.get(self.task) is self:
            del self.process.owners[self.task]
            if self.alive and self.world.holders[self.task] is self.process:
                self.world.give(self.task, self.process)

    def unwind(self) -> None:
        """Its process is dead: let its stack go."""
        self.world.turn = self
        while not self.strand.over:
            self.strand.resume()
        self.world.turn = None

    def let_it_go(self) -> None:
        """The group gave the task to somebody else: close what was parked."""
        self.gone = True

    def on_the_wire(self) -> list[Wire]:
        """What it has sent, and nobody has seen arrive: some of it, or nothing."""
        from tests.simulation.world import dead_letter  # noqa: PLC0415

        found: list[Wire] = []
        if self.producing is not None and self.producing.queue and self.world.plan.small(2):
            place = self.producing.queue[0][0]
            contents = [c for p, c in self.producing.queue if p == place]
            found.append(dead_letter(self.producing, place, contents))
        if self.flying is not None and self.world.plan.small(2):
            flying = self.flying
            found.append(lambda: _try(flying))
        return found

    # In its strand --------------------------------------------------------------------------------

    def note(self, words: str) -> None:
        """A line of the trace."""
        self.world.say(f"{self}  {words}")

    def point(self, what: str) -> None:
        """Anything may happen here; the owner may be dead afterwards."""
        if not self.alive:
            raise Died
        if not self.world.plan.go_on():
            self.stop(what)

    def stop(self, what: str) -> None:
        """Something has to happen first."""
        self.note(f"... {what}")
        self.strand.pause()
        if not self.alive:
            raise Died

    def passing(self, when: When, stage: Stage) -> None:
        """The engine passes a stage."""
        if not self.alive:
            return
        if when == "before":
            self.note(stage)
        self.in_pool = stage in IN_POOL and (when, stage) != ("after", Stage.KEEP)
        self.replaying = stage is Stage.REPLAY and when == "before"
        self.point(f"{when} {stage}")
        if self.world.failures and self.world.failures[0][:2] == (when, stage):
            failure = self.world.failures.pop(0)[2]
            if isinstance(failure, BaseException):
                raise failure
            failure(self)

    def _live(self) -> None:
        try:
            self._life()
        except Died:
            pass
        except Violation as error:
            self.world.wrong.append(str(error))
        except Ended as end:
            self._end_process(end)

    def _end_process(self, end: Ended) -> None:
        words, code = end.args
        self.note(words)
        self.process.alive = False
        if code == EXIT_BROKEN_CHAIN and FULL not in words:
            self.world.wrong.append(f"{self}: {words}")
        taken = "_FENCED" in words and not self.revoked
        if code == EXIT_FENCED and taken and self.world.fenced_last.get(self.task) is self:
            self.world.wrong.append(f"{self} was fenced, and nobody has its task: {words}")

    def _life(self) -> None:
        scheme, settings = self.world.scheme, inputs.SETTINGS
        of_task = (inputs.TOPOLOGY, inputs.SUB, self.task, settings, inputs.CODEC)
        self.runner = scheme.runner(*of_task, POOL, POOL, _no_report)
        self.runner.owner, self.runner.firsts = self, _Whole()
        scheme.take_over(self)
        if self.revoked:
            self.strand.wait_for(self.runner.close())
            return
        check_restored(self)
        while not self.gone:
            self._work()
            if self.revoked:
                self._park()
        self.strand.wait_for(self.runner.close())

    def take_over(self) -> None:
        """Fence, replay, restore as the engine does; then seek and resume."""
        self.strand.wait_for(self.runner.open(self.still))
        if not self.revoked:
            self.seek()
            with Stage.RESUME:
                pass

    def still(self) -> bool:
        """Whether this session goes on."""
        return not self.revoked

    def seek(self) -> None:
        """Read on from where the task stands."""
        with Stage.SEEK:
            self.next = dict(self.runner.places)
        self.note(f"stands at {self.runner.task.position}")

    def _work(self) -> None:
        """Read, or checkpoint, or wait."""
        options = [self.process_some] * self.readable + [self.checkpoint] * self.dirty
        if options:
            options[self.world.plan.small(len(options))]()
            self.point("working")
        elif not self.revoked:
            self.waiting = True
            self.strand.pause()
            self.waiting = False
            if not self.alive:
                raise Died

    def process_some(self) -> None:
        """Take some records over."""
        places = self._unread()
        place = places[self.world.plan.small(len(places))]
        most, committed = 1 + self.world.plan.small(4), self.world.scheme.inputs_committed
        found, end = self._log(place).read(self.next[place], most, committed)
        messages: Any = [
            Record((*place, offset), c.key, c.value, [], T0 + offset) for offset, c, _ in found
        ]
        room: Any = _Room()
        chunk = Chunk(place, messages, Session(room), self.next[place], end)
        self.next[place] = chunk.next
        self.note(f"reads {place.topic} up to {chunk.next}: {len(messages)} records")
        self.runner.process(chunk)

    def process_beside(self) -> None:
        """The loop goes on while the pool writes a checkpoint."""
        try:
            self.process_some()
        except Ended as end:
            self._end_process(end)

    def checkpoint(self) -> None:
        """Checkpoint as the engine does; the group hears where it stands, as a hint."""
        self.strand.wait_for(settle([self.runner], _no_report))
        if not self.alive:
            raise Died
        if self.world.plan.small(3) == 0:  # once a second, not at each checkpoint
            for topic, offset in self.runner.saved.items():
                self.world.hints[self.task, topic] = offset

    def _park(self) -> None:
        """The task was revoked: a last checkpoint, then stand by."""
        small, ends = self.world.plan.small, {p: self._end(p) for p in self.next}
        self.process.fetched[self.task] = {
            p: n + small(ends[p] - n + 1) for p, n in self.next.items()
        }
        self.next = {}
        while self.dirty and not self.runner.abandoned and self.world.plan.small(4):
            self.checkpoint()
        if self.runner.abandoned:
            self.note("is abandoned")
            self.gone = True
            return
        self.note("is parked")
        self.parked = True
        self.strand.pause()
        self.parked = False
        if not self.alive:
            raise Died
        self.revoked = False
        if self.wanted:
            self.world.scheme.come_back(self)

    def _log(self, place: Place) -> Log:
        return self.world.broker.log(LogPlace(*place))


def _try(request: Callable[[], None]) -> None:
    try:
        request()
    except Refused:
        return


def _no_report(event: str, facts: dict[str, Any]) -> None:
    pass
