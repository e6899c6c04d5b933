"""Stock Faust, until it is told to stop: an agent with a Table that sends a record for each one.

Settings as for the keyed count: the wheel with Cython, a Table in memory with its changelog topic,
``stream_wait_empty`` off. At least once; its producer does not wait for fuller batches (its
default).
"""

from __future__ import annotations

import sys
from typing import Any

import faust
from stamps import SETTINGS

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
records = app.topic(SETTINGS["topic"], key_type=str, value_type=bytes, value_serializer="raw")
results = app.topic(SETTINGS["output"], key_type=str, value_type=bytes, value_serializer="raw")
counts = app.Table("counts", default=int, partitions=SETTINGS["partitions"])


@app.agent(records)
async def count(stream: Any) -> None:
    async for key, _ in stream.items():
        counts[key] += 1
        await results.send(key=key, value=b"%d" % counts[key])


sys.argv = ["stock_faust", "worker", "-l", "warn", "--without-web"]
app.main()
