"""``streams source archive`` on a real Kafka: exact through kill -9, and what it says."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.wire import Codec
from streams.client import Read, read_all
from streams.config import Config
from streams.engine.settings import settings_of
from streams.ops.archive import run_archive, table_path
from streams.sources.archive import Wanted
from streams.sources.archive_outpoints import OutpointStore

from .building import Builder, branch, node_folder
from .reading import REGTEST, events, portions

pytestmark = pytest.mark.kafka
ROOT = Path(__file__).parents[2]
BUILDER = Builder(seed=3)
CHAIN = BUILDER.grow(24)
STALE = branch(CHAIN, 9, 3)


class Place:
    """One archive, its topics' content by source name, and runs in processes of their own."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        self.bootstrap, self.folder = bootstrap, folder
        self.name = f"archive-{uuid.uuid4().hex[:8]}"
        self.blocks = node_folder(
            folder / "blocks", [[*CHAIN[12:], *STALE], CHAIN[:12]], b"8bytes!!"
        )

    def run(self, point: str, count: int, *options: str) -> subprocess.CompletedProcess[str]:
        """Run the command; it dies at its ``count``th commit, 0: never."""
        argv = [sys.executable, "-m", "tests.archive.doomed", point, str(count), "--broker",
                self.bootstrap, "source", "archive", str(self.blocks), "--network", "regtest",
                "--name", self.name, "--json", *options]  # fmt: skip
        own = {"PYTHONPATH": str(ROOT), "STREAMS_HOME": str(self.folder / "home")}
        environment = {**os.environ, **own}
        return subprocess.run(
            argv,
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def written(self, topic: str) -> list[Read]:
        """What this source wrote to a topic, by partition and offset."""
        step = f"source:{self.name}"
        reads = read_all(self.bootstrap, topic, Codec())
        return [r for r in reads if r.event is not None and r.event.producer == step]

    def values(self) -> list[Any]:
        """Everything that counts of what was written, in a fixed order."""
        reads = [*self.written("bitcoin.blocks"), *self.written("bitcoin.transactions")]
        return [
            (r.event.id, r.event.op, r.event.key, r.event.ts, r.event.correction, r.event.value)
            for r in sorted(reads, key=lambda r: (r.topic, r.partition, r.offset))
        ]


@pytest.fixture
def place(applied: str, tmp_path: Path) -> Place:
    """An archive of 24 blocks and a stale branch of three, in a node's files."""
    return Place(applied, tmp_path)


def expected(wanted: Wanted, folder: Path) -> list[Any]:
    """What an undisturbed reading gives, in the order of a topic's partitions."""
    found = events(portions([folder], wanted))
    return sorted((e.id, e.op, e.key, e.ts, e.correction, repr(e.value)) for e in found)


@pytest.mark.parametrize("point", ["before", "within", "after"])
@pytest.mark.parametrize("forks", [False, True], ids=["chain", "forks"])
def test_killed_and_started_again_it_writes_the_same(place: Place, point: str, forks: bool) -> None:
    """
    Killed at a commit of chance until it gets through, the topics hold each event exactly once,
    with the prevouts of an undisturbed run.

        run | kill -9 | run | kill -9 | ... | end
    """
    dice, codes = random.Random(f"{point}{forks}"), []
    options = ["--with-forks"] if forks else []
    while not codes or codes[-1] != 0:
        count = dice.randint(2, 5) if len(codes) < 5 else 0
        codes.append(place.run(point, count, *options).returncode)
        assert len(codes) < 10
    assert -9 in codes
    found = sorted((*row[:5], repr(row[5])) for row in place.values())
    assert expected(Wanted(network="regtest", forks=forks), place.blocks) == found


def test_a_second_run_has_nothing_to_write(place: Place) -> None:
    """What was written is not written again; the summary says where the first run stands."""
    first, second = place.run("after", 0), place.run("after", 0)
    told, again = msgspec.json.decode(first.stdout), msgspec.json.decode(second.stdout)
    assert (0, 24, 0, 23) == (first.returncode, told["blocks"], told["first"], told["last"])
    assert (3, 0, []) == (told["stale_count"], told["unknown_prevouts"], told["missing"])
    assert (0, f"goes on after block {CHAIN[23].hash} at 23") == (again["blocks"], again["resumed"])
    assert "nothing was left to write" in second.stderr


def test_more_blocks_later(place: Place) -> None:
    """
    Blocks that follow what was written go on behind it, whether the earlier ones are still there
    or not, with the outputs of both.

        run 0..11 | only 12..19 are there | all are there
    """
    whole, rest = [CHAIN[:12]], [CHAIN[12:20]]
    for path in place.blocks.glob("blk*.dat"):
        path.unlink()
    node_folder(place.blocks, whole, b"8bytes!!")
    assert 12 == msgspec.json.decode(place.run("after", 0).stdout)["blocks"]
    node_folder(place.blocks, rest, b"8bytes!!")
    second = msgspec.json.decode(place.run("after", 0).stdout)
    assert (8, 12, 0) == (second["blocks"], second["first"], second["unknown_prevouts"])
    node_folder(place.blocks, [CHAIN], b"8bytes!!")
    third = msgspec.json.decode(place.run("after", 0).stdout)
    assert (4, 20, 0) == (third["blocks"], third["first"], third["unknown_prevouts"])
    found = sorted((*row[:5], repr(row[5])) for row in place.values())
    assert expected(REGTEST, place.blocks) == found


def test_what_became_stale_is_undone(place: Place) -> None:
    """
    A later run over an archive whose best chain has changed retracts what it had written.

        0 .. 9 -- 10 -- 11 -- 12               first run
              \\-- 10' - 11' - 12' - 13'        is there in the second run
    """
    for path in place.blocks.glob("blk*.dat"):
        path.unlink()
    node_folder(place.blocks, [CHAIN[:13]], b"8bytes!!")
    place.run("after", 0)
    other = branch(CHAIN, 9, 4, extra=11)
    node_folder(place.blocks, [CHAIN[:13], other], b"8bytes!!")
    second = place.run("after", 0)
    assert 0 == second.returncode
    blocks = [(r.event.op, r.event.value.height) for r in place.written("bitcoin.blocks")][13:]
    undone = [("retract", height) for height in (12, 11, 10)]
    assert [*undone, *(("assert", height) for height in range(10, 14))] == blocks
    retracted = {
        r.event.id for r in place.written("bitcoin.transactions") if r.event.op != "assert"
    }
    lost = {e.id for e in events(portions([place.blocks], REGTEST))}
    assert 3 + sum(min(3, BUILDER.per_block) for _ in range(3)) == len(retracted - lost)


def test_a_table_that_is_gone_is_filled_again(place: Place) -> None:
    """Without its table a run that goes on reads the earlier blocks for their outputs."""
    place.run("after", 3)
    for path in (place.folder / "home").rglob("*.sqlite*"):
        path.unlink()
    told = msgspec.json.decode(place.run("after", 0).stdout)
    assert (True, 0) == (0 < told["blocks"] < 24, told["unknown_prevouts"])


def test_a_table_ahead_of_kafka_is_not_believed(
    applied: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table of another broker's run is filled anew: prevouts never depend on it."""
    monkeypatch.setenv("STREAMS_HOME", str(place.folder / "home"))
    store = OutpointStore(table_path("streams", place.name), "regtest")
    store.save(CHAIN[20].hash)
    store.close()
    summary = run_archive(settings_of(Config(), applied), [place.blocks], (), REGTEST, place.name)
    assert (24, 0) == (summary.blocks, summary.unknown_prevouts)


def test_damage_ends_the_run_with_its_place(place: Place) -> None:
    """Exit code 8; cause with file and offset, then the remedy; nothing was written."""
    with (place.blocks / "blk00001.dat").open("ab") as stream:
        stream.write(b"rubbish!!")
    ended = place.run("after", 0)
    assert 8 == ended.returncode
    assert "blk00001.dat at " in ended.stderr
    assert "--skip-damaged" in ended.stderr
    assert [] == place.values()
