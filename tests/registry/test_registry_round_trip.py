"""Records with a registry's ids: ours are read by Confluent's reader, and Confluent's by ours."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from schemas.events import Label, Tip
from schemas.ids import digest_id
from schemas.registry import locked_ids
from schemas.wire import Codec
from streams.client import Read, read_all, read_topics
from streams.config import Config
from streams.registry import codec_for, subjects_of
from streams.sources.recording import read_lines
from streams.topics import SOURCES
from tests.cli.cli_support import Cli
from tests.kafka.world import DEMO, World
from tests.registry.server import RegistryServer

pytestmark = [pytest.mark.kafka, pytest.mark.registry]

TOPIC, TYPE = "ml.labels", "ml.label.v1"
CONTEXT = SerializationContext(TOPIC, MessageField.VALUE)
LABELS = [Label(digest_id(f"tx{n}"), n % 2 == 0, "test") for n in range(20)]


@pytest.fixture
def bootstrap(lab: World) -> str:
    """A broker with our topics, empty; the settings are left to the tests."""
    lab.file.unlink()
    return lab.bootstrap


def lines(labels: list[Label]) -> str:
    """Input of ``streams produce``."""
    return "".join(json.dumps({"payload": msgspec.to_builtins(v)}) + "\n" for v in labels)


def raw_values(bootstrap: str) -> list[bytes]:
    """The values in the topic, as any program sees them."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "stranger"})
    partitions = range(len(consumer.list_topics(TOPIC, timeout=15).topics[TOPIC].partitions))
    found: list[bytes] = []
    for partition in partitions:
        place = TopicPartition(TOPIC, partition, 0)
        end = consumer.get_watermark_offsets(place, timeout=15)[1]
        consumer.assign([place])
        while consumer.position([place])[0].offset < end and end > 0:
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                found.append(message.value())
    consumer.close()
    return found


def labels_in(reads: list[Read]) -> list[Any]:
    """The values that could be read, in an order of their own."""
    assert [] == [r.error for r in reads if r.error]
    return sorted((r.event.value for r in reads if r.event), key=lambda v: v.subject)


def by_subject(labels: list[Label]) -> list[Label]:
    return sorted(labels, key=lambda v: v.subject)


def test_a_stranger_reads_what_we_produce(cli: Cli, bootstrap: str, server: RegistryServer) -> None:
    """Confluent's deserializer finds our schemas by the ids on the wire, which are not the lock's;
    ``streams consume`` reads the same."""
    setting = ("--broker", bootstrap, "--set", f"schema_registry={server.url}")
    assert 0 == cli("produce", TOPIC, *setting, stdin=lines(LABELS)).code
    values = raw_values(bootstrap)
    expected = codec_for(Config(schema_registry=server.url)).ids[TYPE]
    assert {expected} == {struct.unpack_from(">bI", value)[1] for value in values}
    assert expected != locked_ids()[TYPE]
    # the strategy is named, lest the client asks the registry for associations, which it has not
    named = {"subject.name.strategy": topic_subject_name_strategy}
    read = AvroDeserializer(SchemaRegistryClient({"url": server.url}), conf=named)
    strange = [msgspec.convert(read(value, CONTEXT), Label) for value in values]
    assert by_subject(LABELS) == by_subject(strange)
    ours = cli("consume", TOPIC, "--from-beginning", "--until-end", "-o", "ndjson", *setting)
    assert by_subject(LABELS) == by_subject(
        [msgspec.convert(line["payload"], Label) for line in ours.lines()]
    )


def test_we_read_what_a_stranger_produces(cli: Cli, bootstrap: str, server: RegistryServer) -> None:
    """Confluent's serializer, which takes the schema from the registry, writes what we decode."""
    assert 0 == cli("schemas", "register", "--set", f"schema_registry={server.url}").code
    client = SchemaRegistryClient({"url": server.url})
    write = AvroSerializer(
        client,
        client.get_latest_version(subjects_of(TYPE)[0]).schema,
        conf={"auto.register.schemas": False, "use.latest.version": True},
    )
    producer = Producer({"bootstrap.servers": bootstrap})
    for label in LABELS:
        value = write(msgspec.to_builtins(label), CONTEXT)
        producer.produce(TOPIC, value, label.subject)
    producer.flush(15)
    codec = codec_for(Config(schema_registry=server.url))
    assert by_subject(LABELS) == labels_in(read_all(bootstrap, TOPIC, codec))


def test_records_of_before_the_registry_stay_readable(
    cli: Cli, bootstrap: str, server: RegistryServer
) -> None:
    """A topic that was begun with the lock's ids goes on with the registry's, and reads as one."""
    url = f"schema_registry={server.url}"
    assert 0 == cli("produce", TOPIC, "--broker", bootstrap, stdin=lines(LABELS[:10])).code
    ended = cli("produce", TOPIC, "--broker", bootstrap, "--set", url, stdin=lines(LABELS[10:]))
    assert 0 == ended.code
    codec = codec_for(Config(schema_registry=server.url))
    assert by_subject(LABELS) == labels_in(read_all(bootstrap, TOPIC, codec))


def test_without_the_setting_the_ids_are_strange(
    cli: Cli, bootstrap: str, server: RegistryServer
) -> None:
    """A reader that does not know of the registry says so; it never takes one type for another."""
    setting = ("--broker", bootstrap, "--set", f"schema_registry={server.url}")
    assert 0 == cli("produce", TOPIC, *setting, stdin=lines(LABELS)).code
    reads = read_all(bootstrap, TOPIC, Codec())
    assert [None] * len(LABELS) == [r.event for r in reads]
    assert all(r.error for r in reads)


def test_a_value_of_another_type_is_no_event(bootstrap: str) -> None:
    """Whatever an id in a topic says, its readers are given the type that the topic carries."""
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(TOPIC, Codec().encode("bitcoin.tip.v1", Tip("main", 1, "00")), "key")
    producer.flush(15)
    [read] = read_all(bootstrap, TOPIC, Codec())
    assert (None, "wrong_schema: ml.labels carries ml.label.v1, not bitcoin.tip.v1") == (
        read.event,
        read.error,
    )


def test_sources_sinks_and_recordings_have_the_same_ids(
    cli: Cli, bootstrap: str, server: RegistryServer, tmp_path: Path
) -> None:
    """What ``streams source`` wrote under the registry's ids, ``sink`` and ``record`` read."""
    setting = ("--broker", bootstrap, "--set", f"schema_registry={server.url}")
    codec = codec_for(Config(schema_registry=server.url))
    assert 0 == cli("source", "recording", str(DEMO), *setting).code
    each = read_topics(bootstrap, [topic.name for topic in SOURCES], codec)
    events = {name: [read for read in reads if read.event] for name, reads in each.items()}
    for topic in SOURCES:
        framed = {struct.unpack_from(">bI", read.value or b"")[1] for read in events[topic.name]}
        assert framed <= {codec.ids[topic.type.name]}
    count = len(events["bitcoin.transactions"])
    into = ("-o", f"directory={tmp_path / 'out'}", "--topic", "bitcoin.transactions")
    ended = cli("sink", "ndjson", *into, "--until-end", *setting)
    said = f"{count} records written; 1 that cannot be decoded were passed over\n"
    assert (0, said) == (ended.code, ended.err)  # the recording has one poisoned record
    assert 0 == cli("record", str(tmp_path / "again.ndjson"), *setting).code
    again = read_lines(tmp_path / "again.ndjson")
    kept = [line for line in again if line.watermark is None and line.raw is None]
    assert sum(map(len, events.values())) == len(kept) > count > 0
