"""The broker's properties: one KRaft node that is broker and controller, on loopback only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from streams.broker.errors import BrokerError

HOST = "127.0.0.1"

MAX_MESSAGE_BYTES = 18 * 1024 * 1024
"""Largest record batch in bytes: a dead letter keeps up to 16 MiB of the original value."""

_FIXED = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    # a node that is fenced with transactions pending can lose their markers, see recover.py; this
    # one has nobody to fail over to, so it is fenced neither at its end nor on a busy machine
    "controlled.shutdown.enable": "false",
    "broker.session.timeout.ms": "600000",
    # once registered, it serves from the next heartbeat on
    "broker.heartbeat.interval.ms": "250",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    # a laptop may sleep for weeks; a group must then still find its offsets
    "offsets.retention.minutes": "525600",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "min.insync.replicas": "1",
    "default.replication.factor": "1",
    "group.initial.rebalance.delay.ms": "0",
    "message.max.bytes": str(MAX_MESSAGE_BYTES),
    "replica.fetch.max.bytes": str(MAX_MESSAGE_BYTES),
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.cleaner.dedupe.buffer.size": str(32 * 1024 * 1024),
}

_ADDRESSED = ("listeners", "advertised.listeners", "controller.quorum.voters")
_ADDRESS = re.compile(r"(?:://|@)(\[[^\]]*\]|[^:,]*)")


def properties(
    log_dir: Path, port: int, controller_port: int, extra: Mapping[str, str]
) -> dict[str, str]:
    """All properties of one broker; ``extra`` wins over ours.

    Raises BrokerError when ``extra`` would make it listen elsewhere than on loopback.
    """
    own = {
        "log.dirs": str(log_dir),
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
    }
    merged = {**_FIXED, **own, **extra}
    for name in _ADDRESSED:
        _check_loopback(name, merged.get(name, ""))
    return merged


def controller_properties(log_dir: Path, port: int) -> dict[str, str]:
    """Properties of the same node as a controller alone, one that soon notices a missing broker."""
    return {
        "process.roles": "controller",
        "node.id": "1",
        "log.dirs": str(log_dir),
        "listeners": f"CONTROLLER://{HOST}:{port}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": f"1@{HOST}:{port}",
        "broker.session.timeout.ms": "200",
        "broker.heartbeat.interval.ms": "50",
    }


def _check_loopback(name: str, value: str) -> None:
    for host in _ADDRESS.findall(value):
        if host != HOST:
            raise BrokerError(
                f"the property {name}={value} names the host {host!r}",
                f"the embedded broker has no authentication and stays on {HOST}; to serve other "
                "machines run a Kafka of your own and name it by --broker or STREAMS_BROKER",
            )


def render(values: Mapping[str, str]) -> str:
    r"""Write properties in Java's format.

    >>> render({"a.b": "c\\d", "e": ""})
    'a.b=c\\\\d\ne=\n'
    """
    escaped = ((key, value.replace("\\", "\\\\")) for key, value in values.items())
    return "".join(f"{key}={value}\n" for key, value in escaped)
