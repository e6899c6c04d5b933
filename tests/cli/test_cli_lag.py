"""``streams lag``, and what ``--only`` and ``--module`` select, as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.cli_support import Cli

STEP = """from streams import Step, topics
step = Step("watch_tip", (topics.tip,), (), lambda batch, state, emit: None)
"""


def test_lag_without_a_broker(cli: Cli) -> None:
    """No broker is the usual error, with the code of its kind."""
    ended = cli("lag", "--broker", "127.0.0.1:9")
    assert (4, "") == (ended.code, ended.out)
    assert "error: no Kafka broker answers at 127.0.0.1:9" in ended.err


@pytest.mark.parametrize("command", ["lag", "worker", "topology"])
def test_an_unknown_step_is_a_usage_error(cli: Cli, command: str) -> None:
    """Each command that selects says which step it does not know, before it looks for a broker."""
    ended = cli(command, "--broker", "127.0.0.1:9", "--only", "join_entitys")
    assert (2, "error: there is no step join_entitys") == (ended.code, ended.err.splitlines()[0])
    assert "did you mean join_entities?" in ended.err


def test_a_part_is_drawn(cli: Cli) -> None:
    """``--only`` draws the sub-topologies that would run."""
    found = json.loads(cli("topology", "--only", "join_entities", "--format", "json").out)
    assert ["by_address"] == [sub["name"] for sub in found["sub_topologies"]]


def test_a_module_is_drawn(cli: Cli, tmp_path: Path) -> None:
    """``--module`` draws somebody's own steps, from this folder, named after the module."""
    (tmp_path / "tipsters.py").write_text(STEP)
    found = json.loads(cli("topology", "--module", "tipsters", "--format", "json").out)
    assert ["tipsters-by_watch_tip"] == [sub["name"] for sub in found["sub_topologies"]]
    assert "watch_tip" in cli("topology", "--module", "tipsters").out


@pytest.mark.kafka
def test_lag_of_a_new_application(cli: Cli, applied: str) -> None:
    """The last line is the sum of the rows; csv and ndjson have a row an input partition."""
    text = cli("lag", "--broker", applied, "--output", "ndjson")
    rows = text.lines()
    behind = sum(row["lag"] for row in rows)
    said = f"{behind} offsets behind in {len(rows)} input partitions\n"
    assert (0, said) == (text.code, text.err)
    assert len(rows) == len(cli("lag", "--broker", applied, "--output", "csv").out.splitlines()) - 1
    assert {"position", "end", "lag", "holds", "watermark"} <= rows[0].keys()


@pytest.mark.kafka
def test_a_worker_may_not_create_what_the_main_job_needs(cli: Cli, kafka: str) -> None:
    """A part of the main job needs its topics: the remedy names the command that makes them."""
    settings = ("--set", "application=nowhere")
    ended = cli("worker", "--broker", kafka, "--only", "join_entities", *settings)
    assert (7, True) == (ended.code, "streams topics apply" in ended.err)
