"""The wheel holds the four packages and what they need, and nothing else at top level."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from schemas.catalog import TYPES

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Names of the files in a wheel built from this tree."""
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target)]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True)
    (wheel,) = target.glob("*.whl")
    return zipfile.ZipFile(wheel).namelist()


def test_nothing_else_is_installed_at_top_level(names: list[str]) -> None:
    """Four packages and the metadata."""
    tops = {name.split("/")[0] for name in names}
    assert {t for t in tops if not t.endswith(".dist-info")} == {
        "schemas",
        "joins",
        "sinks",
        "streams",
    }


def test_packages_are_typed(names: list[str]) -> None:
    """Each package says that it has types (PEP 561)."""
    assert {f"{p}/py.typed" for p in ("schemas", "joins", "sinks", "streams")} <= set(names)


def test_schemas_locks_and_data_are_inside(names: list[str]) -> None:
    """What is read at run time ships: schemas, ids, jar digests, the demo's input."""
    wanted = {f"schemas/avro/{t.name}.avsc" for t in TYPES}
    wanted |= {"schemas/avro/ids.lock.json", "streams/broker/kafka.lock.toml"}
    wanted |= {"streams/data/413567.raw.xz", "streams/data/demo.ndjson", "streams/data/NOTICE.md"}
    assert sorted(wanted - set(names)) == []


def test_every_dependency_has_its_licence_and_reason() -> None:
    """Each dependency line of pyproject.toml ends with a comment: licence, and why."""
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    start = lines.index("dependencies = [")
    end = next(n for n, line in enumerate(lines) if n > start and line == "]")
    bare = [line for line in lines[start + 1 : end] if "#" not in line or ": " not in line]
    assert bare == []


def test_lock_files_hold_hashes_and_no_address() -> None:
    """Every pinned package has hashes, and no line names a place to fetch it from."""
    for path in sorted((ROOT / "requirements").glob("*.lock")):
        text = path.read_text()
        assert "://" not in text, path.name
        pins = [line for line in text.splitlines() if "==" in line and not line.startswith(" ")]
        assert pins
        assert all(line.rstrip().endswith("\\") for line in pins), path.name


def test_run_lock_covers_the_dependencies() -> None:
    """Every runtime dependency is pinned in the lock that `make demo` installs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {
        line.split("==")[0] for line in (ROOT / "requirements/run.lock").read_text().splitlines()
    }
    names = {d.split(">")[0].split("=")[0].strip() for d in project["dependencies"]}
    assert sorted(names - pinned) == []
