"""Letters and a real worker: what was wrong comes back counted, what is right takes effect."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from streams.ops.letter_scan import Scanner
from streams.ops.letters import DEAD, Letter, letter_of
from tests.kafka.world import Worker, World, until
from tests.ops.own import python, streams

pytestmark = pytest.mark.kafka

MODULE = """
import os

from schemas.events import Value
from streams import Step, Topic, event_type


class Seen(Value, frozen=True):
    who: str


event_type("shaky.seen.v1", Seen, key=lambda value: value.who)
seen = Topic("shaky.seen", "who", "who was seen", "shaky.seen.v1", source=True, declared=False)
told = Topic("shaky.told", "who", "who was told of", "shaky.seen.v1")


def tell(batch, state, emit):
    for event in batch:
        if event.value.who.startswith("x") and os.environ["BUG"] == "1":
            raise ValueError(f"{event.value.who} breaks it")
        emit.derive(told, event, [("", event.value)])


step = Step("tell", (seen,), (told,), tell, version=3)
"""
OPTIONS = ("--module", "shaky")
NAMELESS = """
import asyncio, sys
from aiokafka import AIOKafkaProducer


class Name(str):
    def encode(self, *how):
        return b"\\xff\\xfe"


async def main():
    async with AIOKafkaProducer(bootstrap_servers=sys.argv[1]) as producer:
        await producer.send_and_wait("shaky.seen", b"v", b"k", headers=[(Name("x"), b"1")])


