"""Every decoder and every guard against mutations of real records; ``python -m tests.fuzz`` has
more."""

from __future__ import annotations

import subprocess
import sys

import pytest

from streams import topics
from tests.fuzz.decoders import DECODERS
from tests.fuzz.mutate import Mutator
from tests.fuzz.running import decode_many, guard_many, inputs

COUNT = 10_000
HANGS = """
from itertools import repeat
from tests.fuzz import running
from tests.fuzz.__main__ import main

def hangs(mutator):
    all(repeat(True))

running.HANG_SECONDS = 1
running.DECODERS["hangs"] = lambda: running.Decoder([b"x"], hangs, ())
main()
"""
"""A run of a decoder that never comes back, in C code: no handler of a signal would be called."""


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_refuses_or_reads(name: str) -> None:
    """Nothing but its own errors, in little time and memory; some is read, much is refused."""
    found = decode_many(name, COUNT, seed=1)
    assert found.taken + found.refused == COUNT
    assert 0 < found.taken
    assert COUNT // 10 < found.refused


@pytest.mark.parametrize("topic", inputs(), ids=lambda topic: topic.name)
def test_a_guard_counts_every_record_once(topic: topics.Topic) -> None:
    """Whatever comes, the task lives, its timers fire, and each record has one disposition."""
    found = guard_many(topic, COUNT, seed=1)
    assert found.balanced
    assert COUNT * 9 // 10 < found.read <= COUNT
    assert min(found.used, found.dead_letters, found.filtered) > 0


def test_the_same_seed_makes_the_same_mutations() -> None:
    """A finding can be had again by its seed and number."""
    corpus, own = [b"\x00\x00\x00\x00\x01abc", b"0123456789"], [("ce_id", b"a:assert:1")]
    first, again, other = (Mutator(seed, corpus) for seed in (1, 1, 2))
    made = [[(m.bytes(), m.headers(own)) for _ in range(50)] for m in (first, again, other)]
    assert made[0] == made[1]
    assert made[0] != made[2]


def test_a_decoder_that_hangs_ends_the_run() -> None:
    """Nobody has to end it: who hangs is named, and the traceback says where."""
    ended = subprocess.run(
        [sys.executable, "-c", HANGS, "hangs", "--count", "1"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (1, "hangs: ") == (ended.returncode, ended.stdout.splitlines()[-1])
    assert "Timeout (0:00:01)!" in ended.stderr
    assert " in hangs\n" in ended.stderr
