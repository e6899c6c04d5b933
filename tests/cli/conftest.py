"""Fixtures of the command line tests: the command, and brokers with our topics."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams.broker import EmbeddedBroker
from streams.cli.main import app
from streams.topics import STORED
from tests.cli.cli_support import Cli, Ended, apply_topics
from tests.client.place import Place


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """Run ``streams`` with these arguments, in an empty folder and without settings."""
    for name in ("STREAMS_BROKER", "STREAMS_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STREAMS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def run(*args: str, stdin: str | bytes | None = None) -> Ended:
        result = CliRunner().invoke(app, list(args), input=stdin, prog_name="streams")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture(scope="session")
def applied(kafka: str) -> str:
    """The address of a broker with all topics."""
    apply_topics(kafka)
    return kafka


@pytest.fixture(scope="package")
def second(kafka: str) -> Iterator[str]:
    """The address of a second broker; ``kafka`` says that one can be had here."""
    with EmbeddedBroker() as broker:
        yield broker.bootstrap


@pytest.fixture
def other(second: str) -> str:
    """The same with all topics, which are empty for each test."""
    Place(second).remove(*STORED)
    apply_topics(second)
    return second
