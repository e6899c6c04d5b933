"""Sinks by name: ours, those of other packages, their settings, and what is missing."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from sinks import catalog
from sinks.base import MissingDriver, Permanent
from sinks.memory import MemorySink

OURS = ["duckdb", "memory", "ndjson", "parquet", "postgres", "webhook"]


class NeverSink(MemorySink):
    """A sink of another package."""

    class Config(msgspec.Struct, frozen=True):
        """No settings."""

    summary: ClassVar[str] = "Another package's sink."


def test_our_sinks_have_names() -> None:
    """The built-in sinks are there without any installation."""
    assert set(OURS) <= set(catalog.names())


@pytest.mark.parametrize("name", OURS)
def test_every_setting_is_described(name: str) -> None:
    """Documentation is derived from the class; a setting without words fails here."""
    assert all(s.description.endswith(".") for s in catalog.describe(name))
    assert catalog.load(name).summary.endswith(".")


def test_a_setting_has_type_default_and_words() -> None:
    """What a table of settings needs is in one place."""
    found = {s.name: (s.type, s.required, s.default) for s in catalog.describe("parquet")}
    assert {
        "directory": ("str", True, None),
        "rows_per_file": ("int", False, 100_000),
        "compression": ("none | snappy | zstd", False, "zstd"),
    } == found


def test_settings_may_be_text(tmp_path: Path) -> None:
    """Numbers from environment variables come as text."""
    settings = {"directory": str(tmp_path), "rows_per_file": "10"}
    catalog.open_sink("parquet", settings).close()
    assert (tmp_path / "parquet").is_dir()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "missing required field `directory`"),
        ({"directory": "x", "rows_per_file": 0}, "rows_per_file"),
        ({"directory": "x", "rows_per_fil": 1}, "rows_per_fil"),
        ({"directory": "x", "compression": "rar"}, "compression"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, object], words: str) -> None:
    """The message says which setting is wrong and which there are."""
    with pytest.raises(Permanent, match=words) as caught:
        catalog.open_sink("parquet", settings)
    assert "its settings are: directory, rows_per_file, compression" in str(caught.value)


def test_a_sink_that_nobody_has() -> None:
    """The message lists the names that there are."""
    with pytest.raises(Permanent, match=r"no sink 'postgers'; choose one of: .*duckdb, memory"):
        catalog.load("postgers")


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("duckdb", "duckdb", "duckdb"),
        ("duckdb", "pyarrow", "duckdb"),
        ("parquet", "pyarrow", "parquet"),
        ("postgres", "asyncpg", "postgres"),
        ("webhook", "httpx2", "webhook"),
        ("webhook", "standardwebhooks", "webhook"),
        ("webhook", "tenacity", "webhook"),
    ],
)
def test_a_missing_driver_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, module: str, extra: str
) -> None:
    """Settings can be described without the driver; opening names the line to run."""
    monkeypatch.setitem(sys.modules, module, None)
    assert catalog.describe(name)
    monkeypatch.setenv("HOOK", "whsec_" + "QUJD" * 8)
    settings = {
        "duckdb": {"path": "x"},
        "parquet": {"directory": str(tmp_path)},
        "postgres": {"uri": "postgresql://127.0.0.1/x"},
        "webhook": {"url": "http://127.0.0.1/", "secret": "env:HOOK"},
    }[name]
    with pytest.raises(MissingDriver) as caught:
        catalog.open_sink(name, settings)
    assert f"pip install 'streams[{extra}]'" in str(caught.value)


def test_a_sink_of_another_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An installed distribution with an entry point in ``streams.sinks`` adds its sink."""
    info = tmp_path / "other-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[streams.sinks]\nnever = {__name__}:NeverSink\nduckdb = {__name__}:NeverSink\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    assert "never" in catalog.names()
    assert "Another package's sink." == catalog.load("never").summary
    assert "DuckDBSink" == catalog.load("duckdb").__name__  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["postgres", "webhook"])
def test_every_setting_is_in_the_guide(name: str) -> None:
    """What can be set is explained where people look for it."""
    text = (Path(__file__).parents[2] / "docs" / "how-to" / "sinks.md").read_text()
    assert [] == [s.name for s in catalog.describe(name) if f"| `{s.name}` |" not in text]
