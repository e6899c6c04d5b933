"""When a broker is ready: its port answers, and a client sees this very cluster with a broker."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.broker.config import HOST
from streams.broker.explain import explain_death, explain_silence
from streams.broker.process import Child

_PAUSE_S = 0.03


def wait_ready(child: Child, port: int, cluster: str, log: Path, timeout_s: float) -> None:
    """Return once the broker on ``port`` answers a metadata request as ``cluster``.

    Raises BrokerError when its process ends first, or after ``timeout_s`` seconds.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if (code := child.exit_code()) is not None:
            raise explain_death(code, log)
        if answers(port) and _cluster_behind(port) == cluster:
            return
        time.sleep(_PAUSE_S)
    raise explain_silence(timeout_s, log)


def answers(port: int, timeout_s: float = 1.0) -> bool:
    """Whether somebody accepts connections on this loopback port."""
    try:
        socket.create_connection((HOST, port), timeout_s).close()
    except OSError:
        return False
    return True


def _cluster_behind(port: int) -> str | None:
    """Id of the cluster on ``port`` once it has a live broker that leads every partition."""
    admin = AdminClient({"bootstrap.servers": f"{HOST}:{port}", "log_level": 0})
    try:
        metadata = admin.list_topics(timeout=2)
    except KafkaException:
        return None
    topics = metadata.topics.values()
    led = all(part.leader >= 0 for topic in topics for part in topic.partitions.values())
    return metadata.cluster_id if metadata.brokers and led else None
