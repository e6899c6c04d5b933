"""Steps remember for as long as the topology needs, not for as long as the settings say.

The settings ask for a second. A step upstream has a reach of two days of its own, so that what
follows from it is corrected for two days, and 40 hours after an event each step must still know it.

::

    event            corrected here: 40 hours below the watermark
    |----------------------------------------|------------|
    T                                        W            T + 48 h + 1 s, when it may be forgotten
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from schemas.envelope import Event
from schemas.events import Contact, Example, Features, IdentityLink, PeelHop
from streams import topics
from streams.agents import (
    detect_poisoning,
    follow_peel_chains,
    join_entities,
    pass_on_links,
    score_transactions,
    train_model,
)
from streams.config import Config
from streams.engine.settings import settings_of
from streams.engine.step import Batch, Emit, Step
from streams.engine.stores import Scope
from streams.patterns.peel_chain import DEFAULTS
from streams.testing import TopologyDriver
from streams.topics import Topic
from streams.tuning import HOUR_MS, EngineTuning
from tests.agents.test_poisoning import PAYEE, POSER, VICTIM
from tests.models.build import snapshot

T = 1_700_000_000_000 - 1_700_000_000_000 % HOUR_MS
SECOND, REACH, LONG_AGO = 1_000, 48 * HOUR_MS, 40 * HOUR_MS
CONFIG = Config(
    model_boundary_ms=HOUR_MS, engine=EngineTuning(retract_grace_ms=SECOND, max_skew_ms=REACH)
)


def said(topic: Topic) -> Topic:
    """Where a test says what the step upstream passes on to ``topic``."""
    by = f"said {topic.by}"  # a key of its own: the steps are not fused
    return Topic(f"said.{topic.name}", by, "what is said", topic.event_type, source=True)


def reaching(topic: Topic) -> Step:
    """A step that passes on what is said, and whose corrections reach back two days."""

    def process(batch: Batch, state: Scope, emit: Emit) -> None:
        for event in batch:
            emit(topic, msgspec.structs.replace(event))

    return Step(f"say {topic.name}", (said(topic),), (topic,), process, reach=REACH)


class Told:
    """A driver of steps, with a step before each of their inputs that has to do with time."""

    def __init__(self, *steps: Step) -> None:
        own = [topic for step in steps for topic in step.writes]
        reads = [topic for step in steps for topic in step.reads if topic not in own]
        inputs = [topic for topic in reads if not topic.table]
        self.timed = [said(topic) for topic in inputs]
        self.driver = TopologyDriver(
            [*map(reaching, inputs), *steps], settings_of(CONFIG, ""), partitions=1
        )

    def tell(self, topic: Topic, *events: Event) -> None:
        """Say events of a topic."""
        to = topic if topic.table else said(topic)
        for event in events:
            key, kind = topic.key_of(event.value), topic.event_type or ""
            typed = msgspec.structs.replace(event, key=key, type=kind)
            self.driver.send(to, typed, writer="s")

    def until(self, ts: int) -> None:
        """Nothing is below a time any more, corrections excepted."""
        for _ in range(2):  # what the steps upstream declare is told by their next checkpoint
            for topic in self.timed:
                self.driver.declare(topic, ts, "s")
            self.driver.checkpoint()
            self.driver.run()

    def net(self, topic: Topic) -> list[Any]:
        """What stands in a topic, when nothing has been put aside."""
        aside = (topics.late_records, topics.dead_letters)
        assert [] == [r.raw_headers for one in aside for r in self.driver.records(one)]
        return list(self.driver.net(topic).values())


def event(id: str, ts: int, value: Any) -> Event:
    return Event(id, "", ts, "assert", value)


def undone(one: Event) -> Event:
    return msgspec.structs.replace(one, op="retract", correction=True)


def again(one: Event, **content: Any) -> Iterable[Event]:
    """The event withdrawn, and another one in its place."""
    other = msgspec.structs.replace(one.value, **content)
    return undone(one), msgspec.structs.replace(one, value=other, correction=True)


@pytest.mark.parametrize("ago", [0, LONG_AGO])
def test_a_hop_is_corrected_with_the_chain_before_it(ago: int) -> None:
    """The last of five hops moves: the four before it, a pause earlier, are still known."""
    hops = [
        event(f"hop {n}", T + (DEFAULTS.max_pause_ms if n == 4 else 0), _hop(n)) for n in range(5)
    ]
    told = Told(follow_peel_chains.step(CONFIG))
    told.tell(topics.peel_hops, *hops)
    told.until(hops[-1].ts + ago)
    gone, moved = again(hops[-1], peel_sat=2_000)
    told.tell(topics.peel_hops, gone)
    assert [] == told.net(topics.history_matches)
    told.tell(topics.peel_hops, moved)
    (match,) = told.net(topics.history_matches)
    assert "5 hops" == match.reasons[0].split(" in ")[0]


def _hop(number: int) -> PeelHop:
    before = f"hop {number - 1}" if number else "root"
    return PeelHop("regtest", f"hop {number}", before, 1, 1, 1_000_000, 1_000, 900_000)


@pytest.mark.parametrize("ago", [0, LONG_AGO])
def test_dust_is_corrected_with_the_payments_before_it(ago: int) -> None:
    """The dust is said again, of another sum, and meets the payment that it met before."""
    look = "the same look"
    paid = event("paid", T, Contact("regtest", VICTIM, look, PAYEE, "paid", 50_000_000))
    dust = event("dust", T + 1, Contact("regtest", VICTIM, look, POSER, "dust", 600))
    told = Told(detect_poisoning.step(CONFIG))
    told.tell(topics.payments, paid)
    told.tell(topics.baits, dust)
    told.until(T + 1 + ago)
    told.tell(topics.baits, *again(dust, amount_sat=700))
    (match,) = told.net(topics.history_matches)
    assert (["dust", "paid"], "it came with 700 sat of dust") == (match.evidence, match.reasons[1])


@pytest.mark.parametrize("at", [0, HOUR_MS - 1])
@pytest.mark.parametrize("ago", [0, LONG_AGO, REACH + SECOND - HOUR_MS, REACH + SECOND])
def test_a_model_unlearns_one_example_and_keeps_the_others(ago: int, at: int) -> None:
    """One of three examples of an hour is withdrawn, at its beginning or its end."""
    examples = [
        event(f"example {n}", T + n * (HOUR_MS // 2) - (n == 2), _example(n)) for n in range(3)
    ]
    told = Told(train_model.step(CONFIG))
    told.tell(topics.examples, *examples)
    (wrong,) = [one for one in examples if one.ts == T + at]
    told.until(max(T + HOUR_MS, wrong.ts + ago))
    assert [3] == [one.learned for one in told.net(topics.models)]
    told.tell(topics.examples, undone(wrong))
    assert [2] == [one.learned for one in told.net(topics.models)]


def _example(number: int) -> Example:
    return Example("fraud", f"tx {number}", number == 1, {"size": float(number)})


@pytest.mark.parametrize(
    ("ago", "revoked"),
    [(0, [True]), (LONG_AGO, [True]), (REACH + SECOND, [True]), (REACH + SECOND + 1, [False])],
)
def test_a_link_is_passed_on_while_its_window_is_kept(ago: int, revoked: list[bool]) -> None:
    """A link is corrected; what is too old even for the topology is left as it was."""
    link = IdentityLink("home", None, "alice", "did_statement", "claimed", "record", "cid")
    first = event("link", T, link)
    told = Told(pass_on_links.step(CONFIG), join_entities.step(CONFIG))
    told.tell(topics.identity_links, first)
    told.until(T + ago)
    told.tell(topics.identity_links, *again(first, revoked=True))
    (window,) = told.net(topics.entities)
    assert revoked == [one.revoked for one in window.links]


@pytest.mark.parametrize("ago", [0, LONG_AGO])
def test_a_score_is_corrected_by_a_snapshot_of_its_time(ago: int) -> None:
    """A snapshot that comes long after the transaction scores it nevertheless."""
    vector = event("vector", T, Features("regtest", "ab", {"f0": 1.0}, {}))
    told = Told(score_transactions.step)
    told.tell(topics.features, vector)
    told.until(T + ago)
    assert [None] == [one.score for one in told.net(topics.results)]
    model = msgspec.structs.replace(snapshot(), valid_from_ts=T - 1)
    told.tell(topics.models, event("model", T - 1, model))
    assert [0.5] == [one.score for one in told.net(topics.results)]
