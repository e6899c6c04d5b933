"""A broker that is killed or frozen, and comes back."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from tests.faults.arena import Arena


def broker_killed(arena: Arena) -> None:
    """``kill -9`` of the only broker; it comes back after a few seconds on its data."""
    broker: Any = arena.broker
    for _ in range(2):
        arena.pause(1, 3)
        arena.broke()
        broker.kill()
        time.sleep(arena.chance.uniform(0.5, 4))
        broker.start()
        arena.recovered()


def broker_frozen(arena: Arena) -> None:
    """The only broker stands still for longer than the workers' sessions."""
    broker: Any = arena.broker
    arena.pause(1, 3)
    arena.broke()
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        time.sleep(arena.chance.uniform(6, 9))
    finally:
        os.kill(broker.pid, signal.SIGCONT)
    arena.recovered()


def leader_killed(arena: Arena) -> None:
    """Of three brokers, the leader of an input is killed, comes back; then another one."""
    cluster: Any = arena.broker
    for _ in range(2):
        arena.pause(1, 3)
        node = cluster.leader_of("fault.orders", arena.chance.randrange(4))
        arena.broke()
        cluster.kill(node)
        time.sleep(arena.chance.uniform(1, 5))
        arena.recovered()
        cluster.start(node)
        cluster.wait_whole()


def leader_bounced(arena: Arena) -> None:
    """Of three brokers, one after the other stops kindly, and comes back."""
    cluster: Any = arena.broker
    for node in range(3):
        arena.pause(0.5, 2)
        arena.broke()
        cluster.stop(node)
        arena.recovered()
        cluster.start(node)
        cluster.wait_whole()


def leader_frozen(arena: Arena) -> None:
    """Of three brokers, a leader stands still until the others go on without it, and wakes up."""
    cluster: Any = arena.broker
    arena.pause(1, 3)
    node = cluster.leader_of("fault.orders", arena.chance.randrange(4))
    arena.broke()
    cluster.freeze(node)
    try:
        time.sleep(arena.chance.uniform(8, 11))
    finally:
        cluster.thaw(node)
    arena.recovered()
    cluster.wait_whole()
