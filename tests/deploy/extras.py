"""The lock file of what the image has beside ``requirements/run.lock``: ``deploy/extras.lock``.

``python -m tests.deploy.extras`` writes it again, from the pins and hashes of
``requirements/dev.lock``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import requires
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "deploy" / "extras.lock"
EXTRAS = ("registry", "postgres", "webhook")
"""What docker-compose.yml needs, and the sinks that need nothing else."""
HEAD = (
    "# Extras of the image. Written by `python -m tests.deploy.extras` from requirements/dev.lock."
)
_ENTRY = re.compile(r"^([A-Za-z0-9._-]+)==(?:.*\n)(?: +--hash=.*\n?)+", re.MULTILINE)


def content() -> str:
    """The file: an entry for each package of the extras that run.lock has not."""
    pinned = entries("run.lock")
    locked = entries("dev.lock")
    return "\n".join([HEAD, *(locked[name] for name in sorted(wanted() - pinned.keys()))]) + "\n"


def entries(name: str) -> dict[str, str]:
    """By package, its lines of a lock file, without the comments."""
    text = re.sub(r"^ *#.*\n", "", (ROOT / "requirements" / name).read_text(), flags=re.MULTILINE)
    return {
        canonicalize_name(found[1]): found[0].rstrip().removesuffix("\\").rstrip()
        for found in _ENTRY.finditer(text)
    }


def wanted() -> set[str]:
    """Every package that the extras bring, with those that these bring."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [line for extra in EXTRAS for line in project["optional-dependencies"][extra]]
    found: set[str] = set()
    _follow(lines, found)
    return found


def _follow(lines: Iterable[str], found: set[str]) -> None:
    for name in _names(lines):
        if name not in found:
            found.add(name)
            _follow(requires(name) or [], found)


def _names(lines: Iterable[str]) -> Iterator[str]:
    here = {**{k: str(v) for k, v in default_environment().items()}, "extra": ""}
    for line in lines:
        one = Requirement(line)
        if one.marker is None or one.marker.evaluate(here):
            yield canonicalize_name(one.name)


if __name__ == "__main__":
    LOCK.write_text(content())
