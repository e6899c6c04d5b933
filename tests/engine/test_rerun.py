"""The same steps beside those that run: the same events, under other names of topics."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.envelope import Event
from streams import topics
from streams.agents.pipeline import topology
from streams.config import Config, RunSettings
from streams.engine.rerun import rerun
from streams.engine.selection import Selection, whole
from streams.engine.settings import settings_of
from streams.engine.step import Step
from streams.engine.topology import TopologyError, build
from streams.ops.modules import select
from streams.sources.recording import read_lines
from streams.testing import TopologyDriver
from streams.topics import DERIVED, Topic
from tests.engine.test_replay import _letters, _undisturbed
from tests.kafka import grown, shop
from tests.kafka.shopping import LAST, endings, facts
from tests.playing import play_line, story_config

DEMO = Path(__file__).parents[2] / "streams" / "data" / "demo.ndjson"
CHOICES = [(4, 0), (6, 4), (1, 4)]
IDS = ["as many partitions", "more", "fewer"]


def run_of(config: Config, partitions: int, sources: int) -> Config:
    """The configuration of run v2."""
    run = RunSettings("v2", source_partitions=sources)
    return replace(config, partitions=partitions, run=run)


def driver_of(selection: Selection, config: Config) -> TopologyDriver:
    """Drives what a worker of this configuration runs."""
    return TopologyDriver(
        selection.part, settings_of(config, ""), partitions=config.partitions, dead_letters="keep"
    )


def named(topic: Topic[Any], run: str = "v2") -> Topic[Any]:
    """The topic as a run writes it."""
    return replace(topic, name=f"{run}.{topic.name}")


# The main job -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("partitions", "sources"), CHOICES, ids=IDS)
def test_the_main_job_again_gives_the_same_net_sets(partitions: int, sources: int) -> None:
    """Every derived topic, id by id, and every letter, whatever the partition count is.

    ::

        sources (4) ── as they are, or by a copy ── v2.* (4, 6 or 1)   ==   * (4)
    """
    config = run_of(story_config(DEMO), partitions, sources)
    again = driver_of(rerun(whole(topology(config), config.id), config), config)
    for line in read_lines(DEMO):
        play_line(again, line, run=False)
        if line.watermark is not None:
            for topic in topics.SOURCES:  # they have their own partition count
                there = replace(topic, partitions=4)
                again.declare(there, line.watermark, "recording", run=False)
    again.run()
    again.checkpoint()
    again.run()
    calm = _undisturbed()
    for topic in DERIVED:
        assert calm.net(topic) == again.net(named(topic)), topic.name
        assert not again.net(topic), topic.name
    for topic in (topics.dead_letters, topics.late_records):
        assert sum(_letters(calm, topic).values()) == sum(_letters(again, topic).values())


def test_a_run_has_an_application_id_of_its_own() -> None:
    """So group, changelogs and transactional ids are its own, too."""
    config = run_of(Config(), 6, 4)
    selection, settings = select(config), settings_of(config, "")
    assert "streams-v2" == selection.application == selection.base == settings.application
    assert "streams-v2-by_txid-changelog" == settings.changelog("by_txid")
    assert {"copy-bitcoin_blocks", "copy-web5_records"} < {s.name for s in selection.part.steps}
    assert 4 == settings.count_of(topics.dead_letters)
    assert 6 == settings.count_of(topics.alerts)
    read = {t.name: settings.count_of(t) for s in selection.run for t in s.inputs}
    assert (4, 6) == (read["bitcoin.blocks"], read["v2.bitcoin.blocks"])
    assert "v2.web5.recent_links" not in {t.name for s in selection.run for t in s.outputs}


# Somebody's own steps -----------------------------------------------------------------------------


@cache
def sets_of(module: str, partitions: int, run: str, sources: int) -> tuple[dict[str, Any], ...]:
    """What a module's steps make of a skewed, disordered input; last what was late."""
    config = Config(partitions=partitions, run=RunSettings(run, sources))
    driver = driver_of(select(config, f"tests.kafka.{module}"), config)
    written = [*facts(seed=5, count=1500), *endings(4)]
    for number, (topic, event) in enumerate(written):
        event = replace(event)
        event.ingest_ts = LAST
        driver.send(topic, event, run=number % 50 == 0)
    driver.run()
    driver.checkpoint()
    driver.run()
    made = shop.DERIVED if module == "shop" else (grown.spent,)
    derived = [named(t, run) if run else t for t in made]
    late = [record.raw_value for record in driver.records(topics.late_records)]
    return (*(driver.net(topic) for topic in derived), {"late": sorted(map(str, late))})


@pytest.mark.parametrize(("partitions", "sources"), CHOICES, ids=IDS)
def test_three_joins_in_a_row_again_give_the_same_net_sets(partitions: int, sources: int) -> None:
    """Their sources are observed and skewed by minutes; all of it is in time."""
    expected, found = sets_of("shop", 4, "", 0), sets_of("shop", partitions, "v2", sources)
    assert all(expected[:3])
    assert expected == found


@pytest.mark.parametrize(("partitions", "sources"), CHOICES, ids=IDS)
def test_the_same_records_are_late(partitions: int, sources: int) -> None:
    """Lateness is judged where the records lie, so a copy changes nothing of it."""
    expected, found = sets_of("grown", 4, "", 0), sets_of("grown", partitions, "v2", sources)
    assert len(expected[1]["late"]) > 20
    assert expected == found


def test_a_step_sees_the_names_that_its_code_has() -> None:
    """Its batch is of the topic it knows, in processing, timers and what it is asked."""
    seen: list[tuple[str, Any]] = []
    there = replace(shop.paid, partitions=None)

    def process(batch: Any, state: Any, emit: Any) -> None:
        seen.append(("process", batch.topic))
        emit.derive(shop.rated, batch.events[0], [("", shop.Rated("o", "c", 1))])

    def retracted(topic: Topic[Any], event: Event, state: Any) -> bool:
        seen.append(("retracted", topic))
        return False

    step = Step("own", (shop.payments,), (shop.rated,), process, retracted=retracted)
    config = run_of(Config(), 2, 1)
    driver = driver_of(rerun(whole(build([step]), config.id), config), config)
    driver.produce(shop.payments, shop.Payment("o", "c", "m", 1), 1, ingest_ts=1)
    assert ("process", shop.payments) in seen
    assert all(topic is shop.payments for _, topic in seen)
    assert 1 == len(driver.net(named(shop.rated)))
    assert not driver.net(there)


def test_a_source_of_original_bytes_cannot_be_copied() -> None:
    """It has no event, so nobody knows its key."""
    raw: Topic[Any] = Topic("raw", "any", "bytes", declared=False, source=True)
    step = Step("own", (raw,), (shop.rated,), lambda *_: None)
    config = run_of(Config(), 6, 4)
    with pytest.raises(TopologyError, match=r"raw has original bytes.*replay with 4"):
        rerun(whole(build([step]), config.id), config)
    same = run_of(Config(), 4, 0)
    assert rerun(whole(build([step]), same.id), same).run


def test_no_run_changes_nothing() -> None:
    """The first run is what the code says."""
    selection = whole(topology(Config()), "streams")
    assert selection is rerun(selection, Config())
