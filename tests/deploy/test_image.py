"""The build stage of our image, line by line: what it copies and runs gives a working command."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.compose import ROOT, Line, instructions
from tests.deploy.extras import wanted

SECONDS = 500
pytestmark = pytest.mark.timeout(SECONDS + 60)


class Stage:
    """A folder in the place of the image's file system, with a Python of its own for ``pip``."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.work = folder, folder
        self.opt = folder / "opt" / "streams"
        self.variables = {
            name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
        }
        self.variables["PIP_NO_COMPILE"] = "0"  # nothing is compiled ahead: pip wants a 0 for that
        venv.create(folder / "system", with_pip=True)

    def follow(self, line: Line) -> None:
        """Do what one instruction says."""
        if line.word == "WORKDIR":
            self.work = self.folder / line.rest.lstrip("/")
            self.work.mkdir(parents=True)
        elif line.word == "ENV":
            self.variables |= dict(pair.split("=", 1) for pair in line.rest.split())
        elif line.word == "COPY":
            self._copy(*line.rest.split())
        elif line.word == "RUN":
            self._run(shlex.split(line.rest))

    def _copy(self, *names: str) -> None:
        *sources, target = names
        for name in sources:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, self.work / target)
            else:
                place = self.work / target
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, place)

    def _run(self, words: list[str]) -> None:
        programs = {"python": sys.executable, "pip": str(self.folder / "system" / "bin" / "pip")}
        words[0] = programs.get(words[0], words[0])
        command = [word.replace("/opt/streams", str(self.opt)) for word in words]
        done = subprocess.run(
            command, cwd=self.work, env=self.variables, capture_output=True, text=True,
            timeout=SECONDS, check=False,
        )  # fmt: skip
        assert (0, words) == (done.returncode, words), done.stderr[-3000:]

    def streams(self, *words: str) -> str:
        """What the installed command prints."""
        command = [str(self.opt / "bin" / "streams"), *words]
        return subprocess.run(
            command, cwd="/", env=self.variables, capture_output=True, text=True, check=True
        ).stdout


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """The build stage, followed to its end."""
    lines = instructions(ROOT / "Dockerfile")
    ends = [number for number, line in enumerate(lines) if line.word == "FROM"]
    with tempfile.TemporaryDirectory(prefix="streams-image-") as folder:
        made = Stage(Path(folder))
        for line in lines[ends[0] : ends[1]]:
            made.follow(line)
        yield made


def test_the_command_runs(stage: Stage) -> None:
    """It knows its version, its settings and its sinks, away from the sources."""
    assert stage.streams("--version").startswith("streams ")
    assert "exactly_once" in stage.streams("config", "show")
    assert "by_txid" in stage.streams("topology")


def test_the_extras_are_installed(stage: Stage) -> None:
    """Drivers of the sinks and of the registry, and nothing that does not fit together."""
    pip = [str(stage.opt / "bin" / "pip"), "--disable-pip-version-check"]
    listed = subprocess.run(
        [*pip, "list", "--format", "freeze"], capture_output=True, text=True, check=True
    ).stdout
    have = {line.split("==")[0].lower().replace("_", "-") for line in listed.splitlines()}
    assert set() == wanted() - have
    subprocess.run([*pip, "check"], capture_output=True, check=True)
