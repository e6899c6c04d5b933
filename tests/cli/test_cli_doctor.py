"""``streams doctor``: each line has a state and a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.ops.doctor import NOTHING, broker, disk, jars, packages, python
from tests.cli.cli_support import Cli


@pytest.mark.kafka
def test_a_sound_system_is_told_so(cli: Cli, applied: str) -> None:
    """No check fails; what is ok has nothing to do, what is not has a remedy."""
    ended = cli("doctor", "--broker", applied, "--output", "ndjson")
    rows = {row["check"]: row for row in ended.lines()}
    assert (0, set()) == (ended.code, {n for n, r in rows.items() if r["state"] == "fail"})
    assert True is rows.keys().__ge__({"python", "packages", "schema ids", "broker", "topics"})
    assert [] == [n for n, r in rows.items() if (r["state"] == "ok") != (r["remedy"] == NOTHING)]


def test_without_a_broker_it_fails_and_says_how_to_get_one(cli: Cli) -> None:
    """Exit code 10 and the command that repairs it."""
    ended = cli("doctor", "--output", "ndjson")
    row = {row["check"]: row for row in ended.lines()}["broker"]
    assert (10, "fail", True) == (ended.code, row["state"], "streams broker start" in row["remedy"])


@pytest.mark.kafka
def test_wrong_topics_are_named(cli: Cli, applied: str) -> None:
    """Another partition count than the settings' is a failure for each topic."""
    ended = cli("doctor", "--broker", applied, "--set", "partitions=3", "-o", "ndjson")
    rows = {row["check"]: row for row in ended.lines()}
    expected = (10, "fail", "has 4 partitions, needs 3")
    assert expected == (ended.code, rows["topic alerts"]["state"], rows["topic alerts"]["found"])


def test_missing_and_old_packages_are_named() -> None:
    """A pinned version must be exact, a least version may be newer."""
    found = packages(["msgspec>=999", "typer==0.0.1", "no-such-package>=1", "rich>=1"])
    expected = ("msgspec is ", "typer is ", "no-such-package is not installed")
    assert ("fail", [True] * 3) == (found.state, [words in found.found for words in expected])
    assert "ok" == packages().state


def test_an_unsupported_python_is_a_failure() -> None:
    """The versions are those of the package's metadata."""
    assert ["fail", "ok", "ok", "fail"] == [
        python(v).state for v in ((3, 10, 9), (3, 11, 0), (3, 13, 2), (3, 14, 0))
    ]


def test_a_full_disk_is_a_warning(tmp_path: Path) -> None:
    """The folder need not exist yet."""
    assert "warn" == disk(tmp_path / "a" / "b", least=1 << 60).state
    assert "ok" == disk(tmp_path, least=1).state


def test_parts_that_are_not_fetched_are_a_warning(tmp_path: Path) -> None:
    """The first start fetches them."""
    found = jars(tmp_path)
    assert ("warn", True) == (found.state, "streams broker start" in found.remedy)


def test_a_dead_address_is_a_failure() -> None:
    """Nobody listens on the discard port of loopback."""
    assert "fail" == broker("127.0.0.1:9").state
