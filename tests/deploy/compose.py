"""What the tests read out of docker-compose.yml and the Dockerfiles."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
DOCKERFILES = [
    ROOT / "Dockerfile",
    ROOT / "deploy" / "bitcoind" / "Dockerfile",
    ROOT / "deploy" / "dwn-server" / "Dockerfile",
]
CONTENT: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = CONTENT["services"]
OURS = [name for name, one in SERVICES.items() if one["image"].startswith("streams:")]
"""Services that run our own image."""


def schema() -> dict[str, Any]:
    """The compose specification's schema, as check-jsonschema brings it.

    The package's own command does not start beside the click that Faust asks for.
    """
    found = importlib.util.find_spec("check_jsonschema")
    assert found is not None
    assert found.submodule_search_locations is not None
    folder = Path(found.submodule_search_locations[0])
    path = folder / "builtin_schemas" / "vendor" / "compose-spec.json"
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def once(name: str) -> bool:
    """Whether a service runs to its end once."""
    return SERVICES[name].get("restart") == "no"


def environment(name: str) -> dict[str, str]:
    """The environment of a service."""
    return dict(SERVICES[name].get("environment", {}))


def mounts(name: str) -> Iterator[tuple[str, str]]:
    """Volume and place of each named volume of a service."""
    for line in SERVICES[name].get("volumes", ()):
        volume, place, *_ = line.split(":")
        yield volume, place


def check(name: str) -> list[str]:
    """The command of a service's health check, as its container sees it."""
    kind, *words = SERVICES[name]["healthcheck"]["test"]
    assert "CMD" == kind
    return [word.replace("$$", "$") for word in words]


class Line(NamedTuple):
    """One instruction of a Dockerfile."""

    word: str
    rest: str


def instructions(path: Path) -> list[Line]:
    """The instructions of a Dockerfile, continued lines joined, comments left out."""
    text = re.sub(r"^#.*\n", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return [Line(*line.split(" ", 1)) for line in lines]


def copied(path: Path) -> list[str]:
    """What a Dockerfile copies from its context."""
    lines = [one.rest for one in instructions(path) if one.word == "COPY"]
    return [word for rest in lines if "--from=" not in rest for word in rest.split()[:-1]]


def sent(name: str) -> bool:
    """Whether .dockerignore lets a path of the context through; the last rule that fits counts."""
    result = True
    for rule in (ROOT / ".dockerignore").read_text().splitlines():
        if rule and not rule.startswith("#"):
            kept, pattern = rule.startswith("!"), rule.removeprefix("!").removeprefix("**/")
            if fnmatch(name, pattern) or name.startswith(f"{pattern}/"):
                result = kept
    return result
