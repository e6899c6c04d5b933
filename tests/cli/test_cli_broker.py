"""``streams broker``: started, found by the other commands, stopped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.broker.paths import cache_home
from tests.cli.cli_support import Cli

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="session")
def cache(kafka: str) -> Path:
    """The cache that the running broker came from."""
    return cache_home()


@pytest.fixture
def home(cache: Path, cli: Cli, tmp_path: Path) -> Iterator[Path]:
    """A home of its own, with the parts that are already fetched; nothing runs afterwards."""
    found = tmp_path / "home"
    found.mkdir()
    (found / "kafka").symlink_to(cache)
    yield found
    cli("broker", "stop")


@pytest.mark.usefixtures("home")
def test_a_broker_is_started_found_and_stopped(cli: Cli) -> None:
    """start, start again, status, another command without --broker, stop, stop again."""
    [started] = cli("broker", "start", "--output", "ndjson").lines()
    [again] = cli("broker", "start", "--output", "ndjson").lines()
    [status] = cli("broker", "status", "--output", "ndjson").lines()
    assert started == again == status
    assert ("running", True) == (started["state"], started["detached"])
    assert 0 == cli("topics", "apply").code
    assert {"ok"} == {row["state"] for row in cli("topics", "plan", "-o", "ndjson").lines()}
    [stopped] = cli("broker", "stop", "--output", "ndjson").lines()
    assert ("stopped", started["pid"]) == (stopped["state"], stopped["pid"])
    assert (0, "no embedded broker was running\n") == (cli("broker", "stop").code,
                                                       cli("broker", "stop").err)  # fmt: skip
    assert 4 == cli("topics", "plan").code


def test_its_data_may_lie_elsewhere(cli: Cli, home: Path, tmp_path: Path) -> None:
    """--data-dir is used, and kept when the broker stops."""
    folder = tmp_path / "data"
    [started] = cli("broker", "start", "--data-dir", str(folder), "-o", "ndjson").lines()
    cli("broker", "stop")
    assert (str(folder), True) == (started["data_dir"], any(folder.iterdir()))
