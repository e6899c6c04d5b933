"""What of the brokers' own settings bears on exactly-once delivery; no topic of ours is looked at.

Sources: Kafka's documentation of the broker settings named, KIP-98 (transactions), KIP-664 (who has
transactions open).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    ResourceType,
)

from streams.engine.checkpoint import COORDINATORS
from streams.engine.durability import WANTED_COPIES, whole
from streams.ops.transactions import CannotAsk, requests_known
from streams.wire.transactions import DescribeProducers, DescribeTransactions, ListTransactions

State = Literal["ok", "warn", "fail"]
OFFSETS = "__consumer_offsets"
LOGS = {
    COORDINATORS: ("transaction.state.log.replication.factor", "transaction.state.log.min.isr"),
    OFFSETS: ("offsets.topic.replication.factor", "min.insync.replicas"),
}
"""Topics of the brokers' own, and their settings: of copies, and of those that must be in sync."""
MOST_OPEN = "transaction.max.timeout.ms"
INIT_PRODUCER_ID, ADD_PARTITIONS, END = 22, 24, 26
TIMEOUT_SECONDS = 10


class Cluster(NamedTuple):
    """What is known of the brokers."""

    brokers: int
    settings: Mapping[str, str]
    """Of one of them; empty where we may not see them."""
    copies: Mapping[str, int]
    """Replicas of their own topics, where these are there already."""
    requests: frozenset[int]
    """Numbers of the requests that they answer; empty where that is not known."""


class Said(NamedTuple):
    """One finding: what it is about, how it stands, what is so, and what helps."""

    check: str
    state: State
    found: str
    remedy: str = ""


def findings(cluster: Cluster, ours_ms: int) -> Iterator[Said]:
    """Everything about these brokers, in a fixed order; our transactions take ``ours_ms``."""
    yield _requests(cluster)
    for topic in LOGS:
        yield _log(cluster, topic)
    yield _timeout(cluster, ours_ms)


def _requests(cluster: Cluster) -> Said:
    name, known = "transactions", cluster.requests
    missing = {INIT_PRODUCER_ID, ADD_PARTITIONS, END} - known
    if not known:
        remedy = "see that nothing between us and the broker changes requests"
        return Said(name, "warn", "the brokers do not say what they can", remedy)
    if missing:
        words = "the brokers have no transactions, and no checkpoint can be written without"
        return Said(name, "fail", words, "use Apache Kafka 2.5 or later, or a broker as able")
    asked = {kind.API_KEY for kind in (DescribeProducers, DescribeTransactions, ListTransactions)}
    if asked - known:
        words = "the brokers have transactions, and do not say whose are open"
        return Said(name, "warn", words, "Apache Kafka says it since 3.0 (`streams transactions`)")
    return Said(name, "ok", "the brokers have them, and say whose are open")


def _log(cluster: Cluster, topic: str) -> Said:
    factor, least = LOGS[topic]
    name = f"topic {topic}"
    copies = cluster.copies.get(topic) or whole(cluster.settings, factor, 0)
    in_sync = whole(cluster.settings, least, 0)
    if cluster.brokers == 1:
        return Said(name, "ok", "one broker: what it loses is lost")
    if not copies:
        return Said(name, "warn", "we may not see its settings", "give us DESCRIBE_CONFIGS")
    words = f"{copies} replicas on {cluster.brokers} brokers, {in_sync or '?'} in sync to write"
    if copies == 1:
        return Said(name, "fail", f"{words}: one broker away, and nobody commits", _more(factor))
    if in_sync > copies:
        words = f"{words}: older brokers refuse every commit, Kafka 4.3 wants all copies in sync"
        return Said(name, "warn", words, f"set {least}={copies - 1}")
    if copies < min(WANTED_COPIES, cluster.brokers):
        return Said(name, "warn", words, _more(factor))
    if topic == COORDINATORS and in_sync == 1:
        words = f"{words}: a commit may be lost with a single broker"
        return Said(name, "warn", words, f"set {least}=2")
    return Said(name, "ok", words)


def _more(factor: str) -> str:
    return f"set {factor}=3; a topic that is there gets more as `streams topics copies` says"


def _timeout(cluster: Cluster, ours_ms: int) -> Said:
    most = whole(cluster.settings, MOST_OPEN, -1)
    if most < 0:
        return Said(MOST_OPEN, "warn", "we may not see it", "give us DESCRIBE_CONFIGS")
    if most < ours_ms:
        words = f"{most}, and ours are open for up to {ours_ms}: no task can begin"
        return Said(MOST_OPEN, "fail", words, f"set {MOST_OPEN}={ours_ms} or more on all brokers")
    return Said(MOST_OPEN, "ok", f"{most}, ours are open for up to {ours_ms}")


def look(kafka: Mapping[str, Any]) -> Cluster:
    """Ask the brokers; raises KafkaException when they do not answer."""
    client = AdminClient({**kafka, "log_level": 2})
    listed = client.list_topics(timeout=TIMEOUT_SECONDS)
    copies = {
        name: min(len(partition.replicas) for partition in listed.topics[name].partitions.values())
        for name in LOGS
        if name in listed.topics and listed.topics[name].partitions
    }
    settings = _settings(client, min(listed.brokers))
    try:
        known = requests_known(kafka)
    except CannotAsk:
        known = frozenset()
    return Cluster(len(listed.brokers), settings, copies, known)


def _settings(client: AdminClient, broker: int) -> dict[str, str]:
    asked = [ConfigResource(ResourceType.BROKER, str(broker))]
    future = client.describe_configs(asked, request_timeout=TIMEOUT_SECONDS)[asked[0]]
    try:
        answer: dict[str, Any] = future.result(TIMEOUT_SECONDS)
    except KafkaException as error:
        if not error.args[0].name().endswith("AUTHORIZATION_FAILED"):
            raise
        return {}
    return {name: str(entry.value) for name, entry in answer.items()}
