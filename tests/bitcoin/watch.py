"""Drives the live source in a test: act on the node, then take events until they say enough."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from schemas.envelope import Event
from schemas.events import MempoolEvent
from streams.sources.batch import SourceBatch
from streams.sources.bitcoin import BitcoinSource
from streams.sources.bitcoin_node import BitcoinNode
from streams.sources.bitcoin_rpc import Rpc
from streams.sources.bitcoin_zmq import Feed
from tests.bitcoin.node import Node

_DEADLINE_S = 30
Summary = tuple[str, str, str, bool]


class Watch:
    """A running source and the batches that it gave."""

    def __init__(self, source: BitcoinSource) -> None:
        self.source = source
        self.batches: list[SourceBatch] = []
        self.begun: list[Event] = []
        self._deadline = 0.0
        self._running = source.batches(lambda: time.monotonic() > self._deadline)

    def until(self, enough: Callable[[list[Event]], bool]) -> list[Event]:
        """Events from now on, as soon as they are enough."""
        self._deadline = time.monotonic() + _DEADLINE_S
        events: list[Event] = []
        while not enough(events):
            batch = next(self._running, None)
            assert batch is not None, f"the source gave only {short(events)}"
            self.batches.append(batch)
            events += batch.events
        return events

    def count(self, number: int) -> list[Event]:
        """Events from now on, as soon as there are so many."""
        return self.until(lambda events: len(events) >= number)

    @property
    def caught_up(self) -> bool:
        """Whether the source has taken the node's mempool, so that it follows notifications."""
        return bool(self.batches) and self.batches[-1].cursor["sequence"] > 0

    def close(self) -> None:
        """End the source."""
        self._running.close()  # type: ignore[attr-defined]


@contextmanager
def watch(node: Node, **settings: Any) -> Iterator[Watch]:
    """A source on a node that has caught up; ``begun`` is what it gave until then."""
    source = source_of(node, **settings)
    watching = Watch(source)
    try:
        watching.begun = watching.until(lambda _: watching.caught_up)
        yield watching
    finally:
        watching.close()


def source_of(node: Node, **settings: Any) -> BitcoinSource:
    """A source with the node's addresses, on the node's clock, which is set an hour ahead."""
    node.later()
    settings.setdefault("clock", node.clock)
    rpc = Rpc(node.url, node.cookie)
    return BitcoinSource(BitcoinNode(rpc, "regtest"), Feed([node.zmq]), **settings)


def short(events: list[Event]) -> list[Summary]:
    """What happened (type or kind), to what, by which op, as a correction?"""
    return [(_what(event), _about(event), event.op, event.correction) for event in events]


def _what(event: Event) -> str:
    if isinstance(event.value, MempoolEvent):
        return event.value.kind
    return event.type.split(".")[1]


def _about(event: Event) -> str:
    return str(event.value.hash if event.type == "bitcoin.block.v1" else event.key)
