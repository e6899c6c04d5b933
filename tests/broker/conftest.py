"""Fixtures of the broker tests: the user's jar cache, homes of their own, a local repository."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from broker_support import Repository, serving

from streams.broker.errors import BrokerError
from streams.broker.fetch import MIRROR_VARIABLE
from streams.broker.jars import class_path
from streams.broker.java import java_binary
from streams.broker.lock import load_lock
from streams.broker.paths import HOME_VARIABLE, cache_home


@pytest.fixture(scope="session")
def cache() -> Path:
    """The user's own cache with Kafka in place, fetched now if it was not."""
    home = cache_home()
    try:
        java_binary()
        class_path(home, print)
    except BrokerError as error:
        pytest.skip(f"no embedded Kafka here: {error}")
    return home


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every attempt to fetch fail at once."""
    monkeypatch.setenv(MIRROR_VARIABLE, "http://127.0.0.1:9/maven2")


@pytest.fixture
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home for the record of the running broker, not the user's; returns its record folder."""
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    monkeypatch.delenv("STREAMS_BROKER", raising=False)
    return tmp_path / "home" / "broker"


@pytest.fixture
def own_home(tmp_path: Path, cache: Path) -> Path:
    """A copy of the jars that a test may damage."""
    home = tmp_path / "kafka"
    (home / "jars").mkdir(parents=True)
    for jar in load_lock().jars:
        shutil.copyfile(cache / "jars" / jar.name, home / "jars" / jar.name)
    return home


@pytest.fixture
def repository(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    """A Maven repository on loopback, the only place to fetch from."""
    with serving(Repository(cache / "jars")) as served:
        monkeypatch.setenv(MIRROR_VARIABLE, served.url)
        yield served
