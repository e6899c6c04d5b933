"""Bare aiokafka: ``getmany`` and a dictionary, nothing else.

No state is kept: a crash loses everything. Settings: batches by ``getmany`` as its documentation
shows for throughput, 4,000 records at most.
"""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer
from stamps import SETTINGS, Stamps


async def main() -> None:
    stamps, counts, left = Stamps(), dict[bytes, int](), SETTINGS["events"]
    consumer = AIOKafkaConsumer(
        SETTINGS["topic"],
        bootstrap_servers=SETTINGS["bootstrap"],
        group_id=SETTINGS["name"],
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    while left:
        batches = await consumer.getmany(timeout_ms=100, max_records=4000)
        if batches and not counts:
            stamps.begin()
        for records in batches.values():
            for record in records:
                counts[record.key] = counts.get(record.key, 0) + 1
            left -= len(records)
    stamps.end()
    await consumer.stop()
    stamps.tell({key.decode(): count for key, count in counts.items()})


asyncio.run(main())
