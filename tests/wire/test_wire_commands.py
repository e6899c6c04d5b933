"""Every command and every client goes the same way in, and says the same when there is none."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException
from msgspec import structs

from schemas.events import Label
from schemas.wire import Codec
from streams.client import Consumer, Producer, Unavailable
from streams.engine.rights import Right
from streams.engine.settings import EngineSettings
from streams.engine.topology import Topology
from streams.ops import rights
from streams.ops.live import BITCOIN_WRITES
from streams.ops.own_topics import shares
from streams.ops.runs import Known, topic_of
from streams.sources.writer import SourceWriter
from streams.topics import alerts, labels
from streams.wire.mapping import librdkafka
from tests.cli.cli_support import Cli
from tests.cli.conftest import cli
from tests.kafka.world import until
from tests.wire.certificates import Authority
from tests.wire.guarded import PASSWORD, Guarded
from tests.wire.running import MODULE, Shop, bindings

pytestmark = pytest.mark.kafka

__all__ = ["cli"]
LABEL = json.dumps({"payload": {"subject": "ab" * 32, "illicit": True, "source": "test"}})
NONE = "refuses user 'worker': wrong password or unknown user"


@pytest.fixture(scope="module")
def shop(guarded: Guarded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """All topics of the main job and the module."""
    made = Shop(guarded, tmp_path_factory.mktemp("commands"), "commands")
    yield made
    made.close()


@pytest.fixture
def inside(cli: Cli, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line with the way in of ``worker`` in its environment."""
    for name, value in shop.environment().items():
        if name.startswith("STREAMS_"):
            monkeypatch.setenv(name, value)
    return cli


COMMANDS: list[tuple[str, ...]] = [
    ("topics", "plan", "--module", MODULE),
    ("produce", "ml.labels"),
    ("consume", "ml.labels", "--from-beginning", "--until-end"),
    ("lag", "--module", MODULE),
    ("topology", "--live"),
    ("dlq", "ls"),
    ("record", "found.ndjson"),
    ("source", "retire", "some"),
    ("sink", "ndjson", "-o", "directory=out", "--topic", "ml.labels", "--until-end"),
    ("worker", "--module", MODULE),
]


