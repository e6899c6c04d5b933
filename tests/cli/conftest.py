"""The command line as a user calls it: arguments in; output, errors and exit code out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from streams.broker import BrokerError, EmbeddedBroker
from streams.cli.main import app


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def lines(self) -> list[Any]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


Cli = Callable[..., Ended]


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


@pytest.fixture
def other(kafka: str) -> Iterator[str]:
    """The address of a second, empty broker with all topics."""
    with EmbeddedBroker() as broker:
        apply_topics(broker.bootstrap)
        yield broker.bootstrap


def apply_topics(bootstrap: str) -> None:
    """What ``streams topics apply`` does."""
    result = CliRunner().invoke(app, ["topics", "apply", "--broker", bootstrap])
    if result.exit_code:
        raise BrokerError(result.stderr, "see the broker's log")
