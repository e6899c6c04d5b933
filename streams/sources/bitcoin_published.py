"""A block's own events, read back from the topics: for undoing what the node no longer has."""

from __future__ import annotations

from typing import Any

from confluent_kafka import Consumer, TopicPartition

from schemas.envelope import Event
from schemas.wire import Codec
from streams import topics
from streams.chain.build import BlockEvents
from streams.client import OPTIONS, Reader
from streams.engine.settings import EngineSettings

_MARGIN_MS = 600_000


class PublishedBlocks:
    """Looks a block up in ``bitcoin.blocks`` and ``bitcoin.transactions``.

    A node that crashed may have lost its last blocks, and may then follow another branch: their
    events are still to be withdrawn, with the ids, keys and times that they were published with.
    """

    def __init__(self, settings: EngineSettings, codec: Codec) -> None:
        self._settings, self._codec = settings, codec

    def find(self, block_hash: str, at: int) -> BlockEvents | None:
        """The events of a block that was published at about ``at`` (ms), None if there are none.

        Looks from ten minutes before ``at``, and if need be from the beginning.
        """
        return self._since(block_hash, at - _MARGIN_MS) or self._since(block_hash, 0)

    def _since(self, block_hash: str, ts: int) -> BlockEvents | None:
        kafka = {"bootstrap.servers": self._settings.bootstrap, **self._settings.kafka}
        reader = Reader(self._settings.bootstrap, self._codec, self._settings.kafka)
        names = (topics.blocks.name, topics.transactions.name)
        found: dict[str, Event] = {}
        try:
            reader.start(_offsets(kafka, reader, names, ts))
            while not (reader.at_end and reader.has_all()):
                events = (read.event for read in reader.poll(0.1) if read.event is not None)
                found |= {event.id: event for event in events if _is_of(event, block_hash)}
        finally:
            reader.close()
        return _whole(found)


def _offsets(
    kafka: dict[str, Any], reader: Reader, names: tuple[str, ...], ts: int
) -> dict[tuple[str, int], int]:
    """The first offset of each partition that was appended at ``ts`` or later."""
    asked = [
        TopicPartition(name, p, max(ts, 0))
        for name in names
        for p in range(reader.partitions(name))
    ]
    consumer = Consumer({**OPTIONS, **kafka})
    try:
        found = consumer.offsets_for_times(asked, timeout=15)
        ends = [consumer.get_watermark_offsets(place, timeout=15)[1] for place in asked]
    finally:
        consumer.close()
    pairs = zip(found, ends, strict=True)
    return {
        (place.topic, place.partition): place.offset if place.offset >= 0 else end
        for place, end in pairs
    }


def _is_of(event: Event, block_hash: str) -> bool:
    return event.anchor is not None and event.anchor.block_hash == block_hash


def _whole(found: dict[str, Event]) -> BlockEvents | None:
    """The block with all its transactions in their order, None when something is missing."""
    events = list(found.values())
    block = next((event for event in events if event.type == "bitcoin.block.v1"), None)
    transactions = [event for event in events if event is not block]
    transactions.sort(key=lambda event: int(event.value.block_position))
    if block is None or len(transactions) != block.value.tx_count:
        return None
    return BlockEvents(block, transactions)
