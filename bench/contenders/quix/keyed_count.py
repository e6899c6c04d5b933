"""Quix Streams: a StreamingDataFrame with a stateful ``apply``, as its documentation shows.

Settings named by its author: ``processing_guarantee="exactly-once"`` (a variant: ``at-least-once``,
its default), state in RocksDB with its changelog topic (the default), a checkpoint every 5 s
(``commit_interval``, the default; ours is 1 s while it is behind). The end is when ``run`` has
returned: it commits the last checkpoint before.
"""

from __future__ import annotations

from confluent_kafka import Consumer, TopicPartition
from quixstreams import Application, State
from stamps import SETTINGS, Stamps

stamps = Stamps()


def count(value: bytes, state: State[str, int]) -> int:
    if not stamps.began:
        stamps.begin()
    total: int = state.get("count", 0) + 1
    state.set("count", total)
    return total


def counted(group: str) -> dict[str, int]:
    """The state as the changelog has it, committed only."""
    name = f"changelog__{group}--{SETTINGS['topic']}--default"
    found, left = dict[str, int](), SETTINGS["partitions"]
    consumer = Consumer(
        {
            "bootstrap.servers": SETTINGS["bootstrap"],
            "group.id": "reader",
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )
    consumer.assign([TopicPartition(name, p, 0) for p in range(left)])
    while left:
        for message in consumer.consume(5000, 0.2):
            if message.error():
                left -= 1
            else:
                key = message.key().partition(b"|")[0].decode()
                found[key] = int(message.value())
    consumer.close()
    return found


def main() -> None:
    app = Application(
        broker_address=SETTINGS["bootstrap"],
        consumer_group=SETTINGS["name"],
        auto_offset_reset="earliest",
        processing_guarantee=SETTINGS["variant"].replace("_", "-") or "exactly-once",
        state_dir="state",
        loglevel="WARNING",
    )
    topic = app.topic(SETTINGS["topic"], value_deserializer="bytes")
    app.dataframe(topic).apply(count, stateful=True)
    app.run(count=SETTINGS["events"], collect=False)
    stamps.end()
    stamps.tell(counted(SETTINGS["name"]))


main()
