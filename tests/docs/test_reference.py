"""The reference pages are complete, and mean what they say."""

from __future__ import annotations

import re
import typing

import msgspec
import pytest
import typer

from sinks import catalog
from streams.chain.payments import Rule
from streams.cli.main import app
from streams.config import _NOT_SETTINGS, Config, load
from streams.ops.logs import LEVELS
from tests.docs import bench_page, cli_page, config_page, sinks_page
from tests.docs.reading import commands
from tests.docs.render import DOCS, README, REFERENCE, ROOT, between
from tests.docs.shell import saved, shown

SETTINGS = list(config_page.settings())
FIGURES = """
<!-- keyed_count: written by the bench -->
2026-01-02; cpu a CPU, cores 2.

| case | contender | rate | ours / it | goal |
| --- | --- | --- | --- | --- |
| 1000 | ours | 450,000 (440,000-460,000) |  |  |
| 1000 | quix | 27,540 | 16.34 | >= 3 |
| 100000 | ours | 190,000 |  |  |
| 100000 | quix | 20,000 | 9.50 | >= 3 |

<!-- keyed_count: end -->
"""


def words(command: typing.Any, path: str) -> list[str]:
    """The words of a command and of all below it."""
    below = getattr(command, "commands", {}).items()
    return [path, *(one for name, child in below for one in words(child, f"{path} {name}"))]


def test_every_command_has_its_section() -> None:
    """Groups and the commands in them, each with its usage."""
    page = cli_page.page()
    found = words(typer.main.get_command(app), "streams")
    headings = {line.lstrip("# ") for line in page.splitlines() if line.startswith("##")}
    assert set(found[1:]) == headings
    assert [] == [one for one in found if f"```text\n{one} " not in page]


def test_every_setting_is_there_with_its_meaning() -> None:
    """What `streams config show` has, the page has, and no setting is without words."""
    names = set(load(environment={}).origins)
    assert names == {one.name for one in SETTINGS}
    assert [] == [one.name for one in SETTINGS if not one.words]
    assert "" not in {one.words for one in config_page.settings(Rule)}


@pytest.mark.parametrize("one", [s for s in SETTINGS if s.variable != "-"], ids=lambda s: s.name)
def test_variables_set_their_settings(one: config_page.Setting) -> None:
    """The variable that stands beside a setting sets it."""
    text = {"schema_registry": "http://h:1", "health_listen": "h:1"}.get(one.name, "")
    kind = one.default.strip("`").replace(",", "")
    value = text or ("u:p" if one.name.endswith("user_info") else kind or "x")
    loaded = load(environment={one.variable: value})
    assert f"environment {one.variable}" == loaded.origins[one.name].replace(".", "__")


def test_variables_that_are_no_settings_are_named() -> None:
    """All but the switch of our own tests."""
    page = (REFERENCE / "config.md").read_text()
    assert ["STREAMS_DEEP"] == [name for name in _NOT_SETTINGS if name not in page]


def test_the_defaults_are_the_defaults() -> None:
    """A default of the page, read as a setting, gives the configuration without any."""
    plain = {o.name: o.default for o in SETTINGS if o.default not in ("-", "empty", "required")}
    del plain["payments.rules"]
    flags = {name: text.strip("`").replace(",", "") for name, text in plain.items()}
    assert msgspec.to_builtins(Config()) == msgspec.to_builtins(load(flags, {}).config)


def test_every_event_of_a_worker_has_its_row() -> None:
    """What its code reports is in the table of the page on operation."""
    code = "".join(path.read_text() for path in (ROOT / "streams").rglob("*.py"))
    events = {*re.findall(r'\b_?report\(\s*"(\w+)"', code), *LEVELS}
    page = (DOCS / "how-to" / "operate.md").read_text().partition("Events of the engine:")[2]
    rows = {name for row in re.findall(r"^\| (`.+?) \|", page, re.M) for name in row.split("`")}
    assert {"worker", "standby_lost", "schema_ids"} <= events
    assert set() == events - rows


def test_every_sink_has_its_section() -> None:
    """Each with all its settings, and none without words."""
    page = sinks_page.page()
    for name in catalog.BUILT_IN:
        assert f"## {name}\n" in page
        for setting in catalog.describe(name):
            assert f"| `{setting.name}` |" in page
            assert setting.description


def test_without_figures_none_are_shown() -> None:
    """What the bench has not measured is not claimed."""
    empty = FIGURES[: FIGURES.index("2026")] + "Not yet measured.\n<!-- keyed_count: end -->"
    assert bench_page.NONE_YET == bench_page.page(empty)
    assert bench_page.NONE_YET == bench_page.page("")


def test_figures_are_those_of_the_bench() -> None:
    """Medians and ratios, a row a contender, with the day and the machine."""
    lines = bench_page.page(FIGURES).splitlines()
    assert "| Events a second | 1,000 keys | ours / it | 100,000 keys | ours / it |" == lines[0]
    assert "| `ours` | 450,000 |  | 190,000 |  |" == lines[2]
    assert "| `quix` | 27,540 | 16.34 | 20,000 | 9.50 |" == lines[3]
    assert "2026-01-02; cpu a CPU, cores 2." == lines[-1]


def test_readme_and_comparison_show_the_same_figures() -> None:
    """One table, in both places."""
    texts = [path.read_text() for path in (README, DOCS / "comparison.md")]
    assert between(texts[0], "bench") == between(texts[1], "bench")


def test_documents_that_are_run_are_read_right() -> None:
    """Files to save, commands, and what the last command of a block prints."""
    text = (
        "Save this as `a.py`:\n\n```python\nx = 1\n```\n\nRun:\n\n"
        "```sh\nls\npython a.py  # now\n```\n\n```text\n1\n```\n"
    )
    assert {"a.py": "x = 1\n"} == saved(text)
    assert ["ls", "python a.py"] == commands(text)
    assert {"python a.py": "1\n"} == shown(text)
