"""``streams topology``: the job as a picture and as data."""

from __future__ import annotations

import json
import re

import pytest

from streams.agents.pipeline import topology
from streams.engine.plan import planned
from streams.engine.settings import EngineSettings
from streams.ops.timing import span
from tests.cli.cli_support import Cli


def test_the_data_is_the_topology(cli: Cli) -> None:
    """Every step and topic is there, with what is read and written."""
    found = json.loads(cli("topology", "--format", "json").out)
    steps = [s["name"] for sub in found["sub_topologies"] for s in sub["steps"]]
    assert [step.name for step in topology().steps] == steps
    named = {t["name"] for t in found["topics"]}
    used = {t.name for s in topology().steps for t in (*s.reads, *s.writes)}
    assert used == named


def test_the_picture_has_every_edge_between_declared_nodes(cli: Cli) -> None:
    """Sub-topologies are boxes, topics cylinders, topics in memory dashed."""
    lines = cli("topology").out.splitlines()
    assert "flowchart LR" == lines[0]
    nodes = {m[1] for line in lines if (m := re.match(r"\s+(\w+)\[", line))}
    edges = [m.groups() for line in lines if (m := re.match(r"  (\w+) (-->|-\.->) (\w+)$", line))]
    assert set() == {end for a, _, b in edges for end in (a, b)} - nodes
    expected = sum(len(s.reads) + len(s.writes) for s in topology().steps)
    assert expected == len(edges)
    dashed = {end for a, arrow, b in edges if arrow == "-.->" for end in (a, b)}
    assert True is ("topic_bitcoin_facts" in dashed)
    assert len(topology().subs) == sum(line.startswith("  subgraph ") for line in lines)
    assert True is ('  topic_alerts[("alerts")]' in lines)


def test_the_table_has_the_times_of_steps_and_topics(cli: Cli) -> None:
    """A row a step with what it adds and remembers, then a row a topic of Kafka that has time."""
    ended = cli("topology", "--format", "table")
    steps, topics = ended.out.split("\n\n")
    assert [step.name for step in topology().steps] == [
        line.split()[1] for line in steps.splitlines()[1:]
    ]
    kept = {step.name: step.retract_grace for step in planned(topology(), EngineSettings()).steps}
    for line in steps.splitlines()[1:]:
        assert span(kept[line.split()[1]] or 0) in line
    names = [line.split()[0] for line in topics.splitlines()[1:]]
    assert "bitcoin.activity" in names
    assert "ml.models" not in names


def test_the_data_has_the_times(cli: Cli) -> None:
    """Milliseconds: of each step what it adds and remembers, of each topic how far it is behind."""
    settings = ("--set", "engine.grace_ms=5")
    found = json.loads(cli("topology", "--format", "json", *settings).out)
    steps = {s["name"]: s for sub in found["sub_topologies"] for s in sub["steps"]}
    assert (5, {"least": 5, "most": 5}) == (
        steps["fan_out_activity"]["grace_ms"],
        steps["fan_out_activity"]["delay_ms"],
    )
    behind = {t["name"]: t["behind_ms"] for t in found["topics"]}
    assert [{"least": n, "most": n} for n in (0, 5, 10)] == [
        behind[name] for name in ("bitcoin.transactions", "bitcoin.activity", "payments.decisions")
    ]


@pytest.mark.kafka
def test_live_times_need_a_broker(cli: Cli, applied: str) -> None:
    """Nothing has come yet; without a broker it is the usual error."""
    found = json.loads(cli("topology", "--format", "json", "--live", "--broker", applied).out)
    live = {t["name"]: t["live"] for t in found["topics"]}
    assert {"watermark_ms": None, "age_s": None} == live["bitcoin.activity"] == live["alerts"]
    heads = [x.split() for x in cli("topology", "--live", "--broker", applied).out.splitlines()]
    assert ["topic", "written_by", "behind", "watermark_ms", "age_s"] in heads
    assert 4 == cli("topology", "--live", "--broker", "127.0.0.1:9").code
