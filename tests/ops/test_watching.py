"""What operation knows of a worker: events counted, tasks that are stuck found."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.wire import Codec
from streams.agents.pipeline import topology
from streams.engine.application import no_report
from streams.engine.mover import Place
from streams.engine.runner import Runner
from streams.engine.settings import EngineSettings
from streams.ops.outage import Outage
from streams.ops.watching import BUCKETS, Durations, Stalls, Unread, Watch

SETTINGS = EngineSettings(bootstrap="127.0.0.1:9")


@given(st.lists(st.floats(0, 100)))
def test_a_histogram_counts_everything_once(durations: list[float]) -> None:
    """Each bucket holds what is not above its limit; the last one holds all."""
    found = Durations()
    for seconds in durations:
        found.add(seconds)
    expected = [(str(b), float(sum(d <= b for d in durations))) for b in BUCKETS]
    assert [*expected, ("+Inf", float(len(durations)))] == found.cumulative()


def test_events_are_counted_and_passed_on() -> None:
    """Counts are a sub-topology's; what listens behind hears every event."""
    heard: list[str] = []
    watch = Watch(lambda event, facts: heard.append(event))
    watch("assigned", {"partitions": 0})
    watch("checkpoint", {"task": "by_txid/1", "seconds": 0.02})
    watch("checkpoint_put_back", {"task": "by_txid/1", "error": "x"})
    watch("task_recovered", {"task": "by_did/0", "entries": 1, "fence_s": 0.5, "replay_s": 1.0})
    assert (True, {"by_txid": 1}, {"by_did": 1.5}) == (
        watch.assigned,
        watch.put_back,
        watch.recovery_seconds,
    )
    assert ("+Inf", 1.0) == watch.checkpoints["by_txid"].cumulative()[-1]
    assert ["assigned", "checkpoint", "checkpoint_put_back", "task_recovered"] == heard


def test_put_backs_of_an_outage_are_counted_and_not_told() -> None:
    """However long it lasts: the log has one line when it begins, and one with their number.

    ::

        broker     there     | away                 | there
        put back   told      | 1000 counted         | told
    """
    told: list[str] = []
    outage = Outage()
    watch = Watch(lambda event, facts: told.append(event), outage)
    fact = {"task": "by_txid/1", "error": "x"}
    watch("checkpoint_put_back", fact)
    outage.missed("no answer")
    for _ in range(1000):
        watch("checkpoint_put_back", fact)
    assert (1, 1000) == (len(told), outage.left_out)
    outage.answered()
    watch("checkpoint_put_back", fact)
    assert (2, 1002) == (len(told), watch.put_back["by_txid"])


@pytest.fixture
def runner() -> Runner:
    """A task as on Kafka, with no broker behind it."""
    main = topology()
    sub = next(s for s in main.subs if s.name == "by_did")
    pool = ThreadPoolExecutor(1)
    return Runner(main, sub, 0, SETTINGS, Codec(), pool, pool, no_report)


class Time:
    """A clock in the test's hands, and a look-out over one task."""

    def __init__(self, runner: Runner, checkpoint_ms: int = 300, busy_ms: int = 1000) -> None:
        self.now = 1000.0
        self.runner, self.outage = runner, Outage(lambda: self.now)
        tasks = {Place("by_did", 0): runner}
        settings = EngineSettings(checkpoint_ms=checkpoint_ms, checkpoint_busy_ms=busy_ms)
        self.stalls = Stalls(lambda: tasks, self.outage, settings.stall_s, lambda: self.now)

    def passes(self, seconds: int) -> list[Place]:
        """Let seconds pass, look at each, and say what is stuck."""
        for _ in range(seconds):
            self.now += 1
            self.stalls.look()
        return list(self.stalls.stuck())


def work(runner: Runner) -> None:
    """The task has read something that no checkpoint holds yet."""
    runner.task.position["web5.records"] += 1


def test_a_task_without_work_is_never_stuck(runner: Runner) -> None:
    """Nothing to write is no stall, however long it lasts."""
    assert [] == Time(runner).passes(500)


