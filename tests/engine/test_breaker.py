"""A step that fails on everything stops its task; one record that it fails on does not."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from schemas.envelope import Event
from schemas.headers import to_headers
from schemas.wire import Codec
from streams import topics
from streams.engine.breaker import RETRY_SECONDS, Breaker, Broken
from streams.engine.emit import Pending
from streams.engine.mover import Chunk, Place, Session
from streams.engine.runner import Runner
from streams.engine.settings import EngineSettings
from streams.engine.step import Batch, Emit, Step, derived
from streams.engine.task import Task
from streams.engine.topology import Topology, build
from streams.testing import Record
from streams.topics import Topic
from tests.engine.world import OBSERVED, OUT, SETTINGS, T0, label

LIMIT = 5
CODEC = Codec()
CHOSEN: Topic[Any] = Topic("t.chosen", "txid", "every third", "ml.label.v1")
TUNED = msgspec.structs.replace(SETTINGS, breaker=LIMIT, retries=1, partitions=1)


class Needy:
    """A step that needs something; ``lacks`` says of which records it fails on, and how."""

    def __init__(self) -> None:
        self.lacks: dict[int, Exception] = {}
        self.tried: Counter[int] = Counter()
        """How often each was tried alone."""
        self.attempts: Counter[int] = Counter()

    def lack(self, numbers: Iterable[int], error: Exception | None = None) -> None:
        """Fail on these."""
        self.lacks = dict.fromkeys(numbers, error or OSError("no such model"))

    def process(self, batch: Batch, state: Any, emit: Emit) -> None:
        """Say each event again."""
        for event in batch:
            number = int(event.value.subject, 16)
            self.attempts[number] += 1
            self.tried[number] += len(batch.events) == 1
            if number in self.lacks:
                raise self.lacks[number]
            state.put(("seen", event.id), 1)
            emit(OUT, derived("needy", event, OUT, event.value))

    def step(self, reads: Topic[Any] = OBSERVED) -> Step:
        """The step over an input."""
        return Step("needy", (reads,), (OUT,), self.process)

    def topology(self) -> Topology:
        """It alone."""
        return build((self.step(),))


def choose(batch: Batch, state: Any, emit: Emit) -> None:
    """Pass every third record on."""
    for event in batch:
        if int(event.value.subject, 16) % 3 == 0:
            emit(CHOSEN, derived("choose", event, CHOSEN, event.value))


def record(number: int) -> Record:
    """The record at offset ``number``, a label of that number."""
    value = label(number)
    event = Event(f"{number}", value.subject, T0 + number, "assert", value, type="ml.label.v1")
    event.id = ""
    headers = [h for h in to_headers(event) if h[0] != "ce_id"]
    place = (OBSERVED.name, 0, number)
    return Record(place, value.subject.encode(), CODEC.encode(event.type, value), headers, T0)


def task_of(needy: Needy, settings: EngineSettings = TUNED) -> Task:
    """The task of the step."""
    topology = needy.topology()
    return Task(topology, topology.subs[0], 0, settings, CODEC)


def said(task: Task) -> tuple[list[int], list[int]]:
    """Which labels were passed on, and which are dead letters, not yet committed."""
    outputs: list[int] = []
    dead: list[int] = []
    for pending in task.outbox.waiting:
        assert isinstance(pending, Pending)
        if pending.topic is topics.dead_letters:
            why = dict(pending.content.headers)  # type: ignore[union-attr]
            dead.append(int(why["dl.offset"]))
        else:
            outputs.append(int(pending.content.value.subject, 16))  # type: ignore[union-attr]
    return outputs, dead


def test_a_step_that_fails_on_everything_stops_before_the_first_record_of_it() -> None:
    """What came before counts; what it failed on is neither a dead letter nor read.

    ::

        0 1 2 | 3 4 5 6 7 8 9        limit 5: 3 to 7 fail
              ^ the task stands here
    """
    needy = Needy()
    task = task_of(needy)
    needy.lack(range(3, 10))
    with pytest.raises(Broken, match=r"step needy failed on 5 records in a row, .* offset 3: OSE"):
        task.process(OBSERVED.name, [record(n) for n in range(10)], 0, 10)
    counts = task.counts[OBSERVED.name]
    assert (([0, 1, 2], []), 3, 3) == (said(task), task.position[OBSERVED.name], counts.read)
    assert counts.balanced


def test_what_it_failed_on_goes_through_once_it_works() -> None:
    """The same task takes the rest from where it stands, and nothing is lost or doubled."""
    needy = Needy()
    task = task_of(needy)
    records = [record(n) for n in range(10)]
    needy.lack(range(3, 10))
    with pytest.raises(Broken):
        task.process(OBSERVED.name, records, 0, 10)
    needy.lack(())
    task.process(OBSERVED.name, records[3:], 3, 10)
    assert (list(range(10)), []) == said(task)
    assert 10 == task.counts[OBSERVED.name].used


def test_poison_among_good_records_is_dead_letters() -> None:
    """Fewer failures in a row than the limit never stop anything, however many there are in all."""
    needy = Needy()
    task = task_of(needy)
    bad = [n for n in range(100) if n % LIMIT]
    needy.lack(bad)
    task.process(OBSERVED.name, [record(n) for n in range(100)], 0, 100)
    assert ([n for n in range(100) if not n % LIMIT], bad) == said(task)


def test_a_service_that_is_away_fails_in_many_ways() -> None:
    """Refused, then timed out, then reset: it is the step that fails, in whatever words."""
    needy = Needy()
    task = task_of(needy)
    needy.lacks = {n: ConnectionRefusedError() if n % 2 else TimeoutError() for n in range(20)}
    with pytest.raises(Broken, match="offset 0"):
        task.process(OBSERVED.name, [record(n) for n in range(20)], 0, 20)
    assert (([], []), 0) == (said(task), task.position[OBSERVED.name])


def test_what_never_comes_to_a_step_does_not_show_that_it_works() -> None:
    """Only a third of the records comes to the second step, which fails on each of them.

    Letters from before the last record that went through stay; no more than the limit are written.
    """
    needy = Needy()
    first = Step("choose", (OBSERVED,), (CHOSEN,), choose)
    topology = build((first, needy.step(CHOSEN)))
    task = Task(topology, topology.subs[0], 0, TUNED, CODEC)
    needy.lack(range(60))
    with pytest.raises(Broken, match=r"step needy failed on 5 records in a row, .* offset 12:"):
        task.process(OBSERVED.name, [record(n) for n in range(60)], 0, 60)
    assert (([], [0, 3, 6, 9]), 12) == (said(task), task.position[OBSERVED.name])


def test_a_streak_goes_on_over_batches() -> None:
    """Letters of an earlier batch, which may be committed, stay; those of this one are taken back.

    ::

        batch 1: 0 1 2   fail, dead letters
        batch 2: 3 4 5   3 and 4 fail: five in a row, the task stands at 3
    """
    needy = Needy()
    task = task_of(needy)
    needy.lack(range(6))
    task.process(OBSERVED.name, [record(n) for n in range(3)], 0, 3)
    with pytest.raises(Broken):
        task.process(OBSERVED.name, [record(n) for n in range(3, 6)], 3, 6)
    assert (([], [0, 1, 2]), 3) == (said(task), task.position[OBSERVED.name])


def test_unreadable_bytes_neither_open_the_breaker_nor_keep_it_shut() -> None:
    """They never reach a step: they are dead letters, and a streak goes on behind them."""
    needy = Needy()
    task = task_of(needy)
    junk = [msgspec.structs.replace(record(n), raw_value=b"junk") for n in range(0, 20, 2)]
    task.process(OBSERVED.name, junk, 0, 20)
    needy.lack(range(20, 40))
    mixed = [record(n) for n in range(20, 40)]
    mixed[1::2] = [msgspec.structs.replace(r, raw_value=b"junk") for r in mixed[1::2]]
    with pytest.raises(Broken, match="offset 20"):
        task.process(OBSERVED.name, mixed, 20, 40)
    assert (([], list(range(0, 20, 2))), 20) == (said(task), task.position[OBSERVED.name])


def test_the_breaker_can_be_left_out() -> None:
    """``breaker=0``: every record that a step fails on is a dead letter."""
    needy = Needy()
    task = task_of(needy, msgspec.structs.replace(TUNED, breaker=0))
    needy.lack(range(50))
    task.process(OBSERVED.name, [record(n) for n in range(50)], 0, 50)
    assert ([], list(range(50))) == said(task)


def test_one_bad_record_among_many_costs_its_neighbours_little() -> None:
    """A batch is cut around it: of 512 records, two are tried alone."""
    needy = Needy()
    task = task_of(needy)
    needy.lack([300])
    task.process(OBSERVED.name, [record(n) for n in range(512)], 0, 512)
    assert (511, [300]) == (len(said(task)[0]), said(task)[1])
    assert {300: 2, 301: 1} == {n: tries for n, tries in needy.tried.items() if tries}


def test_much_poison_costs_the_good_records_few_attempts() -> None:
    """However it is spread: a good record among any poison is tried four times on average."""
    for seed in range(20):
        chance = random.Random(seed)
        needy, size = Needy(), 512
        bad = [n for n in range(size) if chance.random() < 0.5]
        task = task_of(needy, msgspec.structs.replace(TUNED, breaker=0))
        needy.lack(bad)
        task.process(OBSERVED.name, [record(n) for n in range(size)], 0, size)
        good = [n for n in range(size) if n not in bad]
        assert (good, bad) == said(task)
        assert sum(needy.attempts[n] for n in good) <= 4 * len(good)


class Clock:
    """Time in the test's hands (s)."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Told:
    """What the runner reported."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def __call__(self, event: str, facts: dict[str, Any]) -> None:
        self.events.append(event)


def test_a_runner_keeps_what_comes_meanwhile_and_tries_again() -> None:
    """Its inputs are paused; after ten seconds it tries, and goes on when the step works.

    ::

        chunk 0..9 (fails) | chunk 10..14 comes | 10 s: fails | 20 s: works -> 0..14 in order
    """
    needy, told, clock = Needy(), Told(), Clock()
    topology = needy.topology()
    with ThreadPoolExecutor(1) as pool:
        runner = Runner(topology, topology.subs[0], 0, TUNED, CODEC, pool, pool, told)
    runner.breaker = Breaker(clock)
    place, session = Place(OBSERVED.name, 0), Session(None)  # type: ignore[arg-type]
    needy.lack(range(100))
    runner.process(Chunk(place, [record(n) for n in range(10)], session, 0, None))  # type: ignore[misc]
    assert ([place], []) == runner.skew()
    runner.process(Chunk(place, [record(n) for n in range(10, 15)], session, 10, None))  # type: ignore[misc]
    for works in (False, True):
        clock.now += RETRY_SECONDS - 1
        runner._try_again()
        assert runner.breaker.broken is not None
        clock.now += 1
        needy.lack(() if works else range(100))
        runner._try_again()
    assert ((list(range(15)), []), ["breaker_open", "breaker_closed"]) == (
        said(runner.task),
        [event for event in told.events if event.startswith("breaker")],
    )
    assert ([], [place]) == runner.skew()


def test_a_runner_that_lost_its_partitions_forgets_what_waited() -> None:
    """Whoever reads on from its position gets those records again."""
    needy = Needy()
    topology = needy.topology()
    with ThreadPoolExecutor(1) as pool:
        runner = Runner(topology, topology.subs[0], 0, TUNED, CODEC, pool, pool, Told())
    place, session = Place(OBSERVED.name, 0), Session(None)  # type: ignore[arg-type]
    needy.lack(range(100))
    runner.process(Chunk(place, [record(n) for n in range(10)], session, 0, None))  # type: ignore[misc]
    runner.begin()
    assert (None, [], {place: 0}) == (
        runner.breaker.broken, runner.breaker.parts, runner.places,
    )  # fmt: skip
