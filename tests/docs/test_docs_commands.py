"""What the README shows was run: its commands run, and print what it says."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from streams.broker import EmbeddedBroker
from tests.docs.reading import block_after, blocks, commands, timeless
from tests.docs.render import README
from tests.docs.shell import SCRIPTS, SECONDS, Shell, checkout

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

TEXT = README.read_text()
PROC = Path("/proc")
MARK = "STREAMS_TEST_MARK"


@dataclass
class DemoRun:
    """One run of the demo."""

    folder: Path
    code: int
    output: str
    during: int
    """Processes of it that were seen while it ran."""
    after: int
    """And after its end."""


def marked(mark: str) -> int:
    """How many processes carry the mark in their environment."""
    return sum(_carries(path, mark) for path in PROC.glob("[0-9]*/environ"))


def _carries(path: Path, mark: str) -> bool:
    try:
        return f"{MARK}={mark}".encode() in path.read_bytes()
    except OSError:  # it has ended, or is somebody else's
        return False


@pytest.fixture
def alone() -> Iterator[str]:
    """A broker that nobody else writes to."""
    with EmbeddedBroker() as broker:
        yield broker.bootstrap


@pytest.fixture(scope="module")
def demo(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> DemoRun:
    """The demo, run once as a user runs it; ``kafka`` says that Kafka can be had here."""
    if not PROC.exists():
        pytest.skip("no /proc here: whether a process is left cannot be told")
    folder, mark = tmp_path_factory.mktemp("demo") / "out", uuid.uuid4().hex
    environment = {**os.environ, MARK: mark, "COLUMNS": "100"}
    argv = [str(SCRIPTS / "streams"), "demo", "--output", str(folder)]
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
        cwd=folder.parent,
    )  # fmt: skip
    lines, most = [], 0
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        most = max(most, marked(mark))
    return DemoRun(folder, process.wait(SECONDS), "".join(lines), most, marked(mark))


def test_demo_balances(demo: DemoRun) -> None:
    """The demo ends well, and every record that went in has one disposition."""
    assert (0, demo.output) == (demo.code, demo.output)
    summary = json.loads((demo.folder / "summary.json").read_text())
    parts = ("used", "duplicates", "late", "dead_letters", "filtered")
    assert summary["inputs"] == sum(summary[part] for part in parts)
    assert summary["balanced"] is True


def test_demo_leaves_no_process(demo: DemoRun) -> None:
    """Of the demo, its worker and its Kafka, which all ran, nothing runs on."""
    assert demo.during >= 3
    assert 0 == demo.after


def test_readme_shows_what_the_demo_prints(demo: DemoRun) -> None:
    """Each line of the README's extract is a line of the demo, or one of its alerts."""
    shown = block_after(TEXT, "`make demo`\nstarts Kafka").splitlines()
    assert shown.pop(0).startswith("$ make demo")
    with duckdb.connect(str(demo.folder / "results.duckdb"), read_only=True) as connection:
        query = "select severity || ' ' || kind || ' ' || entity || ': ' || reasons[1] from {}"
        alerts = connection.execute(query.format("alerts_live")).fetchall()
    printed = timeless(demo.output + "\n".join(f" alert {words}" for (words,) in alerts))
    wanted = [timeless(line).rstrip("…") for line in shown if line != "..."]
    assert [] == [line for line in wanted if line not in printed]


@pytest.fixture
def shell(alone: str, demo: DemoRun, tmp_path: Path) -> Iterator[Shell]:
    """A folder like a checkout, with the README's settings and the demo's output."""
    made = checkout(tmp_path, TEXT, alone, "readme")
    (tmp_path / "out").symlink_to(demo.folder)
    (tmp_path / "streams.toml").write_text(blocks(TEXT, "toml")[0])
    yield made
    made.clean_up()


def test_readme_commands_run(shell: Shell) -> None:
    """Every command of the README runs, in its order, and prints what the README says."""
    for line in commands(TEXT):
        if line.startswith("streams broker "):
            shell.run(f"{line} --help")  # the broker of the tests runs already
        elif line.startswith("streams worker"):
            shell.work(line)
        elif line.startswith("python -c"):
            assert block_after(TEXT, line) == shell.run(line)
        else:
            shell.run(line)
    assert [0] == shell.stop()
    with duckdb.connect(str(shell.folder / "results.duckdb"), read_only=True) as connection:
        found = connection.execute("select count(*) from alerts_live").fetchone()
    assert found is not None
    assert found[0] >= 3
