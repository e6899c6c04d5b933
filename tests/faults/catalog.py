"""Every fault of the suite, in the order of the table."""

from __future__ import annotations

from tests.faults.scripts import brokers, workers
from tests.faults.suite import Fault

FAULTS: tuple[Fault, ...] = (
    Fault("kill_at_random", workers.kill_at_random, seconds=25, seeds=5, in_ci=True),
    Fault("rolling_restarts", workers.rolling_restarts, seconds=30, workers=3),
    Fault("broker_killed", brokers.broker_killed, seconds=20, in_ci=True),
    Fault("broker_frozen", brokers.broker_frozen, seconds=20),
    Fault("rebalance_storm", workers.rebalance_storm, seconds=30, workers=3, seeds=5),
    Fault("zombie", workers.zombie, seconds=20, workers=2, seeds=5, in_ci=True),
)
BY_NAME = {fault.name: fault for fault in FAULTS}
