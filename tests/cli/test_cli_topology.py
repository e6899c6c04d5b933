"""``streams topology``: the job as a picture and as data."""

from __future__ import annotations

import json
import re

from streams.agents.pipeline import topology
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
