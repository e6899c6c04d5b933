"""``streams topics``: the plan as data, a broker made to agree, wrong counts refused."""

from __future__ import annotations

import csv
import io
import json
import time

import pytest
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from streams.topics import ALL, STORED
from tests.cli.cli_support import Cli


def test_every_listing_has_the_same_rows_in_every_form(cli: Cli) -> None:
    """json, ndjson and csv hold what the table shows."""
    names = [topic.name for topic in ALL]
    as_json = json.loads(cli("topics", "list", "--output", "json").out)
    as_lines = cli("topics", "list", "--output", "ndjson").lines()
    as_csv = list(csv.DictReader(io.StringIO(cli("topics", "list", "--output", "csv").out)))
    table = cli("topics", "list").out.splitlines()[1:]
    assert names == [row["topic"] for row in as_json]
    assert as_json == as_lines
    assert names == [row["topic"] for row in as_csv]
    assert names == [line.split()[0] for line in table]


def test_the_list_holds_what_a_broker_needs_to_know(cli: Cli) -> None:
    """Partitions, retention, compaction, time stamp and largest message are there as data."""
    rows = {row["topic"]: row for row in cli("topics", "list", "--output", "ndjson").lines()}
    found = rows["streams.cursors"]
    expected = {
        "partitions": 4,
        "cleanup.policy": "compact",
        "retention.ms": "-1",
        "max.message.bytes": "1048576",
        "message.timestamp.type": "LogAppendTime",
    }
    assert expected == {name: found[name] for name in expected}


def test_the_partition_count_is_the_settings(cli: Cli) -> None:
    """--set reaches the plan."""
    rows = cli("topics", "list", "--output", "ndjson", "--set", "partitions=8").lines()
    assert {0, 8} == {row["partitions"] for row in rows}


@pytest.mark.kafka
def test_a_plan_changes_nothing_and_apply_makes_it_true(cli: Cli, kafka: str) -> None:
    """An application of another name gets changelogs of its own; the second apply has no work."""
    own = ("--broker", kafka, "--set", "application=planned", "--output", "ndjson")
    cli("topics", "apply", "--broker", kafka)
    before = cli("topics", "plan", *own).lines()
    again = cli("topics", "plan", *own).lines()
    assert before == again
    missing = {row["topic"] for row in before if row["state"] == "missing"}
    assert {t for t in missing if t.startswith("planned-")} == missing != set()
    applied = {row["topic"] for row in cli("topics", "apply", *own).lines()}
    assert missing == applied
    assert {"ok"} == {row["state"] for row in cli("topics", "plan", *own).lines()}
    assert [] == cli("topics", "apply", *own).lines()


@pytest.mark.kafka
def test_a_wrong_partition_count_is_refused(cli: Cli, applied: str) -> None:
    """Joined topics need equal counts: exit code 7, and nothing is changed."""
    ended = cli("topics", "apply", "--broker", applied, "--set", "partitions=5")
    assert (7, True) == (ended.code, "has 4 partitions, needs 5" in ended.err)
    planned = cli("topics", "plan", "--broker", applied, "--set", "partitions=5", "-o", "ndjson")
    states = {row["topic"]: row["state"] for row in planned.lines()}
    assert (7, "has 4 partitions, needs 5") == (planned.code, states["alerts"])
    admin = AdminClient({"bootstrap.servers": applied})
    assert 4 == len(admin.list_topics("alerts", timeout=10).topics["alerts"].partitions)


def until(cli: Cli, bootstrap: str, topic: str, begins: str) -> str:
    """Ask for the plan until a topic's state begins so: brokers spread settings after a while."""
    state, deadline = "", time.monotonic() + 20
    while not state.startswith(begins) and time.monotonic() < deadline:
        rows = cli("topics", "plan", "--broker", bootstrap, "--output", "ndjson").lines()
        state = next(row["state"] for row in rows if row["topic"] == topic)
    return state


@pytest.mark.kafka
def test_a_changed_setting_is_set_back(cli: Cli, applied: str) -> None:
    """What somebody changed by hand is named by plan and repaired by apply."""
    admin = AdminClient({"bootstrap.servers": applied})
    retention = ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET)
    asked = ConfigResource(ResourceType.TOPIC, "alerts", incremental_configs=[retention])
    for future in admin.incremental_alter_configs([asked]).values():
        future.result(10)
    assert "retention.ms is 1000, not -1" in until(cli, applied, "alerts", "retention.ms is")
    rows = cli("topics", "apply", "--broker", applied, "--output", "ndjson").lines()
    assert ["alerts"] == [row["topic"] for row in rows]
    assert "ok" == until(cli, applied, "alerts", "ok")


@pytest.mark.kafka
def test_every_stored_topic_is_there(cli: Cli, applied: str) -> None:
    """The plan covers the whole table of topics."""
    rows = cli("topics", "plan", "--broker", applied, "--output", "ndjson").lines()
    assert set() == {t.name for t in STORED} - {row["topic"] for row in rows}
