"""``streams topics``: the plan as data, a broker made to agree, wrong counts refused."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from streams.agents.pipeline import topology
from streams.config import Config
from streams.engine.own_types import OWN as OWN_TYPES
from streams.engine.own_types import forget
from streams.engine.settings import EngineSettings
from streams.ops.admin import wanted
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
    """Partitions, retention, compaction, time stamp and largest message are there as data.

    A compacted topic has small segments, cleaned early, since each start reads all of it.
    """
    rows = {row["topic"]: row for row in cli("topics", "list", "--output", "ndjson").lines()}
    found = rows["streams.cursors"]
    expected = {
        "partitions": 4,
        "cleanup.policy": "compact",
        "retention.ms": "-1",
        "max.message.bytes": "1048576",
        "message.timestamp.type": "LogAppendTime",
        "segment.bytes": "67108864",
        "min.cleanable.dirty.ratio": "0.1",
    }
    assert expected == {name: found[name] for name in expected}
    assert ["streams.cursors"] == [name for name, row in rows.items() if "segment.bytes" in row]


def test_changelogs_are_cleaned_as_early() -> None:
    """A task's start reads all of its changelog; deletions stay for the day that a copy may lag."""
    plan = wanted(topology(Config()), EngineSettings())
    settings = [p.settings for p in plan if p.topic.endswith("-changelog")]
    expected = {
        "cleanup.policy": "compact",
        "retention.ms": "-1",
        "max.message.bytes": "17825792",
        "message.timestamp.type": "LogAppendTime",
        "delete.retention.ms": "86400000",
        "segment.bytes": "67108864",
        "min.cleanable.dirty.ratio": "0.1",
    }
    assert [expected] * len(topology(Config()).subs) == settings


def test_the_partition_count_is_the_settings(cli: Cli) -> None:
    """--set reaches the plan; a topic with a count of its own keeps that."""
    rows = cli("topics", "list", "--output", "ndjson", "--set", "partitions=8").lines()
    counts = {row["topic"]: row["partitions"] for row in rows}
    assert 2 == counts.pop("streams.redrives")
    assert {0, 8} == set(counts.values())


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


STEP = """from schemas.events import Value
from streams import Step, Topic, event_type, topics

class {kind}(Value, frozen=True):
    address: str

event_type("shop.{name}.v1", {kind}, key=lambda value: value.address)
made = Topic("shop.{name}", "address", "what we sold", "shop.{name}.v1")
step = Step("sell_{name}", ({reads},), (made,), lambda batch, state, emit: None)
"""


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Path]:
    """A folder for modules, whose types are forgotten afterwards."""
    before = set(OWN_TYPES)
    yield tmp_path
    for name in set(OWN_TYPES) - before:
        forget(name)


@pytest.mark.kafka
def test_topics_of_own_steps_are_made_ahead(cli: Cli, applied: str, own: Path) -> None:
    """Two modules, one of which reads what the other writes: topics and changelogs of both."""
    (own / "fruits.py").write_text(STEP.format(kind="Fruit", name="fruit", reads="topics.tip"))
    reads = '__import__("fruits").made'
    (own / "juices.py").write_text(STEP.format(kind="Juice", name="juice", reads=reads))
    modules = ("--module", "fruits", "--module", "juices", "--module", "fruits")
    where = ("--broker", applied, "--output", "ndjson")
    planned = cli("topics", "plan", *modules, *where).lines()
    missing = {row["topic"]: row["partitions"] for row in planned if row["state"] == "missing"}
    expected = {
        "shop.fruit",
        "shop.juice",
        "streams-fruits-by_sell_fruit-changelog",
        "streams-juices-by_address-changelog",
    }
    assert dict.fromkeys(expected, 4) == missing
    assert missing.keys() == {
        row["topic"] for row in cli("topics", "apply", *modules, *where).lines()
    }
    assert {"ok"} == {row["state"] for row in cli("topics", "plan", *modules, *where).lines()}
    assert [] == cli("topics", "apply", "--module", "juices", *where).lines()


@pytest.mark.kafka
def test_a_topic_that_own_steps_only_read_is_not_made(cli: Cli, applied: str, own: Path) -> None:
    """A wrong name of an input is refused before anything is created, with the nearest one."""
    reads = 'Topic("bitcoin.activities", "address", "x", "bitcoin.tip.v1")'
    (own / "typos.py").write_text(STEP.format(kind="Typo", name="typo", reads=reads))
    ended = cli("topics", "apply", "--broker", applied, "--module", "typos")
    assert (7, True) == (ended.code, "did you mean bitcoin.activity?" in ended.err)
    found = AdminClient({"bootstrap.servers": applied}).list_topics(timeout=10).topics
    assert set() == {"bitcoin.activities", "shop.typo"} & found.keys()


def test_a_module_that_is_not_there_is_a_usage_error(cli: Cli) -> None:
    """It is said before a broker is looked for."""
    ended = cli("topics", "plan", "--broker", "127.0.0.1:9", "--module", "nowhere")
    assert (2, "error: there is no module nowhere") == (ended.code, ended.err.splitlines()[0])


OWN_SOURCE = """
from schemas.events import Value
from streams import Step, Topic, event_type

class Order(Value, frozen=True):
    number: str

event_type("shop.order.v1", Order, key=lambda value: value.number)
orders = Topic("shop.orders", "number", "what was ordered", "shop.order.v1", source=True{more})
step = Step("take_orders", (orders,), (), lambda batch, state, emit: None)
"""


@pytest.mark.kafka
def test_a_source_of_own_steps_is_made_filled_and_read(cli: Cli, applied: str, own: Path) -> None:
    """With --module a topic that own steps declare as a source is created, written and read.

    Who leaves --module out is told of it.
    """
    (own / "orders.py").write_text(OWN_SOURCE.format(more=", declared=False"))
    where = ("--module", "orders", "--broker", applied)
    made = cli("topics", "apply", *where, "--output", "ndjson").lines()
    assert {"created"} == {row["state"] for row in made if row["topic"] == "shop.orders"}
    line = '{"payload": {"number": "n1"}}\n'
    written = cli("produce", "shop.orders", *where, stdin=line)
    assert (0, "1 produced to shop.orders\n") == (written.code, written.err)
    asked = ("consume", "shop.orders", "--from-beginning", "--until-end", "--output", "ndjson")
    assert [{"number": "n1"}] == [row["payload"] for row in cli(*asked, *where).lines()]
    refused = cli("produce", "shop.orders", "--broker", applied, stdin=line)
    assert (2, True) == (refused.code, "--module MODULE adds those" in refused.err)
    forget("shop.order.v1")  # as in a process that has not loaded the module
    blind = cli(*asked[:4], "--broker", applied)
    assert "add --module MODULE" in blind.out


def test_a_source_that_nobody_declares_is_refused(cli: Cli, own: Path) -> None:
    """An own source whose watermark would never move is named, with what to add."""
    text = OWN_SOURCE.replace("shop.order.", "shop.sold.").replace("Order", "Sold")
    (own / "undeclared.py").write_text(text.format(more=""))
    ended = cli("topology", "--module", "undeclared")
    assert (2, True) == (ended.code, "add declared=False" in ended.err), ended.err
