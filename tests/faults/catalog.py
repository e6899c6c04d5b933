"""Every fault of the suite, in the order of the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from streams.broker import EmbeddedBroker
from tests.faults.cluster import Cluster
from tests.faults.scripts import (
    brokers,
    long,
    network,
    records,
    stages,
    starts,
    state,
    targets,
    workers,
)
from tests.faults.suite import SHORT, Fault
from tests.faults.toxiproxy import ProxiedBroker

QUICK_CLEANER = {"log.cleaner.backoff.ms": "500"}
ENGINE = "STREAMS_ENGINE__"


def three(folder: Path) -> Any:
    """Three brokers."""
    return Cluster(folder, SHORT)


def proxied(folder: Path) -> Any:
    """One broker behind a proxy."""
    return ProxiedBroker(folder, SHORT)


def impatient(folder: Path) -> Any:
    """One broker that soon sees that a transaction takes too long."""
    return EmbeddedBroker(extra={**SHORT, **stages.QUICK_TIMEOUT})


def cleaning(folder: Path) -> Any:
    """One broker whose cleaner hardly rests."""
    return EmbeddedBroker(extra={**SHORT, **QUICK_CLEANER})


# Where an input comes to less than 5,000 events a second, since a part of it comes late or not at
# all, its rate makes up for it.
FAULTS: tuple[Fault, ...] = (
    # 16: first, since it is judged while the others run
    Fault(
        "soak",
        long.soak,
        seconds=1800,
        seeds=1,
        environment={"STREAMS_HEALTH_LISTEN": "127.0.0.1:0"},
        breaks=False,
        long=True,
    ),
    # 1 to 4: processes and the network
    Fault("kill_at_random", workers.kill_at_random, seconds=20, seeds=5, in_ci=True),
    Fault(
        "kill_at_stages",
        stages.kill_at_stages,
        seconds=70,
        seeds=stages.SHARES,
        plans=stages.plans,
        broker=impatient,
    ),
    Fault("rolling_restarts", workers.rolling_restarts, seconds=30, workers=3),
    Fault("broker_killed", brokers.broker_killed, seconds=20, in_ci=True),
    Fault("broker_frozen", brokers.broker_frozen, seconds=20),
    Fault("leader_killed", brokers.leader_killed, seconds=20, workers=2, broker=three),
    Fault("leader_bounced", brokers.leader_bounced, seconds=25, workers=2, broker=three),
    Fault("leader_frozen", brokers.leader_frozen, seconds=25, workers=2, broker=three),
    Fault("network", network.network, seconds=30, workers=2, seeds=5, broker=proxied),
    # 5 to 8: what is wrong with records
    Fault("poison", records.kill_once, shape={"poison": 0.01}, in_ci=True),
    Fault("poison_storm", records.storm, seconds=17, shape={"storm": (4.0, 14.0)}),
    Fault("step_always_raises", records.kill_once, shape={"bad_orders": 0.0005}),
    Fault("step_raises_once", records.kill_once, environment={"FAULT_FAILS_ONCE": "997"}),
    Fault("duplicates", records.kill_once, shape={"repeated": 0.2, "again": 0.2}),
    Fault("disorder", records.kill_once, shape={"disorder_ms": 1500, "late": 0.01, "rate": 7500}),
    Fault(
        "skewed_clock",
        records.kill_once,
        shape={"disorder_ms": 500, "skewed_ms": 7_200_000, "rate": 5500},
    ),
    Fault(
        "idle_partition",
        records.kill_once,
        shape={"idle_partition": 2, "rate": 7000},
        environment={f"{ENGINE}IDLE_TIMEOUT_MS": "5000"},
    ),
    # 9 and 10: the group
    Fault(
        "rebalance_storm",
        workers.rebalance_storm,
        seconds=25,
        workers=3,
        seeds=5,
        broker=three,
    ),
    Fault(
        "zombie", workers.zombie, seconds=25, workers=2, seeds=5, plans=workers.freezes, in_ci=True
    ),
    # 11 and 12: state
    Fault("state_gone", state.state_gone, prepare=state.on_disk),
    Fault("disk_full", state.disk_full, prepare=state.on_small_disk),
    Fault("changelog_compacted", state.compacted, seconds=45, plans=state.torn, broker=cleaning),
    Fault("changelog_truncated", state.truncated, prepare=state.on_disk),
    Fault("changelog_lost", state.truncated_alone, breaks=False, judged=False),
    # 13 and 14: the chain, the target
    Fault(
        "reorg",
        records.kill_once,
        seconds=15,
        shape={"reorgs": (1, 6, 100)},
        environment={f"{ENGINE}RETRACT_GRACE_MS": "30000"},
    ),
    Fault("sink_down", targets.sink_down, seconds=20, in_ci=True),
    Fault("sink_frozen", targets.sink_frozen),
    Fault("hung_worker", workers.hung_worker, seconds=60, plans=workers.hangs),
    # 17 and 18: refusals
    Fault(
        "wrong_partitions",
        records.just_load,
        seconds=10,
        breaks=False,
        prepare=starts.wrong_partitions,
    ),
    Fault("upgrade", starts.upgrade),
)
BY_NAME = {fault.name: fault for fault in FAULTS}
