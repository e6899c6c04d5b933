"""Somebody else's topic in our partitions: read where it lies, written again where keys belong.

::

    7 partitions, CRC32                     4 partitions, murmur2
    t  --> repartition-t (7 tasks) --> app-t-repartition --> join (4 tasks)

The step's tasks are one for each partition of the topic. They judge lateness, drop repetitions and
keep positions there, as for any input; what they write is a derived topic like any other: its
watermark is declared by all of these tasks, and nothing in it is late again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from joins.clock import SideTime
from joins.state import Store
from streams.engine.step import Batch, Emit, Step
from streams.engine.topology import TopologyError
from streams.topics import By, Topic


def repartition(
    topic: Topic,
    *,
    by: By | None = None,
    key: Callable[[Any], str] | None = None,
    application: str = "streams",
    time: SideTime | None = None,
) -> tuple[Step, Topic]:
    """A step that writes ``topic`` again, by key, and the topic that it writes: read that instead.

    ``Topic.partitions`` says how many partitions ``topic`` has, where it is not the application's
    count. ``key`` gives another key from the value, ``by`` is what it names. ``application`` is the
    application id, which the topic's name begins with. ``time``: lateness and grace of ``topic``.
    Raises TopologyError for a topic of original bytes.
    """
    if topic.event_type is None:
        raise TopologyError(
            f"{topic.name} carries original bytes, which have no key to go by: give it an event "
            "type by streams.event_type"
        )
    keyed = msgspec.structs.replace(
        topic,
        name=f"{application}-{topic.name}-repartition",
        by=by or topic.by,
        about=f"{topic.name} in the application's partitions",
        source=False,
        declared=True,
        partitions=None,
    )

    def process(batch: Batch, state: Store, emit: Emit) -> None:
        for event in batch:
            own = event.key if key is None else key(event.value)
            emit(keyed, msgspec.structs.replace(event, key=own))

    name = f"repartition-{topic.name.replace('.', '_')}"
    times = {} if time is None else {topic.name: time}
    return Step(name, (topic,), (keyed,), process, times=times, repartitions=True), keyed
