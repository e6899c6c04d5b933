"""Stock Faust: an agent and a Table, as its guide shows.

Settings named by its author: the wheel with Cython, a Table in memory with its changelog topic (the
default store), ``stream_wait_empty`` off, ``partitions`` of the table as those of the source. At
least once: ``processing_guarantee="exactly_once"`` does not work with the present aiokafka. The end
is when the changelog's records are acknowledged.
"""

from __future__ import annotations

import sys
from typing import Any

import faust
from stamps import SETTINGS, Stamps, leave

stamps = Stamps()
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
source = app.topic(SETTINGS["topic"], key_type=str, value_type=bytes, value_serializer="raw")
counts = app.Table("counts", default=int, partitions=SETTINGS["partitions"])


@app.agent(source)
async def count(stream: Any) -> None:
    seen = 0
    async for key, _ in stream.items():
        if not seen:
            stamps.begin()
        counts[key] += 1
        seen += 1
        if seen == SETTINGS["events"]:
            await app.producer.flush()
            stamps.end()
            stamps.tell(dict(counts.items()))
            leave()


sys.argv = ["stock_faust", "worker", "-l", "warn", "--without-web"]
app.main()
