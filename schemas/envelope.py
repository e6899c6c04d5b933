"""One event: what every record carries beside its value.

On the wire the value is Avro and the rest is in headers, as the CloudEvents Kafka binding (binary
mode) has it; see ``schemas.headers``.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Op = Literal["assert", "retract"]
"""``assert``: a fact appears or changes. ``retract``: it is withdrawn."""


class Anchor(msgspec.Struct, frozen=True, gc=False):
    """The block that a fact depends on: when the block is disconnected, the fact is retracted."""

    network: str
    height: int
    block_hash: str

    def __str__(self) -> str:
        return f"{self.network}/{self.height}/{self.block_hash}"

    @classmethod
    def parse(cls, text: str) -> Anchor:
        """Read ``network/height/block hash``; raises ValueError on anything else.

        A height is digits that fit 64 bits: a greater one could be read, but never be stored.
        """
        network, height, block_hash = text.split("/")
        if not (height.isascii() and height.isdigit() and len(height) <= 18):
            raise ValueError(f"not a height: {height[:40]!r}")
        return cls(network, int(height), block_hash)


class Event(msgspec.Struct, gc=False, omit_defaults=True):
    """An event as SEMANTICS 1 defines it, with its envelope.

    ``id``, ``key``, ``ts``, ``op`` and ``value`` are the event; ``id`` and ``key`` and ``ts`` never
    change for one fact. The rest describes how it came to be and is no part of its value.
    """

    id: str
    """Derived from what the record is about, never from its value (``schemas.ids``)."""
    key: str
    """The Kafka key: what the event is joined by."""
    ts: int
    """Event time in milliseconds."""
    op: Op
    value: Any
    """A typed record of ``schemas.events`` (plain data in ``joins`` used alone)."""
    correction: bool = False
    """A retract, or a consequence of one, or published below its writer's watermark."""
    type: str = ""
    """Versioned event type, for example ``bitcoin.transaction.v1``."""
    anchor: Anchor | None = None
    ingest_ts: int | None = None
    """When the first producer of ours, or else the broker, saw it (ms)."""
    producer: str = ""
    correlation_id: str | None = None
    """Follows one matter through every step: the txid, the record id."""
    causation_id: str | None = None
    """Id of the event that this one follows from."""
    priority: int = 0
    """0 is normal; higher is more urgent. Consumers may use it; no step reorders by it."""
    retry_count: int = 0
    """How often the record was sent again (redrive)."""
    version: int = 0
    """Number of the change at its writer; with id and op it makes the CloudEvents id."""

    @property
    def ce_id(self) -> str:
        """The CloudEvents id: unique for each change of each fact."""
        return f"{self.id}:{self.op}:{self.version}"
