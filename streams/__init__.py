"""streams: real-time risk and identity intelligence for Bitcoin, on Kafka and Faust.

Names are loaded when first used, so that importing a pure part never loads Faust.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streams import topics as topics
    from streams.engine.joining import join_step as join_step
    from streams.engine.own_types import event_type as event_type
    from streams.engine.repartition import repartition as repartition
    from streams.engine.step import Batch as Batch
    from streams.engine.step import Emit as Emit
    from streams.engine.step import Rows as Rows
    from streams.engine.step import Step as Step
    from streams.engine.step import derived as derived
    from streams.testing import TopologyDriver as TopologyDriver
    from streams.topics import Topic as Topic

__version__ = "0.1.0"

_HOME = {
    "Batch": "streams.engine.step",
    "Emit": "streams.engine.step",
    "Rows": "streams.engine.step",
    "Step": "streams.engine.step",
    "derived": "streams.engine.step",
    "event_type": "streams.engine.own_types",
    "join_step": "streams.engine.joining",
    "repartition": "streams.engine.repartition",
    "Topic": "streams.topics",
    "TopologyDriver": "streams.testing",
}
__all__ = [
    "Batch",
    "Emit",
    "Rows",
    "Step",
    "Topic",
    "TopologyDriver",
    "derived",
    "event_type",
    "join_step",
    "repartition",
    "topics",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name == "topics":
        return import_module("streams.topics")
    raise AttributeError(f"module 'streams' has no attribute {name!r}")
