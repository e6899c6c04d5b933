"""One run: workers that own tasks by turns, a broker below them, and what happens to both."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.simulation import inputs
from tests.simulation.broker import HOUR_MS, Broker, Content, Place, Refused, Transaction
from tests.simulation.oracle import Violation, check_end
from tests.simulation.owner import Owner
from tests.simulation.plan import FAULTS, Action, Plan

if TYPE_CHECKING:
    from streams.engine.stages import Stage, When
    from tests.simulation.client import Producer
    from tests.simulation.disk import Folder
    from tests.simulation.schemes import Scheme

CHAOS, CALM = 600, 4000
"""Choices until all faults end, and until the run must have come to its end."""
LONG_MS = 11_000
"""Longer than a transaction may take."""
IDLE = FAULTS | {"clean"}
Wire = Callable[[], None]


class Process:
    """A worker's process: dies as a whole, is started again on its machine."""

    def __init__(self, name: str, machine: dict[str, Folder], lives: int = 1) -> None:
        self.name, self.machine, self.lives = name, machine, lives
        self.alive, self.frozen = True, False
        self.owners: dict[int, Owner] = {}
        self.fetched: dict[int, dict[Any, int]] = {}
        """By task: how far its inputs were fetched by whoever had it last."""

    def __str__(self) -> str:
        return f"{self.name}{self.lives}"


