"""Errors are two lines and a documented exit code; tracebacks come only when asked for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streams.cli.errors import MEANING, ExitCode
from streams.engine.mover import EXIT_BROKEN_CHAIN, EXIT_FENCED, EXIT_MOVER
from tests.cli.cli_support import Cli

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("words", "code", "cause", "remedy"),
    [
        (("topcis",), 2, "No such command 'topcis'", "did you mean 'topics'"),
        (("topics", "aply"), 2, "No such command 'aply'", "did you mean 'apply'"),
        (("consume",), 2, "Missing argument 'topic'", "streams consume --help"),
        (("topics", "list", "--output", "xml"), 2, "'xml' is not one of", "topics list --help"),
        (("topics", "list", "--outptu", "csv"), 2, "No such option: --outptu", "--output"),
        (("produce", "ml.label"), 2, "there is no topic ml.label", "did you mean ml.labels?"),
        (("produce", "dead_letters"), 2, "holds original bytes", "topics list"),
        (("produce", "bitcoin.facts"), 2, "is passed in memory", "topics list"),
        (("produce", "alerts"), 2, "is written by the pipeline alone", "--derived"),
        (("consume", "alerts"), 4, "no Kafka broker is known", "streams broker start"),
        (("topics", "plan", "--broker", "127.0.0.1:9"), 4, "answers at 127.0.0.1:9", "--broker"),
        (("consume", "alerts", "--broker", "127.0.0.1:9"), 4, "no Kafka broker", "--broker"),
        (("consume", "alerts", "--broker", "x:y"), 2, "is not an address", "HOST:PORT"),
        (("broker", "status"), 4, "no embedded broker is running", "streams broker start"),
        (("config", "show", "--set", "partitons=1"), 6, "'partitons'", "did you mean partitions"),
        (("config", "show", "--set", "partitions"), 2, "needs NAME=VALUE", "streams --help"),
        (("config", "show", "--set", "partitions=no"), 6, "Expected `int`", "config show"),
        (("config", "show", "--config", "none.toml"), 6, "no configuration file", "exists"),
        (("source", "bitcoin", "--rpc", "env:NONE", "--zmq", "x"), 2, "no 'NONE'", "put the value"),
        (("source", "bitcoin", "--rpc", "h:1", "--zmq", "x"), 8, "no address", "http://HOST:PORT"),
        (("source", "archive", "none.raw"), 2, "none.raw' does not exist", "archive --help"),
    ],
)
def test_an_error_is_a_cause_a_remedy_and_a_code(
    cli: Cli, words: tuple[str, ...], code: int, cause: str, remedy: str
) -> None:
    """Two lines on standard error, nothing on standard output."""
    ended = cli(*words)
    first, second = ended.err.splitlines()
    assert (code, "", "error: ", "remedy: ") == (ended.code, ended.out, first[:7], second[:8])
    assert (True, True) == (cause in first, remedy in second)


def test_the_exit_codes_are_documented() -> None:
    """The page holds one row a code, with the same words."""
    page = (ROOT / "docs" / "exit-codes.md").read_text()
    table = page.partition("\n## ")[0].splitlines()
    rows = [line for line in table if line.startswith("| ") and "Code" not in line]
    assert [f"| {int(c)} | {c.name} | {MEANING[c]} |" for c in ExitCode] == rows


def test_the_engines_exit_codes_are_in_the_table() -> None:
    """A worker that ends itself ends with a code that the page explains."""
    expected = (ExitCode.FENCED, ExitCode.BROKER, ExitCode.BROKEN_CHAIN)
    assert expected == (EXIT_FENCED, EXIT_MOVER, EXIT_BROKEN_CHAIN)


def test_debug_shows_the_traceback(cli: Cli) -> None:
    """With --debug the traceback comes before the two lines."""
    ended = cli("consume", "alerts", "--debug")
    assert (True, True) == (ended.err.startswith("Traceback"), "\nremedy: " in ended.err)


def run(*args: str, script: str = "") -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.argv = ['streams', *sys.argv[1:]]; {script}\n"
    code += "from streams.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("flags", "traceback"), [((), False), (("--debug",), True)])
def test_an_unforeseen_error_is_two_lines_too(flags: tuple[str, ...], traceback: bool) -> None:
    """A bug of ours ends with code 1 and shows its traceback only on request."""
    broken = "import streams.topics; streams.topics.ALL = 1"
    ended = run("topics", "list", *flags, script=broken)
    words = "error: unexpected TypeError: 'int' object is not iterable"
    assert (1, True) == (ended.returncode, words in ended.stderr.splitlines())
    assert traceback == ("Traceback" in ended.stderr)


def test_an_unreadable_file_is_named(cli: Cli, tmp_path: Path, applied: str) -> None:
    """The operating system's reason is given."""
    ended = cli("produce", "ml.labels", "--file", "none.ndjson", "--broker", applied)
    assert (2, True) == (ended.code, "none.ndjson: No such file" in ended.err)


@pytest.mark.kafka
def test_ctrl_c_ends_with_130(applied: str) -> None:
    """A command that waits for ever ends at once and quietly."""
    child = subprocess.Popen(
        [sys.executable, "-m", "streams.cli.main", "consume", "alerts", "--broker", applied],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    assert "place" in child.stdout.readline()
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=20)
    assert (130, "") == (child.returncode, errors)


def test_a_closed_pipe_is_no_error() -> None:
    """``streams topics list | head -1`` prints no complaint."""
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-m", "streams.cli.main", "topics", "list"],
        stdout=writing, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(writing)
    assert (141, "") == (ended.returncode, ended.stderr)


def test_no_broker_is_told_at_once(cli: Cli) -> None:
    """librdkafka's long patience is not the user's."""
    before = time.monotonic()
    cli("dlq", "ls", "--broker", "127.0.0.1:9")
    assert time.monotonic() - before < 3
