"""Where more copies of topics would lie that have fewer than they could have."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from streams.engine.durability import WANTED_COPIES
from streams.ops.admin import Admin

Places = Mapping[str, Mapping[int, Sequence[int]]]
"""By topic and partition, the brokers that have a copy, its first leader first."""


def more(places: Places, brokers: Iterable[int]) -> dict[str, dict[int, list[int]]]:
    """The same with three copies each, of those partitions that have fewer.

    What is there stays, in its order, so that nothing moves and no leader changes; what is added
    goes around the brokers. Racks are not looked at.

    >>> more({"a": {0: [2], 1: [1, 2, 3]}, "b": {0: [3, 1]}}, [1, 2, 3])
    {'a': {0: [2, 1, 3]}, 'b': {0: [3, 1, 2]}}
    >>> more({"a": {0: [1], 1: [1], 2: [4]}}, [1, 2, 3, 4])
    {'a': {0: [1, 2, 3], 1: [1, 2, 3], 2: [4, 3, 1]}}
    >>> more({"a": {0: [1]}}, [1])
    {}
    """
    known, found = sorted(brokers), dict[str, dict[int, list[int]]]()
    for topic, parts in sorted(places.items()):
        for number, have in sorted(parts.items()):
            at = number % len(known)
            others = [broker for broker in known[at:] + known[:at] if broker not in have]
            added = others[: max(0, WANTED_COPIES - len(have))]
            if added:
                found.setdefault(topic, {})[number] = [*have, *added]
    return found


def lacking(admin: Admin, names: Iterable[str]) -> dict[str, dict[int, list[int]]]:
    """What of these topics, where they are there, should lie where."""
    cluster = admin.client.list_topics(timeout=admin.timeout)
    places = {
        name: {number: list(part.replicas) for number, part in topic.partitions.items()}
        for name, topic in cluster.topics.items()
        if name in set(names)
    }
    return more(places, cluster.brokers)


def as_json(wanted: Places) -> str:
    """It as ``kafka-reassign-partitions.sh`` reads it.

    >>> as_json({"a": {0: [2, 1, 3]}})
    '{"version": 1, "partitions": [{"topic": "a", "partition": 0, "replicas": [2, 1, 3]}]}'
    """
    parts = [
        {"topic": topic, "partition": number, "replicas": list(replicas)}
        for topic, found in wanted.items()
        for number, replicas in found.items()
    ]
    return json.dumps({"version": 1, "partitions": parts})
