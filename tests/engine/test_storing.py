"""Which store a task has, and what is refused before anything is consumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.engine import storing
from streams.engine.settings import EngineSettings
from streams.engine.stores import TaskStore
from streams.engine.storing import NoStore, check_store, new_store, state_home
from tests.engine.stores import needs_rocks


def test_memory_is_the_default_and_needs_nothing() -> None:
    """Without a setting, tasks have the store in memory, and no library is looked for."""
    check_store(EngineSettings())
    assert TaskStore is type(new_store(EngineSettings(), "by_txid", 0))


def test_a_missing_library_is_named_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is a wrong setting (exit code 6): the extra is named, and the way back."""
    monkeypatch.setattr(storing, "find_spec", lambda name: None)
    with pytest.raises(NoStore) as refused:
        check_store(EngineSettings(store="rocks"))
    assert "rocksdict is not installed" in refused.value.cause
    assert "pip install 'streams[rocks]'" in refused.value.remedy
    assert 6 == refused.value.code


@needs_rocks
def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """A file in its place, and nowhere to write: cause and remedy, no traceback later."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(NoStore) as refused:
        check_store(EngineSettings(store="rocks", state_dir=str(tmp_path / "taken" / "state")))
    assert "engine.state_dir cannot be used" in refused.value.cause


@needs_rocks
def test_each_task_has_a_folder_below_the_applications(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``state_dir``, else ``STREAMS_HOME``; no application id leads out of it."""
    here = EngineSettings(store="rocks", state_dir=str(tmp_path), application="../app")
    found = new_store(here, "by_txid", 3)
    assert tmp_path / "%2E%2E%2Fapp" / "by_txid" / "3" == found.folder  # type: ignore[attr-defined]
    monkeypatch.setenv("STREAMS_HOME", str(tmp_path / "home"))
    assert tmp_path / "home" / "state" == state_home(EngineSettings(store="rocks"))