@pytest.mark.parametrize("words", COMMANDS[:-1], ids=lambda words: " ".join(words[:2]))
def test_commands_come_in(guarded: Guarded, inside: Cli, words: tuple[str, ...]) -> None:
    """Over SASL_SSL with SCRAM each does what it does without."""
    guarded.allow_all("User:worker")
    ended = inside(*words, stdin=LABEL)
    wanted = 8 if words[0] == "source" else 0  # there is no such source: it looked
    assert (wanted, True) == (ended.code, PASSWORD not in ended.out + ended.err), ended.err


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:2]))
def test_commands_that_are_refused_say_why(
    inside: Cli, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """With a wrong password each ends with code 4 and the cause, in seconds."""
    monkeypatch.delenv("STREAMS_KAFKA__PASSWORD_FILE")
    monkeypatch.setenv("STREAMS_KAFKA__PASSWORD", "wr0ng")
    began = time.monotonic()
    ended = inside(*words, stdin=LABEL)
    assert (4, True) == (ended.code, NONE in ended.err), ended.err
    assert "wr0ng" not in ended.err and time.monotonic() - began < 15


def test_the_doctor_looks_at_the_wire(
    guarded: Guarded, inside: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It names an untrusted CA, and a file with a secret that others may read."""
    monkeypatch.setenv("STREAMS_KAFKA__CA_LOCATION", str(Authority(tmp_path / "x", "x").ca))
    wide = tmp_path / "password"
    wide.write_text(PASSWORD)
    wide.chmod(0o644)
    monkeypatch.setenv("STREAMS_KAFKA__PASSWORD_FILE", str(wide))
    ended = inside("doctor", "-o", "ndjson")
    found = {row["check"]: row for row in ended.lines()}
    assert 10 == ended.code
    assert "ok" == found["wire"]["state"]
    assert ("warn", f"chmod 600 {wide}") == (found["secrets"]["state"], found["secrets"]["remedy"])
    assert "signed by a CA that we do not trust" in found["broker"]["found"]
    assert f"warning: {wide} holds a secret and is open to others" in ended.err


def test_clients_of_programs_come_in_and_are_refused_in_seconds(
    guarded: Guarded, shop: Shop
) -> None:
    """The client takes what ``librdkafka`` makes of the settings; what refuses it is named in its
    own words, long before its timeout."""
    guarded.allow_all("User:worker")
    kafka, address = librdkafka(shop.wire), guarded.addresses["sasl_ssl"]
    with Consumer(address, labels, until="end", kafka=kafka) as consumer:
        assert all(record.event.value.subject == "ab" * 32 for record in consumer)
    wrong = {**kafka, "sasl.password": "wr0ng"}
    stranger = {**kafka, "ssl.ca.location": str(Authority(shop.folder / "y", "y").ca)}
    for options, words in ((wrong, "check sasl.username and sasl.password"),
                           (stranger, "set ssl.ca.location to the PEM file")):  # fmt: skip
        for use in (_write, _read):
            began = time.monotonic()
            with pytest.raises(Unavailable, match=words):
                use(address, options)
            assert time.monotonic() - began < 10


def _write(address: str, kafka: dict[str, Any]) -> None:
    with Producer(address, kafka=kafka, timeout=60) as producer:
        producer.send(Label("ab" * 32, True, "test"))


def _read(address: str, kafka: dict[str, Any]) -> None:
    with Consumer(address, labels, timeout=60, kafka=kafka) as consumer:
        next(iter(consumer))


def _runs(settings: EngineSettings) -> Right:
    """What says which run is the current one."""
    return Right("topic", topic_of(settings.application), "READ")


def test_rights_of_the_other_roles_carry_them(guarded: Guarded, inside: Cli, shop: Shop) -> None:
    """Operator, observer, producer, reader and sink do their work with what is printed for them;
    what another role may, they may not."""
    settings = shop.settings(shop.wire)
    both = shares(shop.config, Known(), settings.bootstrap, [MODULE])
    topology = Topology(tuple(sub for one in both for sub in one.selection.run))
    chosen = structs.replace(shop.selection, topology=topology)
    shop.admin.client.delete_topics(["wire.counts"])["wire.counts"].result(10)
    until("it is gone", lambda: "wire.counts" not in shop.admin.partitions())
    apply = ("topics", "apply", "--module", MODULE)
    lag = ("lag", "--module", MODULE)
    write = ("produce", "ml.labels")
    read = ("consume", "ml.labels", "--from-beginning", "--until-end")
    sink = ("sink", "ndjson", "-o", "directory=o", "--topic", "ml.labels", "--until-end")
    for needed, may, may_not in (
        (rights.of_operator(chosen, settings), ("topics", "plan", "--module", MODULE), apply),
        ([*rights.of_operator(chosen, settings), _runs(settings)], apply, write),
        (rights.of_observer(chosen, settings), lag, write),
        (rights.of_producer([labels]), write, read),
        (rights.of_reader([labels]), read, write),
        (rights.of_sink("ndjson", [labels]), sink, lag),
    ):
        guarded.take_all()
        guarded.allow(bindings(needed))
        ended = inside(*may, stdin=LABEL)
        assert 0 == ended.code, (may, ended.err)
        assert 0 != inside(*may_not, stdin=LABEL).code, (may, may_not)
    guarded.allow_all("User:worker")


def test_a_source_writes_with_its_rights(guarded: Guarded, shop: Shop) -> None:
    """With the rights of a source it begins, commits, and goes on where it stood; under another
    name it does not begin."""
    settings = shop.settings(shop.wire)
    guarded.take_all()
    guarded.allow(bindings(rights.of_source("bitcoin", "bitcoin-main-one", settings)))
    for cursor in (None, {"at": "here"}):
        writer = SourceWriter("bitcoin-main-one", BITCOIN_WRITES, settings, Codec())
        assert cursor == writer.open()
        writer.commit({"at": "here"}, 1)
        writer.close()
    other = SourceWriter("bitcoin-main-two", BITCOIN_WRITES, settings, Codec())
    with pytest.raises(KafkaException, match="TRANSACTIONAL_ID_AUTHORIZATION_FAILED"):
        other.open()
    other.close()
    guarded.allow_all("User:worker")


def test_acls_are_printed_without_a_broker(cli: Cli) -> None:
    """As commands with the principal, and as rows that say the same."""
    words = ("topics", "acls", "reader", "--topic", "alerts", "--group", "my app")
    ended = cli(*words, "--principal", "User:a b")
    lines = ended.out.splitlines()
    begin = "kafka-acls.sh --bootstrap-server localhost:9092 --command-config admin.properties"
    assert [
        f"{begin} --add --allow-principal 'User:a b' --operation Read --group 'my app'",
        f"{begin} --add --allow-principal 'User:a b' --operation Read --topic {alerts.name} "
        "--topic streams-runs",
    ] == lines
    rows = json.loads(cli(*words, "--principal", "User:a b", "-o", "json").out)
    assert ["group", "topic", "topic"] == [row["kind"] for row in rows]
    assert 2 == cli(*words).code