class World:
    """All that there is in a run."""

    running: World
    """The one that runs now: the engine's hooks have no other way to find it."""

    def __init__(self, plan: Plan, scheme: Scheme, size: Size) -> None:
        World.running = self
        self.plan, self.scheme, self.size = plan, scheme, size
        self.broker, self.partitions = Broker(), inputs.SETTINGS.partitions
        self.trace: list[str] = []
        self.turn: Owner | None = None
        """Whose strand runs now."""
        self.choices = 0
        machines: list[dict[str, Folder]] = [{}, {}] if size.machines == 2 else [{}] * 2
        self.processes = [Process("AB"[n], machines[n]) for n in range(2)]
        self.holders: dict[int, Process] = {}
        """Which process the group has given a task to."""
        self.left = size.records
        self.wire: list[Wire] = []
        """Requests of the dead that are still on their way."""
        self.open: Transaction | None = None
        """What a source has written and not decided yet."""
        self.fenced_last: dict[int, Owner] = {}
        """By task: who has fenced it last."""
        self.hints: dict[tuple[int, str], int] = {}
        """Offsets that were committed to the group, as a hint."""
        self.generation = 0
        self.wrong: list[str] = []
        """What owners found wrong."""
        self.failures: list[tuple[When, Stage, BaseException | Callable[[Owner], None]]] = []
        """Stages that are to fail, or what is to happen there; in this order, each once."""
        self.happened: set[str] = set()
        """Kinds of faults that there were."""

    # A run ----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Play to the end; raises Violation."""
        try:
            for task in range(self.size.tasks):
                self.give(task, self.processes[task % 2])
            while not (self.plan.calm and self.finished):
                self._step()
            check_end(self)
            self.say("-- all are killed, and start again --")
            for process in self.processes:
                self.kill(process)
                self._bury(process)
            while not self.finished:
                self._step()
            check_end(self)
        finally:
            for process in self.processes:
                self._bury(process)

    def _step(self) -> None:
        self.choices += 1
        if self.choices == self.size.chaos:
            self._calm_down()
        if self.choices > self.size.chaos + CALM:
            raise Violation(f"no end is reached: {self._stand()}")
        actions = self._actions()
        if self.plan.calm and not actions:
            if self.finished:
                return
            raise Violation(f"nothing goes on: {self._stand()}")
        if (self.plan.spent or self.plan.rests) and all(a.kind in IDLE for a in actions):
            self._calm_down()
            return
        chosen = self.plan.choose(actions)
        self.happened.add(chosen.kind)
        if chosen.words:
            self.say(chosen.words)
        chosen.do()
        if self.wrong:
            raise Violation(self.wrong[0])
        for process in self.processes:
            if not process.alive:
                self._bury(process)

    def _stand(self) -> str:
        return ", ".join(f"{t}: {o.runner.task.position}" for t, o in self._holding())

    def _holding(self) -> list[tuple[int, Owner]]:
        pairs = [(t, p.owners.get(t)) for t, p in self.holders.items()]
        return [(t, o) for t, o in pairs if o is not None]

    @property
    def finished(self) -> bool:
        """Whether everything is read and written, and nobody has anything left to do."""
        if self.left or self.open or self.wire or self.broker.marking:
            return False
        if any(o.ready for p in self.processes for o in p.owners.values()):
            return False
        return len(self._holding()) == self.size.tasks

    def _calm_down(self) -> None:
        self.plan.calm = True
        self.choices = max(self.choices, self.size.chaos)
        self.say("-- no more faults --")
        for process in self.processes:
            process.frozen = False

    def say(self, words: str) -> None:
        """A line of the trace."""
        self.trace.append(f"{self.choices:4}  {words}")

    # What may happen ------------------------------------------------------------------------------

    def _actions(self) -> list[Action]:
        found = [a for p in self.processes for a in self._of_process(p)]
        if self.left or self.open is not None:
            found.append(Action("source", "", self._source))
        for transaction, place in self.broker.marking:
            words = f"marker of {transaction.id} in {place.topic}/{place.partition}"
            act = lambda t=transaction, p=place: self.broker.mark(t, p)  # noqa: E731
            found.append(Action("mark", words, act))
        if self.wire:
            found.append(Action("wire", "a request of the dead arrives", self._arrive))
        if not self.plan.calm:
            found += self._faults()
        return found

    def _of_process(self, process: Process) -> list[Action]:
        if not process.alive:
            return [Action("restart", "", lambda: self._restart(process))]
        if process.frozen:
            return [Action("thaw", f"{process} thaws", lambda: self._thaw(process))]
        found = []
        for owner in process.owners.values():
            if owner.ready:
                found.append(Action("run", "", owner.resume))
            if owner.in_pool and owner.readable:
                found.append(Action("beside", "", owner.process_beside))
            if owner.parked and not owner.wanted:
                found.append(Action("let_go", f"{owner} is let go", owner.let_it_go))
            if owner.producing is not None and owner.producing.queue:
                found.append(Action("send", "", owner.producing.send))
        return found

    def _faults(self) -> list[Action]:
        found = []
        for process in self.processes:
            if process.alive:
                found.append(
                    Action("crash", f"{process} is killed", lambda p=process: self.kill(p))
                )
                freeze = lambda p=process: setattr(p, "frozen", True)  # noqa: E731
                if not process.frozen:
                    found.append(Action("freeze", f"{process} freezes", freeze))
            for task in range(self.size.tasks):
                if self.holders[task] is not process:
                    move = lambda t=task, p=process: self.give(t, p)  # noqa: E731
                    found.append(Action("group", f"task {task} goes to {process}", move))
        if self.size.machines == 1 or not all(p.alive for p in self.processes):
            found.append(Action("power", "a machine loses its power", self._power))
        for id in self.broker.open:
            expire = lambda i=id: self._expire(i)  # noqa: E731
            found.append(Action("expire", f"the transaction of {id} times out", expire))
        if self.scheme.compacted:
            found.append(Action("clean", "the cleaner runs", self._clean))
            if not any(o.replaying for p in self.processes for o in p.owners.values()):
                found.append(Action("day", "a day and more passes", self._day))
        found.append(Action("regroup", "the group expires", self._regroup))
        return found

    # Workers --------------------------------------------------------------------------------------

    def give(self, task: int, process: Process) -> None:
        """The group gives a task to a process; the one that had it hears of it when it listens."""
        old = self.holders.get(task)
        self.holders[task] = process
        self.generation += 1
        if old is not None and task in old.owners:
            old.owners[task].wanted, old.owners[task].revoked = False, True
        if process.alive:
            self._take(task, process)

    def _take(self, task: int, process: Process) -> None:
        known = process.owners.get(task)
        if known is None:
            process.owners[task] = Owner(self, process, task)
        else:
            known.wanted = True

    def kill(self, process: Process) -> None:
        """SIGKILL: what it had on the wire may arrive yet."""
        process.alive = False
        for owner in process.owners.values():
            self.wire += owner.on_the_wire()

    def _bury(self, process: Process) -> None:
        """Unwind what is left of a process."""
        process.alive = False
        for owner in process.owners.values():
            owner.unwind()
        process.owners.clear()
        process.fetched.clear()

    def _restart(self, process: Process) -> None:
        process.alive, process.lives, process.frozen = True, process.lives + 1, False
        self.say(f"{process} starts")
        for task, holder in self.holders.items():
            if holder is process:
                self._take(task, process)

    # The rest of the world ------------------------------------------------------------------------

    def _source(self) -> None:
        """A source writes, in a transaction or not, and some of its transactions are aborted."""
        if self.open is not None:
            self._decide_source()
            return
        small, broker = self.plan.small, self.broker
        place = Place(inputs.INPUTS[small(2)], small(self.size.tasks))
        log, many = broker.log(place), min(self.left, 1 + small(3))
        keys = [f"{place.topic[:2]}{place.partition}{small(2)}" for _ in range(many)]
        contents = [Content(k.encode(), b"%d" % (log.end + n)) for n, k in enumerate(keys)]
        self.left -= many
        if small(3) == 0:
            self.open = Transaction("source", 0, self.left)
            self.open.unmarked[place] = log.end
        log.append(contents, self.open)
        self.say(f"source: {keys} to {place.topic}/{place.partition}, open: {bool(self.open)}")

    def _decide_source(self) -> None:
        assert self.open is not None
        (place,) = self.open.unmarked
        self.open.committed = self.plan.small(3) > 0
        self.broker.log(place).mark(self.open)
        self.say(f"source: {'committed' if self.open.committed else 'aborted'}")
        self.open = None

    def _arrive(self) -> None:
        self.wire.pop(self.plan.small(len(self.wire)))()

    def _expire(self, id: str) -> None:
        self.broker.now_ms += LONG_MS
        self.broker.expire(id)

    def _clean(self) -> None:
        for place, log in self.broker.logs.items():
            if place.topic.endswith("changelog"):
                log.clean(self.broker.now_ms)

    def _day(self) -> None:
        self._clean()
        self.broker.now_ms += 30 * HOUR_MS
        self._clean()

    def _power(self) -> None:
        """A machine that loses its power loses its processes, and the newest of what they wrote."""
        whole = self.size.machines == 1
        dead = self.processes if whole else [p for p in self.processes if not p.alive]
        for process in dead:
            if process.alive:
                self.kill(process)
            for folder in process.machine.values():
                folder.tear(self.plan.small(len(folder.batches) + 1))

    def _thaw(self, process: Process) -> None:
        process.frozen = False
        self.broker.now_ms += self.plan.small(2) * LONG_MS

    def _regroup(self) -> None:
        self.generation = 0


class Size:
    """How large a run is."""

    def __init__(
        self, records: int = 10, tasks: int = 2, machines: int = 2, chaos: int = CHAOS
    ) -> None:
        self.records, self.tasks, self.machines, self.chaos = records, tasks, machines, chaos


def dead_letter(producer: Producer, place: Place, contents: list[Any]) -> Wire:
    """A request with records, on its way while its sender died."""
    id, epoch, serial, broker = producer.id, producer.epoch, producer.serial, producer.broker

    def arrive() -> None:
        try:
            broker.produce(id, epoch, serial, place, contents)
        except Refused:
            return

    return arrive
