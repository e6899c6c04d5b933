"""The whole of docker-compose.yml as processes: a block of the node becomes rows in PostgreSQL.

Every command, every variable and every health check is that of the file; only addresses, ports and
folders are those of the test.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.make_secrets import main as make_secrets
from streams.broker import BrokerError
from tests.bitcoin.node import node_home
from tests.deploy.compose import CONTENT, ROOT, SERVICES, check, environment
from tests.deploy.servers import Kafka, Registry, asked, free, here, until
from tests.registry import server as registry_files

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.registry,
    pytest.mark.bitcoind,
    pytest.mark.timeout(600),
]
BIN = Path(sys.executable).parent
ROWS = "select count(*) as n, max(height) as height from streams.bitcoin_tip_live"


class Stack:
    """What is there of the file, on loopback."""

    def __init__(self, folder: Path, kafka: Kafka, registry: Registry, postgres: Any) -> None:
        self.folder, self.processes = folder, dict[str, subprocess.Popen[bytes]]()
        rpc, zmq, health = free(3)
        make_secrets(folder / "secrets")
        (folder / "node").mkdir()
        self.changes = {
            "kafka:9092": kafka.inside, registry_at(): registry.url,
            "0.0.0.0:8080": f"127.0.0.1:{health}", "127.0.0.1:8080": f"127.0.0.1:{health}",
            "/run/secrets": str(folder / "secrets"),
            "/etc/streams/streams.toml": str(ROOT / CONTENT["configs"]["settings"]["file"]),
            "postgres:5432": f"127.0.0.1:{postgres.port}",
            "http://bitcoind:18443": f"http://127.0.0.1:{rpc}",
            "bitcoind:28332": f"127.0.0.1:{zmq}", "0.0.0.0:28332": f"127.0.0.1:{zmq}",
            "/cookie/cookie": str(folder / "cookie"), "=/data": f"={folder / 'node'}",
            "-rpcbind=0.0.0.0": "-rpcbind=127.0.0.1", "0.0.0.0/0": "127.0.0.1",
        }  # fmt: skip
        self.node = [f"-rpcport={rpc}", f"-datadir={folder / 'node'}"]

    def variables(self, name: str) -> dict[str, str]:
        """The environment of a service, and no other STREAMS_ variable."""
        outer = {n: v for n, v in os.environ.items() if not n.startswith("STREAMS_")}
        own = environment(name)
        values = here(list(own.values()), self.changes)
        home = {"STREAMS_HOME": str(self.folder / "home")}
        return {**outer, **home, **dict(zip(own, values, strict=True))}

    def command(self, name: str) -> list[str]:
        """The command of a service, its program where it is here."""
        program, *words = here(SERVICES[name]["command"], self.changes)
        if program == "bitcoind":
            return [str(node_home() / program), *words, *self.node]
        return [str(BIN / program), *words]

    def once(self, name: str) -> None:
        """Run a service that ends; it must succeed."""
        done = subprocess.run(
            self.command(name), env=self.variables(name), cwd=self.folder,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert (0, name) == (done.returncode, name), done.stderr

    def up(self, name: str) -> None:
        """Start a service that stays."""
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                self.command(name), env=self.variables(name), cwd=self.folder,
                stdout=log, stderr=log,
            )  # fmt: skip

    def healthy(self, name: str) -> bool:
        """Whether the health check of a service succeeds; fails when it has ended."""
        assert self.processes[name].poll() is None, (self.folder / f"{name}.log").read_text()
        words = here(check(name), self.changes)
        if words[0] == "bitcoin-cli":
            words = [str(node_home() / words[0]), *self.node, *words[1:]]
        else:
            words[0] = sys.executable
        return asked(words, no_proxy="*").returncode == 0

    def mine(self, blocks: int) -> None:
        """Let the node find blocks."""
        cli = [str(node_home() / "bitcoin-cli"), *self.node, "-regtest"]
        cookie = f"-rpccookiefile={self.folder / 'cookie'}"
        words = [*cli, cookie, "generatetodescriptor", str(blocks), "raw(51)"]
        subprocess.run(words, check=True, capture_output=True, timeout=60)

    def down(self) -> dict[str, int]:
        """Stop what runs, last first; returns the exit codes."""
        codes = {}
        for name, process in reversed(self.processes.items()):
            process.terminate()
            try:
                codes[name] = process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                codes[name] = process.wait()
        self.processes.clear()
        return codes


def registry_at() -> str:
    """Where our services look for the registry."""
    return environment("worker")["STREAMS_SCHEMA_REGISTRY"]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Kafka, registry and PostgreSQL run; the other services are up to the test."""
    postgres = pytest.importorskip("tests.postgres")
    (tmp_path / "kafka").mkdir()
    kafka = Kafka(tmp_path / "kafka")
    try:
        registry = Registry(registry_files.installed(), tmp_path, kafka.inside)
        kafka.start()
    except (BrokerError, registry_files.ServerUnavailable) as error:
        pytest.skip(f"not all servers can be had here: {error}")
    server = postgres.PostgresServer()
    made = Stack(tmp_path, kafka, registry, server)
    try:
        server.start()
        postgres.query(server.uri, "create role streams superuser login", "select 1")
        postgres.query(server.uri, "create database streams owner streams", "select 1")
        registry.start()
        yield made
    finally:
        made.down()
        registry.end()
        server.close()
        kafka.end()


def test_a_block_becomes_a_row(stack: Stack) -> None:
    """Started in the order of the file, each as soon as what it waits for is healthy."""
    postgres = pytest.importorskip("tests.postgres")
    for name in ("topics", "schemas"):
        stack.once(name)
    for name in ("worker", "bitcoind"):
        stack.up(name)
        until(f"{name} is healthy", lambda name=name: stack.healthy(name))  # type: ignore[misc]
    for name in ("source-bitcoin", "sink-postgres"):
        stack.up(name)
    source = stack.folder / "source-bitcoin.log"
    until("the source follows the node", lambda: "beginning with" in source.read_text(), 60)
    stack.mine(3)
    words = here([SERVICES["sink-postgres"]["command"][4]], stack.changes)[0]
    uri = words.removeprefix("uri=")

    def rows() -> tuple[int, int]:
        (row,) = postgres.query(uri, ROWS)
        return row["n"], row["height"]

    def there() -> bool:
        known = postgres.query(uri, "select to_regclass('streams.bitcoin_tip_live') as name")
        return known[0]["name"] is not None and rows() == (3, 3)

    until("three tips are rows", there, 120)
    assert {"worker": 0, "bitcoind": 0, "source-bitcoin": 0, "sink-postgres": 0} == stack.down()
