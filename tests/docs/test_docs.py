"""The documents say what is there: links, names, steps, generated parts, settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams.cli.main import app
from streams.config import load
from tests.docs.reading import (
    ADRS,
    CONTRIBUTING,
    DOCUMENTS,
    blocks,
    inline,
    links,
    name,
    sections,
    steps,
)
from tests.docs.render import README, ROOT, between, parts

RECIPES = [heading for heading in sections(CONTRIBUTING.read_text()) if re.match("An? ", heading)]
MOST_STEPS = 8
MOST_LINES = 200
ELSEWHERE = re.compile(r"/(?:home|root|tmp|work|Users)/")


@pytest.mark.parametrize(
    ("path", "part"), [(p, part) for p, found in parts().items() for part in found], ids=str
)
def test_generated_parts_are_fresh(path: Path, part: str) -> None:
    """What is generated is what the code gives now: else run ``python -m tests.docs.render``."""
    assert parts()[path][part] == between(path.read_text(), part)


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_links_resolve(path: Path) -> None:
    """Every link to a file of the project leads to one."""
    assert [] == [t for t in links(path.read_text()) if not (path.parent / t).exists()]


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_files_that_are_named_exist(path: Path) -> None:
    """A path between backticks that is written out is a path of the project."""
    named = [t for t in inline(path.read_text()) if re.fullmatch(r"[\w.-]+(/[\w.-]+)+", t)]
    files = [t for t in named if re.search(r"\.(py|md|toml|yaml|ndjson)$", t)]
    assert [] == [t for t in files if not (ROOT / t).exists()]


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_commands_that_are_named_exist(path: Path) -> None:
    """Every ``streams`` command and ``make`` target between backticks is there."""
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = path.read_text()
    made = re.findall(r"(?:`|\$ )make ([a-z-]+)", text)
    assert [] == [target for target in made if target not in targets]
    for words in {w for w in inline(text) if re.match(r"streams [a-z]", w)}:
        command = re.split(r"\s(?=[-<\[|])", words)[0].split()[1:]
        result = CliRunner().invoke(app, [*command, "--help"], prog_name="streams")
        assert (0, words) == (result.exit_code, words)


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_no_path_of_one_machine(path: Path) -> None:
    """No document names a folder that only its writer has."""
    assert [] == ELSEWHERE.findall(path.read_text())


def test_readme_is_short() -> None:
    """The README stays under its limit, picture included."""
    assert len(README.read_text().splitlines()) < MOST_LINES


def test_readme_settings_load(tmp_path: Path) -> None:
    """The README's settings file is one, and its rules arrive in their order."""
    path = tmp_path / "streams.toml"
    path.write_text(blocks(README.read_text(), "toml")[0])
    loaded = load(environment={}, path=path).config.payments
    assert ["large", "rest"] == [rule.name for rule in loaded.rules]
    assert loaded.watches("13CH68o19KhWni8ZbiNfuTSTMBaA5NPnis")


def test_every_kind_of_addition_has_its_recipe() -> None:
    """A pattern, a feature, a sink, a source, a step and an event type each have one."""
    kinds = ["A pattern", "A feature", "A sink", "A source", "A step", "An event type"]
    assert kinds == RECIPES


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_is_short_and_has_one_new_file(recipe: str) -> None:
    """At most eight steps; beside tests, only the first of them makes a file."""
    found = steps(sections(CONTRIBUTING.read_text())[recipe])
    made = [n for n, step in enumerate(found) if re.match(r"Write `(?!tests/)", step)]
    assert ([0], True) == (made, len(found) <= MOST_STEPS)


@pytest.mark.parametrize("path", ADRS, ids=name)
def test_decision_has_every_part(path: Path) -> None:
    """Each record of a decision follows the template, and says how it stands."""
    text, template = path.read_text(), (ROOT / "docs" / "adr" / "template.md").read_text()
    assert list(sections(template)) == list(sections(text))
    assert re.search(r"^Status: (proposed|accepted|superseded by \d{4})$", text, re.MULTILINE)
    assert text.startswith(f"# {path.name[:4]}: ")
