"""Fixtures of the schema registry's tests: real registries, a broker, the command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams.broker import BrokerError, EmbeddedBroker
from streams.cli.main import app
from streams.ops.admin import Admin, wanted
from streams.registry import Registry
from tests.cli.cli_support import Cli, Ended
from tests.kafka.world import DEMO, World, story_of, until
from tests.registry.server import RegistryServer, ServerUnavailable, registry_server

OTHERS = 7
"""Schemas of other teams, which a registry that is shared has numbered before ours."""


@pytest.fixture(scope="package")
def server() -> Iterator[RegistryServer]:
    """One registry for these tests, in which ids differ from the lock's; no test ends it."""
    yield from _started()


@pytest.fixture
def doomed() -> Iterator[RegistryServer]:
    """A registry of its own, for a test that ends it."""
    yield from _started()


def _started() -> Iterator[RegistryServer]:
    try:
        with registry_server() as running:
            _number_others(running.url)
            yield running
    except ServerUnavailable as error:
        pytest.skip(f"no schema registry here: {error}")


def _number_others(url: str) -> None:
    with Registry(url) as registry:
        for number in range(OTHERS):
            schema = {"type": "record", "name": f"Other{number}", "fields": []}
            registry.register(f"other{number}.v1", json.dumps(schema))


@pytest.fixture(scope="package")
def broker() -> Iterator[str]:
    """A broker whose topics each test makes anew; its groups notice a dead worker soon."""
    running = EmbeddedBroker(extra={"group.min.session.timeout.ms": "1000"})
    try:
        running.start()
    except BrokerError as error:
        pytest.skip(f"no embedded Kafka here: {error}")
    with running:
        yield running.bootstrap


@pytest.fixture
def lab(broker: str, tmp_path: Path) -> Iterator[World]:
    """The demo's application without a registry, on fresh topics that the broker is aware of."""
    world = World(broker, tmp_path, story_of(DEMO))
    world.fresh_topics()
    names = {planned.topic for planned in wanted(world.topology, world.settings)}
    until("the topics", lambda: names <= Admin(world.settings).partitions().keys())
    yield world
    world.close()


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, an empty folder to work in, and no settings."""
    for name in ("STREAMS_BROKER", "STREAMS_CONFIG", "STREAMS_SCHEMA_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STREAMS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def cli(home: Path) -> Cli:
    """Run ``streams`` with these arguments."""

    def run(*args: str, stdin: str | bytes | None = None) -> Ended:
        result = CliRunner().invoke(app, list(args), input=stdin, prog_name="streams")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    return run
