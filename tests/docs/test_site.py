"""The site is built from the pages, all of them, and a broken link stops it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.docs.render import DOCS, ROOT

SETTINGS = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]
SECONDS = 120


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """What ``make site`` runs, on the project in a folder."""
    program = Path(sys.executable).parent / "zensical"
    if not program.exists():
        pytest.skip("not installed: the Python package zensical")
    return subprocess.run(
        [str(program), "build", "--strict", "--clean"],
        cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the settings and the pages."""
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    shutil.copytree(DOCS, tmp_path / "docs")
    return tmp_path


def pages(nav: Any) -> list[str]:
    """The pages of the navigation, in order."""
    if isinstance(nav, str):
        return [nav]
    children = nav.values() if isinstance(nav, dict) else nav
    return [page for child in children for page in pages(child)]


def test_the_site_is_built(project: Path) -> None:
    """Every page becomes one of the site; its headings, tables and pictures are there."""
    done = build(project)
    assert (0, "No issues found\n") == (done.returncode, done.stderr)
    site = project / SETTINGS["site_dir"]
    names = [path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")]
    assert [] == [str(name) for name in names if not (site / name).is_file()]
    commands = (site / "reference" / "cli.html").read_text()
    assert "streams source bitcoin" in re.sub("<[^>]+>", "", commands)
    assert "&lt;debug|info|warn|error&gt;" in commands.replace("&#124;", "|")
    assert 'class="mermaid"' in (site / "topology.html").read_text()


def test_a_broken_link_stops_it(project: Path) -> None:
    """A link to a page or a heading that is not there is an error."""
    page = project / "docs" / "index.md"
    text = page.read_text()
    for link in ("[a](nowhere.md)", "[a](semantics.md#nowhere)"):
        page.write_text(f"{text}\n{link}\n")
        assert 0 != build(project).returncode


def test_every_page_can_be_found() -> None:
    """The navigation has each page once, and none that is not there."""
    found = pages(SETTINGS["nav"])
    assert sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")) == sorted(found)


def test_nothing_is_fetched_from_elsewhere() -> None:
    """The site brings its fonts from nowhere."""
    assert SETTINGS["theme"]["font"] is False
