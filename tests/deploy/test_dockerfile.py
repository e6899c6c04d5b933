"""The Dockerfiles name files that are there, install what is locked, and run as nobody special."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from tests.deploy import extras
from tests.deploy.compose import (
    DOCKERFILES,
    ROOT,
    SERVICES,
    check,
    copied,
    environment,
    instructions,
    sent,
)
from tests.deploy.test_compose import parsed

IDS = [str(path.relative_to(ROOT)) for path in DOCKERFILES]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("path", DOCKERFILES, ids=IDS)
def test_what_is_copied_is_there(path: Path) -> None:
    """Every file and folder that is copied exists, and .dockerignore lets it through."""
    names = copied(path)
    assert [] == [name for name in names if not (ROOT / name).exists()]
    assert [] == [name for name in names if not sent(name)]


@pytest.mark.parametrize(
    "name", ["deploy/secrets/postgres_password", ".git", ".venv", "streams-data"]
)
def test_what_is_private_is_not_sent(name: str) -> None:
    """Neither secrets nor environments nor data reach the builder."""
    assert not sent(name)


@pytest.mark.parametrize("path", DOCKERFILES, ids=IDS)
def test_bases_are_pinned(path: Path) -> None:
    """Every base image has a version, or is a stage before."""
    lines = [one.rest.split() for one in instructions(path) if one.word == "FROM"]
    stages = {words[2] for words in lines if len(words) == 3} | {"fetch-${TARGETARCH}"}
    bases = [words[0] for words in lines if words[0] not in stages]
    assert [] == [base for base in bases if not re.search(r":(\d|trixie)[\w.-]*$", base)]


@pytest.mark.parametrize("path", DOCKERFILES, ids=IDS)
def test_nothing_runs_as_root(path: Path) -> None:
    """The last user is the one that the compose file names."""
    users = [one.rest for one in instructions(path) if one.word == "USER"]
    assert ["10001:10001"] == users


@pytest.mark.parametrize("path", DOCKERFILES, ids=IDS)
def test_everything_that_is_fetched_is_checked(path: Path) -> None:
    """pip asks for hashes or takes nothing from outside, npm follows its lock, ADD has a digest."""
    for one in instructions(path):
        for command in one.rest.split(" && "):
            if re.search(r"\bpip (install|wheel)\b", command):
                assert "--require-hashes" in command or "--no-deps" in command
            if command.startswith("npm ") and "cache" not in command:
                assert command.startswith("npm ci ")
            assert not re.search(r"\b(curl|wget|apt-get)\b", command)
        if one.word == "ADD":
            assert re.match(r"--checksum=sha256:[0-9a-f]{64} https://", one.rest)


def test_lock_files_that_are_installed_are_copied() -> None:
    """Each ``-r`` names a lock file that was copied before."""
    lines = instructions(ROOT / "Dockerfile")
    wanted = [name for one in lines for name in re.findall(r"-r locks/(\S+)", one.rest)]
    have = [Path(name).name for name in copied(ROOT / "Dockerfile")]
    assert {"run.lock", "build.lock", "extras.lock", "sdist.lock"} == set(wanted)
    assert [] == [name for name in wanted if name not in have]


def test_the_wheel_has_the_name_that_is_installed() -> None:
    """The version is that of the project, in the Dockerfile and in the compose file."""
    name = f"{PROJECT['name']}-{PROJECT['version']}-py3-none-any.whl"
    assert any(name in one.rest for one in instructions(ROOT / "Dockerfile"))
    assert f"streams:{PROJECT['version']}" == SERVICES["worker"]["image"]


def test_every_package_of_the_wheel_is_copied() -> None:
    """What pyproject.toml packs, the build stage has."""
    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]
    wheel = hatch["build"]["targets"]["wheel"]["packages"]
    assert set(wheel) <= set(copied(ROOT / "Dockerfile"))


def test_the_images_own_command_and_check() -> None:
    """Without a compose file it is a worker that answers where its own check asks."""
    lines = instructions(ROOT / "Dockerfile")
    (command,) = [one.rest for one in lines if one.word == "CMD"]
    (health,) = [one.rest for one in lines if one.word == "HEALTHCHECK"]
    assert "worker" == parsed(json.loads(command)).info_name
    listens = re.search(r"STREAMS_HEALTH_LISTEN=\S+:(\d+)", " ".join(one.rest for one in lines))
    assert listens is not None
    asked = json.loads(health.partition("CMD ")[2])
    assert f":{listens[1]}/readyz" in asked[-1]
    assert check("worker")[-1] == asked[-1].replace("'", '"')
    assert environment("worker")["STREAMS_HEALTH_LISTEN"].endswith(f":{listens[1]}")


def test_the_extras_are_locked() -> None:
    """deploy/extras.lock is fresh: else run ``python -m tests.deploy.extras``."""
    assert extras.content() == extras.LOCK.read_text()


def test_the_extras_are_those_of_the_services() -> None:
    """What the services import beside the core is in one of the two lock files."""
    have = extras.entries("run.lock").keys() | extras.entries("dev.lock").keys()
    assert {"asyncpg", "httpx2", "httpcore2", "authlib", "joserfc"} <= extras.wanted() <= have
