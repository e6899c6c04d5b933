"""Event-time joins as pure state machines, for any stream.

``run`` feeds a join in memory; the engine drives the same objects (``Join.on_event``,
``Join.on_watermark``, ``TaskClock``, ``Store``) on Kafka.
"""

from __future__ import annotations

from joins.aggregate import WindowAggregate
from joins.aggregates_exact import Count, Max, Mean, Min, Sum, Variance
from joins.asof import AsOfJoin
from joins.clock import NEG_INF, POS_INF, SideTime, TaskClock
from joins.errors import JoinError
from joins.fold import Fold
from joins.group import GroupJoin
from joins.interval import IntervalJoin
from joins.join import Join
from joins.liveness import Change
from joins.lookup import LookupJoin
from joins.mergeable import Aggregate, Mergeable
from joins.nway import DriverJoin, NWayJoin
from joins.outcome import Late, Matched, Outcome, Retracted, Unmatched
from joins.partners import AsOf, Interval, Lookup
from joins.product import ProductJoin
from joins.run import Arrival, Idle, Watermark, run
from joins.sketch_hyperloglog import Distinct
from joins.sketch_quantiles import Quantiles
from joins.state import Key, MemoryStore, Store
from joins.task import JoinTask
from joins.top_k import TopK
from joins.window import WindowJoin
from joins.windows import Hopping, Session, Tumbling, Window
from schemas.envelope import Event

__all__ = [
    "NEG_INF",
    "POS_INF",
    "Aggregate",
    "Arrival",
    "AsOf",
    "AsOfJoin",
    "Change",
    "Count",
    "Distinct",
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
    "Mean",
    "MemoryStore",
    "Mergeable",
    "Min",
    "NWayJoin",
    "Outcome",
    "ProductJoin",
    "Quantiles",
    "Retracted",
    "Session",
    "SideTime",
    "Store",
    "Sum",
    "TaskClock",
    "TopK",
    "Tumbling",
    "Unmatched",
    "Variance",
    "Watermark",
    "Window",
    "WindowAggregate",
    "WindowJoin",
    "run",
]
