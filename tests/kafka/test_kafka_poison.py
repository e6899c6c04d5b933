"""Records that cannot be processed go to the dead letters; everything else goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import pytest
from confluent_kafka import Producer

from schemas.events import Label
from schemas.headers import to_headers
from schemas.wire import Codec
from streams import topics
from streams.client import Read
from streams.sources.recording import event_of, read_lines
from tests.kafka.world import DEMO, NetSets, World

pytestmark = pytest.mark.kafka

MEBIBYTE = 1 << 20


class Poison(NamedTuple):
    """A record that must become a dead letter, and why."""

    cause: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class Placed(NamedTuple):
    """Where a record is, and what it is: of a letter, of its origin."""

    topic: str
    partition: int
    offset: int
    cause: str
    key: bytes | None
    value: bytes | None


def poisons() -> Iterator[Poison]:
    """One of each kind, made from a good transaction of the recording."""
    codec = Codec()
    lines = (line for line in read_lines(DEMO) if line.topic == topics.transactions.name)
    good = next(event for event in map(event_of, lines) if len(event.value.outputs) > 1)
    key, headers = good.key.encode(), to_headers(good, None)
    label = codec.encode("ml.label.v1", Label(good.key, True, "audit"))
    whole = codec.encode(good.type, good.value)
    yield Poison("not_framed", b"poison", b"\xff\x00 no event at all \xfe", [])
    yield Poison("unknown_schema", key, b"\x00\x7f\xff\xff\xff" + whole[5:], headers)
    yield Poison("wrong_schema", key, label, headers)
    yield Poison("wrong_schema", key, whole[:-3], headers)
    yield Poison("empty_value", key, b"", headers)
    yield Poison("empty_value", key, None, headers)
    yield Poison("not_framed", b"large", b"\x01" * (10 * MEBIBYTE), [])
    yield Poison("bad_headers", key, whole, [(n, b"never") for n, _ in headers])
    for amount in (-1, 21_000_000 * 100_000_000 + 1, -(1 << 63), (1 << 63) - 1):
        bad = msgspec.structs.replace(good.value.outputs[0], value_sat=amount)
        value = msgspec.structs.replace(good.value, outputs=[bad, *good.value.outputs[1:]])
        yield Poison("bad_value", key, codec.encode(good.type, value), headers)


def write(world: World, what: list[Poison]) -> list[Placed]:
    """Write records as a foreign client would; where they are."""
    as_all = {"partitioner": "murmur2_random"}  # else a worker that begins later refuses the topic
    more = {"bootstrap.servers": world.bootstrap, "message.max.bytes": 12 * MEBIBYTE}
    producer = Producer({**as_all, **more})
    placed: list[Placed] = []

    def note(poison: Poison, error: Any, message: Any) -> None:
        assert error is None, error
        place = (message.topic(), message.partition(), message.offset())
        placed.append(Placed(*place, poison.cause, poison.key, poison.value))

    for poison in what:
        producer.produce(
            topics.transactions.name, poison.value, poison.key, headers=poison.headers,
            on_delivery=lambda error, message, p=poison: note(p, error, message),
        )  # fmt: skip
    assert 0 == producer.flush(60)
    return placed


def as_placed(letter: Read) -> Placed:
    """What a dead letter says of its origin."""
    said = {name: value.decode() for name, value in letter.headers if name.startswith("dl.")}
    place = (said["dl.topic"], int(said["dl.partition"]), int(said["dl.offset"]))
    return Placed(*place, said["dl.cause"], letter.key, letter.value)


def test_each_poison_is_a_dead_letter_and_the_rest_is_processed(
    world: World, demo_sets: NetSets
) -> None:
    """Each kind of poison becomes one dead letter, byte for byte, and costs nothing else."""
    world.worker()
    player = world.play(DEMO, speed=2)
    wanted = write(world, list(poisons()))
    player.finish()
    world.settle()
    letters = sorted((as_placed(letter) for letter in world.read(topics.dead_letters)), key=repr)
    by_player = [letter for letter in letters if letter not in wanted]
    assert sorted(wanted, key=repr) == [letter for letter in letters if letter in wanted]
    assert ["bad_value", "forged_signature", "not_framed"] == sorted(x.cause for x in by_player)
    for letter in by_player:
        assert (letter.key, letter.value) == world.bytes_at(
            letter.topic, letter.partition, letter.offset
        )
    world.check_exact(demo_sets)
