"""How tasks are taken over and checkpointed: the protocol as it is, and room for others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streams.engine.checkpoint import Transactions
from streams.engine.runner import Runner
from tests.simulation.client import Producer
from tests.simulation.owner import Owner


def own_id(owner: Owner, id: str) -> str:
    """A task has a transactional id of its own."""
    return id


@dataclass(frozen=True)
class Scheme:
    """A protocol."""

    name: str
    why: str = ""
    """Why it is wrong; empty where it is not."""
    runs: int = 2000
    """Within how many seeds it is found out."""
    often: tuple[str, ...] = ()
    """What has to happen often for that."""
    runner: Callable[..., Runner] = Runner
    take_over: Callable[[Owner], None] = Owner.take_over
    come_back: Callable[[Owner], None] = Owner.seek
    """What is done when a parked task is given back."""
    transactions: type[Transactions] = Transactions
    producer: Callable[[Owner, str], Any] = Producer
    id_of: Callable[[Owner, str], str] = own_id
    store: str = "memory"
    trusts_for_ever: bool = False
    """Whether what is on disk is gone on from however old it is."""
    reads_committed: bool = True
    """Of the changelog."""
    inputs_committed: bool = True
    compacted: bool = True
    exact_outputs: bool = True


RIGHT = Scheme("right")
ROCKS = Scheme("right-on-disk", store="rocks")
