"""A small topology over labels, whose step obeys words in the record: the tests' workbench."""

from __future__ import annotations

from typing import Any

from joins.state import Store
from schemas.envelope import Event
from schemas.events import Label
from schemas.headers import Headers
from streams.engine.guard import Counts, is_control
from streams.engine.settings import EngineSettings
from streams.engine.step import Batch, Emit, Step, derived
from streams.testing import TopologyDriver
from streams.topics import Topic

OBSERVED = Topic("t.observed", "txid", "observed", "ml.label.v1", source=True, declared=False)
DECLARED = Topic("t.declared", "txid", "declared", "ml.label.v1", source=True)
OTHER = Topic("t.other", "txid", "another declared input", "ml.label.v1", source=True)
OUT = Topic("t.out", "txid", "results", "ml.label.v1")
LAST = Topic("t.last", "txid", "results of results", "ml.label.v1")
T0 = 1_700_000_000_000
"""Where the tests' time begins (ms)."""

SETTINGS = EngineSettings(
    lateness_ms=10, grace_ms=0, retract_grace_ms=100, future_cap_ms=1000, block_future_cap_ms=1000
)


COMMANDS = {"boom": 0.125, "refuse": 0.25, "skip": 0.5}
"""A label's confidence tells the step what to do, and is no part of its id."""
WORDS = {confidence: word for word, confidence in COMMANDS.items()}


def label(number: int, word: str = "", confidence: float = 1.0) -> Label:
    """A label about subject ``number``; its id follows from the subject."""
    return Label(f"{number:064x}", True, "s", COMMANDS.get(word, confidence))


def obey(batch: Batch, state: Store, emit: Emit) -> None:
    """Count each subject's events in state and say them again; some labels are commands."""
    for event in batch:
        word = WORDS.get(event.value.confidence)
        place = ("count", event.key)
        state.put(place, (state.get(place) or 0) + 1)
        if word == "boom":
            raise RuntimeError("as told")
        if word == "refuse":
            emit.refuse(event, "unwanted", "as told")
        elif word == "skip":
            emit.filtered(event, "as told")
        else:
            emit(OUT, derived("obey", event, OUT, event.value))


def repeat(batch: Batch, state: Store, emit: Emit) -> None:
    """Say each event of the first step again."""
    for event in batch:
        emit(LAST, derived("repeat", event, LAST, event.value))


def steps(*reads: Topic) -> tuple[Step, ...]:
    """The workbench's steps over these inputs."""
    return (
        Step("obey", reads, (OUT,), obey),
        Step("repeat", (OUT,), (LAST,), repeat),
    )


def driver(*reads: Topic, settings: EngineSettings = SETTINGS, **options: Any) -> TopologyDriver:
    """A driver of the workbench with one partition; its steps may be told to fail."""
    options = {"partitions": 1, "dead_letters": "keep", **options}
    return TopologyDriver(steps(*(reads or (OBSERVED,))), settings, **options)


def counts(driver: TopologyDriver, topic: Topic = OBSERVED) -> Counts:
    """What became of the records of an input, over all tasks."""
    total = Counts()
    for task in driver.tasks.values():
        total += task.counts.get(topic.name, Counts())
    return total


def at(driver: TopologyDriver, ts: int, number: int, word: str = "", **more: Any) -> None:
    """Produce the label ``number`` at ``T0 + ts``, by default to the observed topic."""
    topic = more.pop("topic", OBSERVED)
    value = label(number, word, more.pop("confidence", 1.0))
    driver.produce(topic, value, T0 + ts, **more)


def letters(driver: TopologyDriver, topic: Topic) -> list[dict[str, str]]:
    """The headers of the letters in a topic, as text."""
    return [words(record.raw_headers) for record in driver.records(topic)]


def words(headers: Headers) -> dict[str, str]:
    """Headers as text."""
    return {name: raw.decode(errors="replace") for name, raw in headers}


def subjects(driver: TopologyDriver, topic: Topic = OUT) -> list[int]:
    """Which labels live in a topic."""
    return sorted(int(value.subject, 16) for value in driver.net(topic).values())


def subject(event: Event) -> int:
    """Which label an event is about."""
    return int(event.value.subject, 16)


def declared(driver: TopologyDriver, topic: Topic = OUT, partition: int = 0) -> list[int | str]:
    """What was declared in a partition of a topic, in order, relative to ``T0``."""
    found: list[int | str] = []
    for record in driver.log.get((topic.name, partition), []):
        if is_control(record):
            text = words(record.raw_headers)["streams-watermark"]
            found.append(text if text in ("idle", "-inf") else int(text) - T0)
    return found
