"""``streams schemas``: ids, releases, and a check that needs no registry."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from schemas import catalog, registry, release
from schemas.catalog import AVRO_DIR, TYPES
from tests.cli.cli_support import Cli


@pytest.fixture
def present(tmp_path: Path) -> Path:
    """A copy of the present schemas that a test may change."""
    folder = tmp_path / "present"
    folder.mkdir()
    for path in AVRO_DIR.glob("*.avsc"):
        shutil.copyfile(path, folder / path.name)
    return folder


def edit(folder: Path, name: str, change: Any) -> None:
    """Change one schema file."""
    path = folder / f"{name}.avsc"
    schema = json.loads(path.read_text())
    change(schema["fields"])
    path.write_text(json.dumps(schema))


def test_the_list_names_every_type_with_its_id(cli: Cli) -> None:
    """Ids are those of the lock."""
    rows = {row["type"]: row["id"] for row in cli("schemas", "list", "-o", "ndjson").lines()}
    assert registry.locked_ids() == rows


def test_the_committed_schemas_pass(cli: Cli) -> None:
    """The working tree is compatible with its last release."""
    ended = cli("schemas", "check")
    assert (0, "") == (ended.code, ended.out)
    assert ended.err.startswith("compatible with ")


@pytest.mark.parametrize(
    ("change", "directions"),
    [
        (lambda fields: fields.append({"name": "x", "type": "int"}), {"new reads old"}),
        (lambda fields: fields.pop(0), {"old reads new"}),
        (lambda fields: fields[0].update(type="long"), {"new reads old", "old reads new"}),
    ],
    ids=["field added", "field removed", "type changed"],
)
def test_an_incompatible_change_fails(
    cli: Cli, present: Path, change: Any, directions: set[str]
) -> None:
    """Exit code 9, and each break is a row with its place."""
    edit(present, "ml.label.v1", change)
    ended = cli("schemas", "check", "--present", str(present), "-o", "ndjson")
    assert (9, directions) == (ended.code, {row["direction"] for row in ended.lines()})
    assert {"ml.label.v1"} == {row["type"] for row in ended.lines()}


def test_a_field_with_a_default_is_compatible(cli: Cli, present: Path) -> None:
    """The way to extend a type."""
    new = {"name": "x", "type": ["null", "int"], "default": None}
    edit(present, "ml.label.v1", lambda fields: fields.append(new))
    assert 0 == cli("schemas", "check", "--present", str(present)).code


def test_a_new_version_must_get_on_with_the_old_one(cli: Cli, present: Path) -> None:
    """A file of its own is no way around compatibility."""
    shutil.copyfile(present / "ml.label.v1.avsc", present / "ml.label.v2.avsc")
    assert 0 == cli("schemas", "check", "--present", str(present)).code
    edit(present, "ml.label.v2", lambda fields: fields.pop(0))
    ended = cli("schemas", "check", "--present", str(present), "-o", "ndjson")
    [row] = ended.lines()
    assert (9, "ml.label.v2", "ml.label.v1") == (ended.code, row["type"], row["against"])


def test_a_deleted_type_fails(cli: Cli, present: Path) -> None:
    """Released data must stay readable."""
    (present / "ml.label.v1.avsc").unlink()
    ended = cli("schemas", "check", "--present", str(present))
    assert (9, True) == (ended.code, "removed" in ended.out)


def test_the_lock_gives_new_types_the_next_ids(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given ids stay; a second run has nothing to do."""
    lock = tmp_path / "ids.lock.json"
    old = json.loads(catalog.IDS_LOCK.read_text())
    last = max(old, key=lambda name: int(old[name]["id"]))
    number = old.pop(last)["id"]
    lock.write_text(json.dumps(old))
    monkeypatch.setattr(catalog, "IDS_LOCK", lock)
    monkeypatch.setattr(registry, "IDS_LOCK", lock)
    [added] = cli("schemas", "lock", "-o", "ndjson").lines()
    assert {"type": last, "id": number} == added
    assert [] == cli("schemas", "lock", "-o", "ndjson").lines()


def test_an_edited_schema_is_found(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A schema that changed after it had an id: exit code 9, and what to do."""
    lock = tmp_path / "ids.lock.json"
    old = json.loads(catalog.IDS_LOCK.read_text())
    old["ml.label.v1"]["sha256"] = "0" * 64
    lock.write_text(json.dumps(old))
    monkeypatch.setattr(registry, "IDS_LOCK", lock)
    ended = cli("schemas", "check")
    assert (9, True) == (ended.code, "ml.label.v1.avsc was edited" in ended.err)


def test_a_release_is_kept_once(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time is refused; a release is never changed."""
    monkeypatch.setattr(release.release, "__defaults__", (AVRO_DIR, tmp_path / "released"))
    first, second = cli("schemas", "release", "7.0.0"), cli("schemas", "release", "7.0.0")
    assert (0, 2) == (first.code, second.code)
    assert True is ("exists already" in second.err)
    assert len(TYPES) == len(list((tmp_path / "released" / "7.0.0").glob("*.avsc")))
