"""The stages' hook, and workers that are told by a variable to come to grief at one of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP

import pytest
from confluent_kafka import KafkaException

from streams.engine.doom import FALLIBLE, VARIABLE, BadFault, Fault, read
from streams.engine.stages import CHECKPOINT, FAILED, TAKEOVER, Stage, When, watched
from streams.engine.stores import StateLost

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from streams.engine.doom import arm
from streams.engine.stages import Stage
arm(sys.argv[1])
for number in range(3):
    for stage in (Stage.BEGIN, Stage.COMMIT):
        with stage:
            print(number, stage, flush=True)
"""


def _start(text: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", PROGRAM, text]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


def test_every_stage_is_in_one_list() -> None:
    """A stage that no list has would be broken by no test."""
    assert list(Stage) == [*TAKEOVER, *CHECKPOINT, *FAILED]


def test_a_stage_tells_of_itself_before_and_after_unless_it_failed() -> None:
    """Whoever watches hears both, in order; nothing is heard of a stage that failed, after it."""
    seen: list[tuple[When, Stage]] = []
    with watched(lambda when, stage: seen.append((when, stage))):
        with Stage.BEGIN:
            seen.append(("before", Stage.OUTPUTS))
        with pytest.raises(ValueError), Stage.COMMIT:
            raise ValueError
    with Stage.KEEP:
        pass
    begin = [("before", Stage.BEGIN), ("before", Stage.OUTPUTS), ("after", Stage.BEGIN)]
    assert [*begin, ("before", Stage.COMMIT)] == seen


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("kill@before:begin", ""),
        ("kill@after:begin", "0 begin\n"),
        ("kill@before:commit#2", "0 begin\n0 commit\n1 begin\n"),
        ("hang=0.01@before:begin, kill@after:commit", "0 begin\n0 commit\n"),
    ],
)
def test_a_process_is_killed_where_it_was_told_to(text: str, printed: str) -> None:
    """It says at its start what it was told, and ends at the named place by SIGKILL."""
    process = _start(text)
    out, err = process.communicate(timeout=60)
    assert (printed, -SIGKILL) == (out, process.returncode)
    assert f"{VARIABLE}={text}: THIS WORKER WILL FAIL ON PURPOSE" in err.splitlines()[0]


def test_a_process_stops_where_it_was_told_to_and_goes_on() -> None:
    """``stop`` is SIGSTOP: all of it stands still until SIGCONT, and then goes on."""
    process = _start("stop@after:begin#2")
    status = os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    assert status is not None and SIGSTOP == status.si_status
    process.send_signal(SIGCONT)
    out, _ = process.communicate(timeout=60)
    assert (6, 0) == (len(out.splitlines()), process.returncode)


def test_a_process_hangs_where_it_was_told_to() -> None:
    """``hang`` without seconds lets the thread wait for ever, and nothing else."""
    process = _start("hang@before:commit")
    assert process.stdout is not None and process.stderr is not None
    assert "0 begin\n" == process.stdout.readline()
    assert "WILL FAIL ON PURPOSE" in process.stderr.readline()
    assert "hang before commit" in process.stderr.readline()
    time.sleep(0.2)  # nothing tells that nothing happens
    assert process.poll() is None
    process.kill()
    assert "" == process.communicate()[0]


def test_a_fault_is_repeated_only_where_that_was_asked() -> None:
    """``#N`` is once, ``#N+`` from then on."""
    once, again = read("kill@before:begin#2,kill@before:begin#2+")
    assert [False, True, False] == [once.due(n) for n in (1, 2, 3)]
    assert [False, True, True] == [again.due(n) for n in (1, 2, 3)]


@pytest.mark.parametrize("stage", sorted(FALLIBLE))
def test_a_stage_fails_as_what_it_talks_to_fails(stage: Stage) -> None:
    """The disk fails by StateLost, Kafka by a KafkaException that is neither fatal nor repeated."""
    fault = Fault("raise", None, "before", stage, 1, False)
    expected = StateLost if stage in (Stage.RESTORE, Stage.KEEP) else KafkaException
    with pytest.raises(expected) as raised:
        fault.happen()
    if expected is KafkaException:
        error = raised.value.args[0]
        assert (False, False) == (error.fatal(), error.retriable())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kill", "ACTION@WHEN:STAGE#N"),
        ("kill@during:commit", "ACTION@WHEN:STAGE#N"),
        ("kill@before:commit#0", "ACTION@WHEN:STAGE#N"),
        ("kill@before:done", "there is no stage 'done', there are fence"),
        ("raise@before:kept", "kept cannot fail"),
        ("kill=3@before:commit", "only hang takes seconds"),
    ],
)
def test_a_fault_that_is_none_is_refused(text: str, words: str) -> None:
    """A test with a slip of the pen must not pass because nothing happened."""
    with pytest.raises(BadFault, match=VARIABLE) as raised:
        read(text)
    assert words in str(raised.value)


def test_a_worker_that_was_told_nonsense_does_not_begin() -> None:
    """It ends with the code of a wrong setting and one line."""
    process = _start("kill@before:done")
    out, err = process.communicate(timeout=60)
    assert ("", 6, 1) == (out, process.returncode, len(err.splitlines()))
