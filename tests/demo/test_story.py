"""The demo's recording gives the rows that were written by hand for it."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.envelope import Event
from streams import topics
from streams.ops.demo import RECORDING, as_path
from streams.sources.recording import read_lines
from streams.testing import TopologyDriver
from tests.bitcoin.node import node_home
from tests.dwn.server import installed
from tests.playing import play_into_driver, play_line, story_topology

EXPECTED = tomllib.loads((Path(__file__).parent / "expected.toml").read_text())
LINES = as_path(RECORDING).read_bytes().splitlines()


@pytest.fixture(scope="module")
def rows() -> dict[str, list[dict[str, Any]]]:
    """The live rows of every topic after the recording has been played."""
    driver = play_into_driver(as_path(RECORDING))
    found = {
        t.name: [msgspec.to_builtins(v) for v in driver.net(t).values()] for t in topics.DERIVED
    }
    found["dead_letters"] = [msgspec.to_builtins(letter) for letter in driver.letters()]
    return found


@pytest.fixture(scope="module")
def changes() -> dict[tuple[int, str], list[Event]]:
    """What each line of the recording brings to the topics of the changes, by both."""
    path, found = as_path(RECORDING), {}
    topology = story_topology(path)
    driver = TopologyDriver(topology, partitions=1, dead_letters="keep")  # one order a topic
    seen = {topics.BY_TOPIC[one["topic"]]: 0 for one in EXPECTED["change"]}
    for number, line in enumerate(read_lines(path), 2):
        play_line(driver, line)
        for topic, before in seen.items():
            events = driver.events(topic)
            found[number, topic.name] = events[before:]
            seen[topic] = len(events)
    return found


def _name(row: dict[str, Any]) -> str:
    return f"{row['topic']}: {row['why']}"


def _fits(row: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return all(_same(_at(row, field), value) for field, value in wanted.items())


def _at(row: Any, field: str) -> Any:
    for name in field.split("."):
        row = row[int(name)] if isinstance(row, list) else row[name]
    return row


def _same(found: Any, wanted: Any) -> bool:
    if wanted == "none":
        return found is None
    if isinstance(wanted, str) and wanted in EXPECTED["names"]:
        return isinstance(found, str) and found.startswith(EXPECTED["names"][wanted])
    return bool(found == wanted)


@pytest.mark.parametrize("expected", EXPECTED["expect"], ids=_name)
def test_row_is_there(rows: dict[str, list[dict[str, Any]]], expected: dict[str, Any]) -> None:
    """Each row written by hand is there, as often as it should be."""
    wanted = expected.get("row", {})
    found = [row for row in rows[expected["topic"]] if _fits(row, wanted)]
    assert expected.get("count", 1) == len(found), found


@pytest.mark.parametrize("expected", EXPECTED["change"], ids=_name)
def test_line_brings_the_change(
    changes: dict[tuple[int, str], list[Event]], expected: dict[str, Any]
) -> None:
    """What a line asserts and retracts of the rows that were joined before it came."""
    events = changes[expected["at"], expected["topic"]]
    ops = [e.op for e in events if _fits(msgspec.to_builtins(e.value), expected["row"])]
    found = {op: ops.count(op) for op in ("assert", "retract")}
    assert {"assert": expected["asserts"], "retract": expected["retracts"]} == found


@pytest.mark.parametrize("expected", EXPECTED["expect"], ids=_name)
def test_lines_are_lines_of_the_recording(expected: dict[str, Any]) -> None:
    """The lines that a row names hold records, not watermarks, or the one that closes a window."""
    assert all(1 < n <= len(LINES) for n in expected["lines"])
    assert any("watermark" not in json.loads(LINES[n - 1]) for n in expected["lines"])


KINDS = {
    "bitcoin.blocks assert": 15,
    "bitcoin.blocks retract": 2,
    "bitcoin.mempool assert added": 35,
    "bitcoin.mempool assert confirmed": 33,
    "bitcoin.mempool assert replaced": 2,
    "bitcoin.transactions assert": 49,
    "bitcoin.transactions raw": 1,
    "bitcoin.transactions retract": 4,
    "ml.labels assert": 15,
    "web5.records assert": 5,
}


def kinds(lines: list[bytes]) -> dict[str, int]:
    """How many records of each kind a recording holds."""
    found: dict[str, int] = {}
    for text in lines[1:]:
        line = json.loads(text)
        if "watermark" in line:
            continue
        event = line.get("event")
        op = "raw" if event is None else event["metadata"]["op"]
        detail = "" if event is None else event["payload"].get("kind", "")
        name = " ".join(filter(None, (line["topic"], op, detail)))
        found[name] = found.get(name, 0) + 1
    return found


def test_recording_holds_what_the_story_tells() -> None:
    """Kinds and counts of the committed recording."""
    assert kinds(LINES) == KINDS


@pytest.mark.kafka
@pytest.mark.bitcoind
@pytest.mark.dwn
def test_recording_made_again_from_fresh_servers_has_the_same_kinds(tmp_path: Path) -> None:
    """A new regtest chain, a new DWN and the live sources tell the same story again."""
    node_home()
    installed()
    target = tmp_path / "again.ndjson"
    subprocess.run(
        [sys.executable, "-m", "tests.demo.record_demo", str(target)], check=True, timeout=240
    )
    assert kinds(target.read_bytes().splitlines()) == KINDS
