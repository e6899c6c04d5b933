"""A network between the clients and the broker that is slow, cut, reset, or loses answers."""

from __future__ import annotations

import time
from typing import Any

from tests.faults.arena import Arena


def network(arena: Arena) -> None:
    """Latency, a cut, resets and lost answers, in an order of the seed; all clients suffer them.

    The load, the workers, the sink and the watcher reach the broker by one proxy.
    """
    proxy: Any = arena.broker
    kinds = [_latency, _cut, _resets, _lost_answers]
    arena.chance.shuffle(kinds)
    for kind in kinds:
        arena.pause(1, 2)
        arena.broke()
        kind(arena, proxy)
        proxy.heal()
        arena.recovered()


def _latency(arena: Arena, proxy: Any) -> None:
    proxy.toxic("latency", latency=600, jitter=200)
    time.sleep(arena.chance.uniform(2, 4))


def _cut(arena: Arena, proxy: Any) -> None:
    proxy.cut()
    time.sleep(arena.chance.uniform(1, 3))


def _resets(arena: Arena, proxy: Any) -> None:
    """Every connection is reset soon after it was made, requests on the way included."""
    proxy.toxic("reset_peer", "upstream", timeout=arena.chance.randrange(20, 300))
    time.sleep(arena.chance.uniform(1, 3))


def _lost_answers(arena: Arena, proxy: Any) -> None:
    """Requests arrive, answers do not; then the connections end."""
    proxy.toxic("timeout", "downstream", timeout=0)
    time.sleep(arena.chance.uniform(2, 5))
