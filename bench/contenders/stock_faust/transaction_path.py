"""Stock Faust: the same steps, one transaction at a time, in one agent with one Table.

Settings named by its author: the wheel with Cython, a Table in memory with its changelog topic (the
default store), ``stream_wait_empty`` off. What favours it: the steps are fused as ours are, nothing
passes through a topic between them, and the state of a transaction is one value with one changelog
record. At least once: ``processing_guarantee="exactly_once"`` does not work with the present
aiokafka. No watermark is kept, and no state expires. The end is when all is acknowledged.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import faust
import msgspec
from stamps import SETTINGS, Stamps, leave

from schemas.envelope import Event
from schemas.headers import from_headers, to_headers
from schemas.wire import Codec
from streams.agents.pipeline import topology
from streams.engine.codec import decode_key, decode_value, encode_changes
from streams.engine.selection import only, whole
from streams.engine.step import Batch, Step, derived
from streams.engine.stores import TaskStore
from streams.topics import Topic, transactions


def packed(state: TaskStore) -> bytes:
    """State as the table has it, in the form that ours has on its changelog."""
    rows = [row for changes in state.take_changes() for row in encode_changes(changes)]
    return msgspec.msgpack.encode(rows)


def unpacked(data: bytes) -> TaskStore:
    """The state of one transaction; a new one has none."""
    state = TaskStore()
    for place, content in msgspec.msgpack.decode(data) if data else ():
        key = decode_key(place)
        state.load(key, decode_value(content))
        state.scope(str(key[0])).touch(key[1:])
    return state


stamps, wire = Stamps(), Codec()
steps: tuple[Step, ...] = only(whole(topology(), "stock"), SETTINGS["steps"]).run[0].steps
app = faust.App(
    SETTINGS["name"],
    broker=f"kafka://{SETTINGS['bootstrap']}",
    topic_partitions=SETTINGS["partitions"],
    processing_guarantee="at_least_once",
    stream_wait_empty=False,
    store="memory://",
    web_enabled=False,
    topic_disable_leader=True,
)
RAW: dict[str, Any] = {"key_serializer": "raw", "value_serializer": "raw"}
source = app.topic(transactions.name, key_type=bytes, value_type=bytes, **RAW)
sinks = {
    topic.name: app.topic(topic.name, **RAW)
    for step in steps
    for topic in step.writes
    if topic.stored
}
table = app.Table(
    "transactions",
    default=bytes,
    partitions=SETTINGS["partitions"],
    key_type=bytes,
    value_type=bytes,
)


class Emitted:
    """What the steps emit for one transaction: to topics, and to the steps behind them."""

    def __init__(self, event: Event) -> None:
        self.step = ""
        self.events: list[tuple[Topic, Event]] = []
        self.inbox: dict[str, list[Event]] = {transactions.name: [event]}

    def __call__(self, topic: Topic, event: Event) -> None:
        self.events.append((topic, event))
        self.inbox.setdefault(topic.name, []).append(event)

    def derive(self, topic: Topic, cause: Event, rows: Iterable[tuple[str | int, Any]]) -> None:
        for part, value in rows:
            self(topic, derived(self.step, cause, topic, value, part))


def work(event: Event, state: TaskStore) -> list[tuple[Topic, Event]]:
    """Run every step on one event."""
    emit: Any = Emitted(event)
    for step in steps:
        emit.step = step.name
        for topic in step.reads:
            if topic.name in emit.inbox:
                batch = Batch(topic, emit.inbox[topic.name], 0)
                step.process(batch, state.scope(step.name), emit)
    found: list[tuple[Topic, Event]] = emit.events
    return found


def decoded(message: Any) -> Event:
    """The event of a record."""
    event_type, value = wire.decode(message.value, transactions.event_type)
    headers = dict(message.headers.items())
    event = from_headers(headers, message.key.decode(), "", 0, event_type.name)
    event.value = value
    return event


@app.agent(source)
async def follow(stream: Any) -> None:
    seen = 0
    async for message in stream.events():
        if message.value is None:
            continue  # a watermark
        if not seen:
            stamps.begin()
        seen += 1
        event = decoded(message)
        state = unpacked(table[message.key])
        for topic, found in work(event, state):
            if topic.stored:
                await sinks[topic.name].send(
                    key=found.key.encode(),
                    value=wire.encode(found.type, found.value),
                    headers=to_headers(found),
                )
        table[message.key] = packed(state)
        if seen == SETTINGS["events"]:
            await app.producer.flush()
            stamps.end()
            stamps.say()
            leave()


sys.argv = ["stock_faust", "worker", "-l", "warn", "--without-web"]
app.main()
