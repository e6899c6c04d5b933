"""What several broker tests need: a client's view, a Maven repository on loopback, waiting."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec
from confluent_kafka.cimpl import NewTopic

from streams.broker.lock import load_lock

ROOT = Path(__file__).parents[2]
WAIT_S = 30.0


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition; fail with its name when it does not come."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"did not happen within {WAIT_S} s: {what}"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    """Whether the process has ended (a zombie has)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


def child_environment(**more: str) -> dict[str, str]:
    """The environment for a Python child that imports this project."""
    path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    return {**os.environ, "PYTHONPATH": path, **more}


def create(bootstrap: str, topic: str, **config: str) -> None:
    """Create a topic of one partition."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1, config=config)])[topic].result(WAIT_S)


def topics(bootstrap: str) -> set[str]:
    """Names of the topics that are not Kafka's own."""
    names = AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=WAIT_S).topics
    return {name for name in names if not name.startswith("__")}


def transaction(bootstrap: str, topic: str, values: list[bytes], commit: bool = True) -> None:
    """Write values in one transaction and end it; a commit waits for every value."""
    limit = 17 << 20
    producer = Producer(
        {"bootstrap.servers": bootstrap, "transactional.id": "t", "message.max.bytes": limit}
    )
    producer.init_transactions(WAIT_S)
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value)
    producer.flush(WAIT_S)
    if commit:
        producer.commit_transaction(WAIT_S)
    else:
        producer.abort_transaction(WAIT_S)


def committed(bootstrap: str, topic: str, count: int) -> list[bytes]:
    """Read ``count`` committed values from the beginning of a topic, as a group member."""
    settings = {"group.id": "g", "auto.offset.reset": "earliest", "fetch.max.bytes": 20 << 20}
    consumer = Consumer({"bootstrap.servers": bootstrap, "enable.auto.commit": False, **settings})
    consumer.subscribe([topic])
    values: list[bytes] = []
    deadline = time.monotonic() + WAIT_S
    while len(values) < count and time.monotonic() < deadline:
        if (message := consumer.poll(0.2)) is not None:
            assert message.error() is None
            values.append(message.value() or b"")
    consumer.close()
    return values


def settled(bootstrap: str, topic: str) -> bool:
    """Whether readers of committed data can see up to the end of a topic's only partition."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    where = TopicPartition(topic, 0)
    levels = (IsolationLevel.READ_UNCOMMITTED, IsolationLevel.READ_COMMITTED)
    try:
        ends = [_end(admin, where, level) for level in levels]
    except KafkaException:  # the leader of a moment ago is not the leader of the next, yet
        return False
    return ends[0] == ends[1]


def _end(admin: AdminClient, where: TopicPartition, level: IsolationLevel) -> int:
    answer = admin.list_offsets({where: OffsetSpec.latest()}, isolation_level=level)
    return int(answer[where].result(WAIT_S).offset)


def read_all(bootstrap: str, topic: str) -> list[bytes]:
    """All committed values of a topic's only partition, from its beginning to its end."""
    settings = {"group.id": "all", "enable.partition.eof": True, "enable.auto.commit": False}
    consumer = Consumer({"bootstrap.servers": bootstrap, **settings})
    consumer.assign([TopicPartition(topic, 0, 0)])
    values: list[bytes] = []
    while (message := consumer.poll(WAIT_S)) is not None:
        if (error := message.error()) is not None:
            assert error.code() == KafkaError._PARTITION_EOF
            break
        values.append(message.value() or b"")
    consumer.close()
    return values


class Writer(threading.Thread):
    """Commits one numbered value after the other until the broker is gone.

    Its transactions time out soon, so that the one in flight does not hold back readers.
    """

    def __init__(self, bootstrap: str, topic: str) -> None:
        super().__init__(daemon=True)
        self.topic = topic
        self.acknowledged: list[bytes] = []
        settings = {"transactional.id": topic, "transaction.timeout.ms": 2000, "log_level": 0}
        self._producer = Producer({"bootstrap.servers": bootstrap, **settings})
        self.start()

    def run(self) -> None:
        """Write until a commit fails."""
        with suppress(KafkaException):
            self._producer.init_transactions(WAIT_S)
            while True:
                value = os.urandom(8)
                self._producer.begin_transaction()
                self._producer.produce(self.topic, value)
                self._producer.commit_transaction(2)
                self.acknowledged.append(value)


class Repository:
    """A Maven repository on loopback that serves locked jars, well or badly."""

    def __init__(self, jars: Path) -> None:
        self.jars = jars
        self.served: list[str] = []
        self.altered: set[str] = set()
        self.hang_after: int | None = None
        self.release = threading.Event()
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Serve one request by file name; checksums beside the jars do not exist here."""
        name = handler.path.rpartition("/")[2]
        if name not in {jar.name for jar in load_lock().jars}:
            handler.send_error(404)
            return
        data = (self.jars / name).read_bytes()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        if self.hang_after is not None and len(self.served) >= self.hang_after:
            handler.wfile.write(data[: len(data) // 2])
            handler.wfile.flush()
            self.release.wait(WAIT_S)
            return
        self.served.append(name)
        handler.wfile.write(data[:-1] + b"?" if name in self.altered else data)


@contextmanager
def serving(repository: Repository) -> Iterator[Repository]:
    """Serve a repository on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            repository.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    repository.url = f"http://127.0.0.1:{server.server_port}/maven2"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield repository
    finally:
        repository.release.set()
        server.shutdown()
        server.server_close()
