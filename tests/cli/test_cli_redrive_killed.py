"""A redrive that is killed, or taken over by another one: nothing is lost, nothing comes twice."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGINT, SIGKILL, Signals

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.cli.letters_support import Letters, own_of, replays_of

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
COUNT = 2000


@pytest.fixture
def letters(applied: str) -> Letters:
    """The letters of a broker with all topics."""
    return Letters(applied)


@pytest.fixture
def start(letters: Letters, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command as a process of its own; what still runs is killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def run(*options: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "streams", "dlq", "redrive", *options]
        process = subprocess.Popen(
            [*argv, "--broker", letters.bootstrap], text=True, cwd=tmp_path,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT), "STREAMS_HOME": str(tmp_path)},
        )  # fmt: skip
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


class Ends:
    """How many records a topic's partition holds, uncommitted ones included."""

    def __init__(self, letters: Letters, topic: str) -> None:
        self.place = TopicPartition(topic, 1)
        self.consumer = Consumer({"bootstrap.servers": letters.bootstrap, "group.id": "ends"})

    def end(self) -> int:
        found = self.consumer.get_watermark_offsets(self.place, timeout=15)
        return found[1] if found else 0

    def wait_beyond(self, offset: int, process: subprocess.Popen[str]) -> None:
        """Wait until somebody has written behind an offset, or the process has ended."""
        deadline = time.monotonic() + 120
        while self.end() <= offset and process.poll() is None:
            assert time.monotonic() < deadline, "nothing was written"
            time.sleep(0.02)


def fill(letters: Letters) -> tuple[str, str]:
    """Letters of one step, numbered; the step and the topic they are of."""
    step, topic = letters.step(), letters.topic()
    for number in range(COUNT):
        letters.dead(step, topic, number, b"%d" % number, b"\x00%d" % number)
    letters.flush()
    return step, topic


def check_each_once(letters: Letters, topic: str) -> None:
    """Every record once, in the order of the letters, with one replay, and nothing else."""
    seen = letters.seen(topic)
    assert [b"%d" % n for n in range(COUNT)] == [record.key for record in seen]
    assert {1: COUNT} == Counter(map(replays_of, seen))
    assert {(("own", b"x"),)} == {tuple(own_of(record)) for record in seen}


@pytest.mark.parametrize(("number", "seed"), [(SIGKILL, 1), (SIGKILL, 2), (SIGINT, 3)])
def test_a_stopped_redrive_goes_on_where_it_stood(
    letters: Letters, start: Callable[..., subprocess.Popen[str]], number: Signals, seed: int
) -> None:
    """Ended again and again at random moments between its transactions and within them.

    ::

        run 1  |--txn--txn--tx   kill      (nobody commits the last one)
        run 2              |fence, ledger--txn--t  kill
        ...
        run n                                    |--txn--txn| done
    """
    step, topic = fill(letters)
    ends, rng, stopped = Ends(letters, topic), random.Random(seed), 0
    for _ in range(4):
        process = start("--step", step, "--rate", "800")
        ends.wait_beyond(ends.end(), process)
        time.sleep(rng.uniform(0.0, 0.4))
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        assert process.returncode in (0, -number, 130), err
        stopped += process.returncode != 0
    last = start("--step", step)
    _, err = last.communicate(timeout=120)
    assert 0 == last.returncode, err
    assert 1 <= stopped
    check_each_once(letters, topic)
    if number == SIGINT:
        assert "Traceback" not in err


def test_two_at_once_are_one_too_many(
    letters: Letters, start: Callable[..., subprocess.Popen[str]]
) -> None:
    """The later one takes over; the earlier one is told so, and nothing comes twice."""
    step, topic = fill(letters)
    ends = Ends(letters, topic)
    first = start("--step", step, "--rate", "100")
    ends.wait_beyond(0, first)
    second = start("--step", step)
    _, err = second.communicate(timeout=120)
    assert 0 == second.returncode, err
    _, err = first.communicate(timeout=120)
    assert (3, True) == (first.returncode, "somebody else writes dead_letters back" in err), err
    check_each_once(letters, topic)
