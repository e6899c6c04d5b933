"""The benches of size: recovery, scale and memory: their inputs, oracles, probes and tables."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from bench import memory, recovery, scale
from bench.harness import envs, probes, table, trees
from bench.harness.ground import PARTITIONS
from bench.harness.rounds import Figures, Measured
from bench.memory import Memory
from bench.recovery import Recovery
from bench.scale import Scale

BENCHES = (Recovery, Scale, Memory)
FILES = [(bench.name, contender) for bench in BENCHES for contender in bench.contenders]


class Seconds:
    """A bench whose figures are known: less is better."""

    name = "seconds"
    about = "known figures"
    cases: Sequence[str] = ("all",)
    contenders: Sequence[str] = ("ours", "other")
    baselines: Mapping[str, float] = {"other": 2}
    ratios: Mapping[str, str] = {"failover_s": "<=", "cold_s": "<="}

    def __init__(self, ground: Any = None, quick: bool = False) -> None: ...

    def prepare(self, case: str, contenders: Sequence[str]) -> None: ...

    def run(self, case: str, contender: str) -> Figures:
        return {}


# Input and truth ----------------------------------------------------------------------------------


def test_every_key_comes_once_and_some_twice() -> None:
    """1,000 keys, 200 of them twice, each in the partition of its number."""
    found = list(recovery.records(1_000))
    times = Counter(key for key, *_ in found)
    assert Counter({1: 800, 2: 200}) == Counter(times.values())
    assert all(int(key[1:]) % PARTITIONS == partition for key, _, partition, *_ in found)


def test_the_input_is_the_same_each_time() -> None:
    """Contenders get the same keys in the same order, which is not that of their numbers."""
    one, other = (list(recovery.records(100)) for _ in range(2))
    assert one == other
    assert one[:100] != sorted(one[:100])


def test_what_memory_expects_of_a_count_is_what_its_input_has() -> None:
    """The truth says of each key how often it is in the input."""
    times = Counter(key.decode() for key, *_ in recovery.records(1_000))
    assert dict(times) == dict(memory.truth("keys", 1_000))


@pytest.mark.parametrize("form", ["plain", "avro"])
def test_what_memory_expects_of_a_join_is_one_pair_a_key(form: str) -> None:
    """Both sides have each key once, within a second: well inside of interval and window."""
    left, right = (list(memory.joining(1_000, side, form)) for side in ("left", "right"))
    assert [key for key, *_ in left] == [key for key, *_ in right]
    assert 500 == len({key for key, *_ in left}) == len(list(memory.truth("joins", 1_000)))
    times = [record[3] for record in [*left, *right] if len(record) == 4]
    assert (1_000, True) == (len(times), max(times) - min(times) < memory.SPREAD_MS)
    assert memory.START_MS % memory.SIZE_MS + memory.SPREAD_MS < memory.SIZE_MS  # one window


# Probes -------------------------------------------------------------------------------------------


def sent(**moments: float) -> probes.Probes:
    """Probes of which these keys were sent at these moments."""
    found = probes.Probes("127.0.0.1:1", "t", 4, 8)
    found.sent = {k.encode(): (int(k[1:]) % 4, at) for k, at in moments.items()}
    return found


def test_only_results_of_records_that_were_sent_after_the_moment_count() -> None:
    """k1 was sent before the kill and answered after it: it says nothing of the new owner.

    k1 sent    killed    k1 there    k5 sent    k5 there
    1.0        2.0       3.0         4.0        5.0
    """
    found = sent(k1=1.0, k5=4.0).since(2.0, [(b"k1", 3.0), (b"k5", 5.0)])
    assert {1: 5.0} == found


def test_the_first_answer_of_a_partition_is_the_one() -> None:
    """Later ones, and those of keys that nobody sent, change nothing."""
    found = sent(k1=3.0, k5=4.0, k2=3.0).since(2.0, [(b"k5", 6.0), (b"k1", 5.0), (b"k9", 1.0)])
    assert {1: 5.0} == found


def test_probes_take_turns_among_their_keys() -> None:
    """A round has a key of each partition; after the last key comes the first."""
    found = probes.Probes("127.0.0.1:1", "t", 4, 8, first=100)
    rounds = [found.one_each() for _ in range(3)]
    assert [b"k100", b"k101", b"k102", b"k103"] == rounds[0] == rounds[2]
    assert [b"k104", b"k105", b"k106", b"k107"] == rounds[1]
    assert {b"k102": 2}.items() <= {k: p for k, (p, _) in found.sent.items()}.items()


# Processes ----------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_cpu_and_memory_are_those_of_a_whole_tree() -> None:
    """A child that works counts for its leader, and so does its memory."""
    work = "x = b'x' * 50_000_000; sum(range(10_000_000)); print(flush=True); sys.stdin.read()"
    child = [sys.executable, "-c", f"import sys; {work}"]
    shell = [sys.executable, "-c", f"import subprocess; subprocess.run({child!r})"]
    with subprocess.Popen(
        shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as leader:
        assert leader.stdout is not None
        leader.stdout.readline()
        cpu, resident = trees.cpu_seconds([leader.pid]), trees.resident_bytes([leader.pid])
        leader.communicate()
    assert (cpu > 0.1, resident > 50_000_000) == (True, True)
    assert 0 == trees.cpu_seconds([leader.pid])
    assert trees.resident_bytes([os.getsid(0)]) > 0


# What is printed ----------------------------------------------------------------------------------


def test_a_goal_may_be_that_ours_is_less() -> None:
    """Each figure that is compared has a ratio of its own; what one contender lacks stays empty."""
    rows = {"failover_s": 6.0, "cold_s": 3.0}
    found = {"ours": {"all": [rows]}, "other": {"all": [{**rows, "cold_s": 6.0, "disk_s": 1.0}]}}
    head, ours, other = table.rows(Seconds(), Measured(found))
    assert ["ours / it: failover_s", "ours / it: cold_s", "goal"] == head[-3:]
    assert ["all", "ours", "6.00", "3.00", "", "", "", ""] == ours
    assert ["all", "other", "6.00", "6.00", "1.00", "1.00", "0.50", "<= 2"] == other


@pytest.mark.parametrize("name", [bench.name for bench in BENCHES])
def test_results_md_has_a_section_for_each(name: str) -> None:
    """`--write` finds its place in the file that is kept."""
    text = table.RESULTS.read_text()
    assert 1 == text.count(f"<!-- {name}: written by the bench -->")
    assert 1 == text.count(f"<!-- {name}: end -->")


@pytest.mark.parametrize(("bench", "contender"), FILES)
def test_each_contender_is_one_file_with_its_settings_named(bench: str, contender: str) -> None:
    """Its first words say what it is; its environment is pinned by hashes."""
    home = envs.home_of(contender)
    assert (envs.BENCH / "contenders" / home / f"{bench}.py").read_text().startswith('"""')
    for lock in envs.locks(home):
        assert "--hash=sha256:" in lock.read_text(), lock


def test_the_worker_that_keeps_state_on_disk_has_the_library_in_the_version_of_the_project() -> (
    None
):
    """The same hashes as the project's own lock file has."""
    own = (envs.BENCH / "contenders" / "ours_disk" / "requirements.lock").read_text()
    assert own.rstrip() in (envs.ROOT / "requirements" / "dev.lock").read_text()


def test_who_is_another_with_other_settings_has_its_environment() -> None:
    """Kafka Streams with a standby replica needs nothing else."""
    assert "kafka_streams" == envs.home_of("kafka_streams:standby")
    assert "kafka_streams" == envs.home_of("kafka_streams")


def test_workers_share_the_partitions_evenly() -> None:
    """Each has as many as any other, so the CPU of all is that of equals."""
    assert [0, 0, 0] == [PARTITIONS % workers for workers in scale.WORKERS]
