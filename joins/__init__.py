"""Event-time joins as pure state machines, for any stream.

``run`` feeds a join in memory; the engine drives the same objects (``Join.on_event``,
``Join.on_watermark``, ``TaskClock``, ``Store``) on Kafka.
"""

from __future__ import annotations

from joins.aggregate import Count, Max, Min, Sum, WindowAggregate
from joins.asof import AsOfJoin
from joins.clock import NEG_INF, POS_INF, SideTime, TaskClock
from joins.errors import JoinError
from joins.fold import Fold
from joins.group import GroupJoin
from joins.interval import IntervalJoin
from joins.join import Join
from joins.liveness import Change
from joins.lookup import LookupJoin
from joins.nway import DriverJoin, NWayJoin
from joins.outcome import Late, Matched, Outcome, Retracted, Unmatched
from joins.partners import AsOf, Interval, Lookup
from joins.product import ProductJoin
from joins.run import Arrival, Idle, Watermark, run
from joins.state import Key, MemoryStore, Store
from joins.task import JoinTask
from joins.window import WindowJoin
from joins.windows import Hopping, Session, Tumbling, Window
from schemas.envelope import Event

__all__ = [
    "NEG_INF",
    "POS_INF",
    "Arrival",
    "AsOf",
    "AsOfJoin",
    "Change",
    "Count",
    "DriverJoin",
    "Event",
    "Fold",
    "GroupJoin",
    "Hopping",
    "Idle",
    "Interval",
    "IntervalJoin",
    "Join",
    "JoinError",
    "JoinTask",
    "Key",
    "Late",
    "Lookup",
    "LookupJoin",
    "Matched",
    "Max",
    "MemoryStore",
    "Min",
    "NWayJoin",
    "Outcome",
    "ProductJoin",
    "Retracted",
    "Session",
    "SideTime",
    "Store",
    "Sum",
    "TaskClock",
    "Tumbling",
    "Unmatched",
    "Watermark",
    "Window",
    "WindowAggregate",
    "WindowJoin",
    "run",
]