asyncio.run(main())
"""
"""Writes a header whose name is not UTF-8, which Kafka takes."""
FORGED = [("streams-unreadable", b"\xff"), ("dl.cause", b"own"), ("own", b"x")]


@pytest.fixture
def folder(world: World, tmp_path: Path) -> Iterator[Path]:
    """A folder with the module, on a broker with nothing of the main job."""
    world.delete_topics(name for name in world.admin.partitions() if not name.startswith("__"))
    (tmp_path / "shaky.py").write_text(MODULE)
    yield tmp_path


def work(world: World, bug: str) -> Worker:
    """A worker of the module, with its bug or without."""
    worker = world.worker(*OPTIONS, "--create-topics", BUG=bug)
    until("the module runs", lambda: worker.said("task_recovered"))
    return worker


def settle(world: World, folder: Path) -> None:
    """Wait until the module has read all."""

    def behind() -> int:
        found = streams_ok(world, folder, "lag", *OPTIONS, "--json")
        return sum(row["lag"] for row in json.loads(found)["inputs"])

    until("all is through", lambda: behind() == 0)


def streams_ok(world: World, folder: Path, *args: str, code: int = 0) -> str:
    """Standard output of a command that ends with this code."""
    ended = streams(world, folder, *args)
    assert (code, False) == (ended.returncode, "Traceback" in ended.stderr), ended.stderr
    return ended.stdout


def told(world: World, folder: Path) -> Counter[str]:
    """How often each one is told of, live or not."""
    lines = streams_ok(world, folder, "consume", "shaky.told", *OPTIONS, "--from-beginning",
                       "--until-end", "--output", "ndjson")  # fmt: skip
    return Counter(json.loads(line)["payload"]["who"] for line in lines.splitlines())


def letters(world: World) -> list[Letter]:
    """All dead letters."""
    scanner = Scanner(world.bootstrap)
    spans = scanner.spans("dead_letters")
    found = [letter_of(m, DEAD) for ms in scanner.read("dead_letters", spans) for m in ms]
    scanner.close()
    return found


def test_what_a_bug_refused_takes_effect_once_it_is_repaired(world: World, folder: Path) -> None:
    """Redriven too early it comes back with its count, redriven after the repair it is a result.

    ::

        worker with the bug  |--- a x1 b x2 ---- x1 x2 ----|
        without                                             |---- x1 x2 -----|
        letters                   2           4 (count 1)        4
        redrive                        all          all (too early)    all (nothing left)
    """
    worker = work(world, "1")
    lines = [{"payload": {"who": w}, "timestamp": 1} for w in ("a", "x1", "b", "x2")]
    (folder / "seen.ndjson").write_text("\n".join(map(json.dumps, lines)))
    streams_ok(world, folder, "produce", "shaky.seen", "--file", "seen.ndjson", *OPTIONS)
    settle(world, folder)
    assert {(0, "shaky.seen", 3)} == {(x.replays, x.text("topic"), x.number("version"))
                                      for x in letters(world)}  # fmt: skip
    streams_ok(world, folder, "dlq", "redrive", "--step", "tell")
    settle(world, folder)
    found = letters(world)
    assert [0, 0, 1, 1] == sorted(letter.replays or 0 for letter in found)
    assert [2, 2] == list(Counter((x.key, x.value) for x in found).values())
    assert 0 == worker.end()
    worker = work(world, "0")
    streams_ok(world, folder, "dlq", "redrive", "--step", "tell")
    settle(world, folder)
    assert dict.fromkeys(("a", "b", "x1", "x2"), 1) == told(world, folder)
    streams_ok(world, folder, "dlq", "redrive", "--all")
    settle(world, folder)
    assert (4, dict.fromkeys(("a", "b", "x1", "x2"), 1)) == (
        len(letters(world)), told(world, folder),
    )  # fmt: skip
    assert 0 == worker.end()


def test_poison_goes_round_so_often_and_no_more(world: World, folder: Path) -> None:
    """Each time one letter with one replay more, byte for byte; then it is in quarantine."""
    worker = work(world, "0")
    producer = Producer({"bootstrap.servers": world.bootstrap})
    producer.produce("shaky.seen", b"\xff poison", b"\xfe", headers=FORGED)
    assert 0 == producer.flush(30)
    settle(world, folder)
    for replays in range(1, 4):
        streams_ok(world, folder, "dlq", "redrive", "--reason", "not_framed")
        settle(world, folder)
        assert [*range(replays + 1)] == sorted(x.replays or 0 for x in letters(world))
    ended = streams(world, folder, "dlq", "redrive", "--reason", "not_framed")
    assert (8, True) == (ended.returncode, "1 quarantined" in ended.stderr), ended.stderr
    found = letters(world)
    assert {(b"\xfe", b"\xff poison")} == {(x.key, x.value) for x in found}
    own = [[h for h in x.own if not h[0].startswith("streams-replay-")] for x in found]
    assert [FORGED] * 4 == own
    (row,) = map(json.loads, streams_ok(world, folder, "dlq", "ls", "--json").splitlines())
    assert (4, 3, 1, 0) == (row["letters"], row["redriven"], row["quarantined"], row["open"])
    shown = streams_ok(world, folder, "dlq", "show", str(found[0].origin), "--json")
    assert "redriven" == json.loads(shown)["state"]
    assert 0 == worker.end()


def test_a_header_name_that_is_no_text_stops_nobody(world: World, folder: Path) -> None:
    """Worker, listing and redrive go on; what cannot be written back as it was is not."""
    worker = work(world, "0")
    ended = python(folder, "-c", NAMELESS, world.bootstrap, AIOKAFKA_NO_EXTENSIONS="1")
    assert 0 == ended.returncode, ended.stderr
    (folder / "seen.ndjson").write_text(json.dumps({"payload": {"who": "a"}, "timestamp": 1}))
    streams_ok(world, folder, "produce", "shaky.seen", "--file", "seen.ndjson", *OPTIONS)
    settle(world, folder)
    assert {"a": 1} == told(world, folder)
    (letter,) = letters(world)
    assert (b"k", b"v", False) == (letter.key, letter.value, letter.readable)
    streams_ok(world, folder, "dlq", "show", letter.address)
    streams_ok(world, folder, "consume", "shaky.seen", *OPTIONS, "--from-beginning", "--until-end")
    ended = streams(world, folder, "dlq", "redrive", "--all")
    assert (8, True) == (ended.returncode, "1 headers_lost" in ended.stderr), ended.stderr
    assert 0 == worker.end()
