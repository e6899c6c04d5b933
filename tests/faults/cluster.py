"""Three brokers on loopback, each controller too; records in two of three before they count."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.broker import aot, ports
from streams.broker.config import HOST, properties, render
from streams.broker.jars import class_path
from streams.broker.java import command
from streams.broker.lock import load_lock
from streams.broker.paths import cache_home
from streams.broker.process import Child
from streams.broker.storage import _kafka_uuid, ensure_formatted, log_dir, log_file

START_S = 120.0
SIZE = 3
_SAFE = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
    "unclean.leader.election.enable": "false",
    "broker.session.timeout.ms": "6000",
    "broker.heartbeat.interval.ms": "500",
    "controlled.shutdown.enable": "true",
}
"""A record that was acknowledged is in two logs; one broker may go at any time."""


class Cluster:
    """Three nodes of one cluster; ended with this process."""

    def __init__(self, folder: Path, extra: Mapping[str, str]) -> None:
        self.folder, self._extra = folder / "cluster", {**_SAFE, **extra}
        found = [ports.choose(0) for _ in range(SIZE)]
        self._ports = [port for port, _ in found]
        self._control = [port for _, port in found]
        self._nodes: list[Child | None] = [None] * SIZE
        self._undo = ExitStack()

    @property
    def bootstrap(self) -> str:
        """All three addresses."""
        return ",".join(f"{HOST}:{port}" for port in self._ports)

    def __enter__(self) -> Self:
        self._format()
        for number in range(SIZE):
            self.start(number)
        self.wait_whole()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for node in self._nodes:
            if node is not None:
                with suppress(ProcessLookupError):
                    os.kill(node.pid, signal.SIGCONT)
                node.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _format(self) -> None:
        lock = load_lock()
        self._jars = class_path(cache_home(), lock=lock)
        cluster = _kafka_uuid()
        for number in range(SIZE):
            data = self._data(number)
            ensure_formatted(data, cache_home(), lock.kafka, self._jars, lambda line: None)
            meta = {"cluster.id": cluster, "directory.id": _kafka_uuid()}
            own = {**meta, "node.id": str(number + 1), "version": "1"}
            (log_dir(data) / "meta.properties").write_text(render(own))

    def _data(self, number: int) -> Path:
        return self.folder / f"node-{number + 1}"

    def start(self, number: int) -> None:
        """Start a node; it joins in its own time."""
        data = self._data(number)
        voters = ",".join(f"{n}@{HOST}:{port}" for n, port in enumerate(self._control, 1))
        own = {"node.id": str(number + 1), "controller.quorum.voters": voters, **self._extra}
        port, control = self._ports[number], self._control[number]
        config = data / "server.properties"
        config.write_text(render(properties(log_dir(data), port, control, own)))
        cache = aot.cache_file(cache_home(), self._jars)
        flags = (f"-XX:AOTCache={cache}",) if aot.usable(cache) else ()
        argv = command(self._jars, "kafka.Kafka", str(config), flags=flags)
        self._nodes[number] = Child(argv, log_file(data), tied=True)

    def wait_whole(self) -> None:
        """Wait until all nodes are there, and every replica is in sync."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        deadline = time.monotonic() + START_S
        while not self._whole(admin):
            if time.monotonic() > deadline:
                raise TimeoutError(f"three brokers were not whole within {START_S:g} s")
            time.sleep(0.2)

    def _whole(self, admin: AdminClient) -> bool:
        try:
            found = admin.list_topics(timeout=5)
        except KafkaException:
            return False
        parts = [p for topic in found.topics.values() for p in topic.partitions.values()]
        return len(found.brokers) == SIZE and all(len(p.isrs) == len(p.replicas) for p in parts)

    # Faults ---------------------------------------------------------------------------------------

    def leader_of(self, topic: str, partition: int) -> int:
        """The number of the node that leads a partition."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        found = admin.list_topics(topic, timeout=20).topics[topic]
        return int(found.partitions[partition].leader) - 1

    def kill(self, number: int) -> None:
        """``kill -9`` of a node."""
        node = self._nodes[number]
        assert node is not None
        node.kill()

    def stop(self, number: int) -> None:
        """Stop a node kindly: it hands its partitions over first."""
        node = self._nodes[number]
        assert node is not None
        node.terminate(60)

    def freeze(self, number: int) -> None:
        """Let a node stand still."""
        node = self._nodes[number]
        assert node is not None
        os.kill(node.pid, signal.SIGSTOP)

    def thaw(self, number: int) -> None:
        """Let it go on."""
        node = self._nodes[number]
        assert node is not None
        os.kill(node.pid, signal.SIGCONT)
