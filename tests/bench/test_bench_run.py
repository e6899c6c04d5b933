"""A bench on a real Kafka, with little input: what comes out, not how fast."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bench.harness.envs import ROOT

pytestmark = pytest.mark.kafka
WAIT_S = 280
MEMORY = {"rss_mb", "peak_mb", "bytes_each", "disk_bytes", "changelog_bytes", "written_bytes"}


def quick(bench: str, only: str) -> subprocess.CompletedProcess[str]:
    """A quick run in the case of 1,000; skipped where a bench cannot be set up."""
    argv = [sys.executable, "-m", "bench", bench, "--quick", "--json", "--rounds", "1"]
    argv += ["--only", only, "--case", "1000"]
    done = subprocess.run(
        argv, check=False, cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S
    )
    if "no embedded Kafka" in done.stderr or "cannot be made" in done.stderr:
        pytest.skip(f"the bench cannot be set up here: {done.stderr[-300:]}")
    assert 0 == done.returncode, done.stderr[-2000:]
    return done


@pytest.mark.timeout(WAIT_S + 20)
def test_every_result_of_a_hop_is_there_once_by_both_guarantees() -> None:
    """Whose results were lost, doubled or wrong has no figures: the run fails."""
    found = json.loads(quick("hop", "ours,ours:at_least_once").stdout)["results"]
    assert {"ours", "ours:at_least_once"} == found.keys()
    wanted = {"p50_ms", "p95_ms", "p99_ms", "left", "done_per_s"}
    assert [wanted, wanted] == [set(cases["1000"]) for cases in found.values()]


@pytest.mark.timeout(WAIT_S + 20)
def test_a_quick_run_prints_only_json_and_its_results_were_right() -> None:
    """Ours and the bare consumer count the same events to the key; set-up is on standard error."""
    done = quick("keyed_count", "ours,bare_confluent")
    found = json.loads(done.stdout)
    assert ("keyed_count", {"ours", "bare_confluent"}) == (found["bench"], found["results"].keys())
    for cases in found["results"].values():
        assert {"1000"} == cases.keys()
        assert {"rate", "cpu_us_per_event"} == cases["1000"].keys() - {"warm_rate"}
    assert "warm_rate" in found["results"]["ours"]["1000"]
    assert "Kafka" not in done.stdout.replace('"kafka"', "")
    assert {"cpu", "cores", "kernel", "python", "kafka", "pinning"} == found["machine"].keys()


@pytest.mark.timeout(WAIT_S + 20)
@pytest.mark.parametrize(
    ("name", "case", "figures"),
    [
        ("recovery", "1000000", {"failover_s", "noticed_s", "first_s", "cold_s", "cold_cpu_s"}),
        ("scale", "1000", {"cpu_us_1", "cpu_us_2", "cpu_us_4", "2_by_1", "4_by_1"}),
        ("memory", "keys", MEMORY),
    ],
)
def test_workers_that_are_killed_halted_and_weighed_count_right(
    name: str, case: str, figures: set[str]
) -> None:
    """Ours alone, with few keys: every figure is there, so every count was right to the key."""
    argv = [sys.executable, "-m", "bench", name, "--quick", "--json", "--rounds", "1"]
    argv += ["--only", "ours", "--case", case]
    done = subprocess.run(
        argv, check=False, cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S
    )
    if "no embedded Kafka" in done.stderr or "cannot be made" in done.stderr:
        pytest.skip(f"the bench cannot be set up here: {done.stderr[-300:]}")
    assert 0 == done.returncode, done.stderr[-2000:]
    found = json.loads(done.stdout)["results"]["ours"][case]
    assert figures == found.keys()  # of few keys: a difference of sizes may be below zero