def test_work_that_is_not_written_is_a_stall(runner: Runner) -> None:
    """After 30 s without a checkpoint a task with work is stuck; a checkpoint ends it.

    ::

        work         |--------------------------------|
        checkpoint   |                               |
        seconds      0            30   31             32
        stuck                           yes           no
    """
    time = Time(runner)
    time.passes(5)
    work(runner)
    assert [] == time.passes(30)
    assert [Place("by_did", 0)] == time.passes(1)
    runner.saved = dict(runner.task.position)
    runner.checkpoints += 1
    assert [] == time.passes(1)


def test_a_task_that_waits_for_its_turn_to_begin_is_not_stuck(runner: Runner) -> None:
    """Of 64 tasks 16 read their changelogs; a restart would not make that quicker.

    ::

        others      |-- read theirs ------------|
        this one    | queued                    | begins, reads nothing   |
        seconds     0                          100           131
        stuck                                    no           yes
    """
    runner.opening = runner.queued = True
    time = Time(runner)
    assert [] == time.passes(100)
    runner.queued = False
    assert [] == time.passes(30)
    assert [Place("by_did", 0)] == time.passes(1)


@pytest.mark.parametrize(
    "interval", [{"checkpoint_ms": 10_000}, {"busy_ms": 10_000}], ids=["in time", "behind"]
)
def test_long_intervals_have_a_longer_limit(runner: Runner, interval: dict[str, int]) -> None:
    """Ten checkpoint intervals are waited for, if these are longer than 30 s.

    That of a task that is behind its inputs counts as well.
    """
    time = Time(runner, **interval)
    time.passes(1)
    work(runner)
    assert ([], [Place("by_did", 0)]) == (time.passes(100), time.passes(1))


def test_an_outage_is_no_stall(runner: Runner) -> None:
    """While the broker is away nothing counts, and the time begins anew when it is back."""
    time = Time(runner)
    time.passes(1)
    work(runner)
    time.passes(20)
    time.outage.missed("refused")
    assert [] == time.passes(300)
    time.outage.answered()
    assert ([], [Place("by_did", 0)]) == (time.passes(30), time.passes(1))


def reading(*looks: dict[Place, int], away: tuple[int, ...] = ()) -> list[bool]:
    """Whether nothing is read, a second after the other; ``away``: seconds without a broker."""
    now, shown = [0.0], [dict[Place, int]()]
    outage = Outage(lambda: now[0])
    unread, found = Unread(lambda: shown[0], outage, 3, lambda: now[0]), []
    for second, positions in enumerate(looks):
        if second in away:
            outage.missed("refused")
        else:
            outage.answered()
        now[0], shown[0] = second + 1.0, positions
        unread.look()
        found.append(bool(unread.stuck()))
    return found


A, B = Place("a", 0), Place("b", 0)


def test_records_that_nobody_reads_are_a_stall() -> None:
    """Three seconds are allowed here: what is waiting does not move for longer.

    ::

        position of a   5 5 5 5 5 5 | 6    -
        stuck           . . . . x x | .    .
    """
    looks = [{A: 5}] * 6 + [{A: 6}, {}]
    assert [False] * 4 + [True] * 2 + [False] * 2 == reading(*looks)


def test_an_input_that_waits_for_its_turn_is_no_stall() -> None:
    """While another one moves the worker is busy, however long this one has to wait."""
    assert not any(reading(*({A: 5, B: n} for n in range(30))))
    assert not any(reading(*({A: 5} if n % 2 else {B: n} for n in range(30))))


def test_nothing_to_read_and_no_broker_are_no_stall() -> None:
    """The time begins anew when there is something to read, and when the broker is back."""
    assert [False] * 9 + [True] == reading(*[{}] * 5, *[{A: 5}] * 5)
    assert [False] * 9 + [True] == reading(*[{A: 5}] * 10, away=(2, 3, 4, 5))


def test_a_process_that_was_halted_is_not_stuck(runner: Runner) -> None:
    """Time between two looks that are far apart is not counted: nobody could have worked."""
    time = Time(runner)
    time.passes(1)
    work(runner)
    time.now += 3600
    assert ([], [Place("by_did", 0)]) == (time.passes(28), time.passes(1))
