"""What must be refused before anything is read: wrong partitions, another form of the state."""

from __future__ import annotations

from signal import SIGTERM

from confluent_kafka.cimpl import NewTopic

from tests.faults.arena import Arena
from tests.faults.crew import Failed, until
from tests.faults.inputs import ORDERS, PARTITIONS, VISITS

EXIT_CONFIG, EXIT_TOPICS = 6, 7


def wrong_partitions(arena: Arena) -> None:
    """One of two joined topics has a partition less: a worker ends with 7, and has read nothing."""
    new = [NewTopic(ORDERS, PARTITIONS, -1), NewTopic(VISITS, PARTITIONS - 1, -1)]
    for future in arena.admin.create_topics(new).values():
        future.result(30)
    refused = arena.worker()
    if arena.ended(refused) != EXIT_TOPICS:
        raise Failed(f"exit {refused.process.returncode}: {refused.log.read_text()[-500:]}")
    for future in arena.admin.delete_topics([VISITS]).values():
        future.result(30)
    until("it is gone", lambda: VISITS not in arena.admin.list_topics(timeout=5).topics)


def upgrade(arena: Arena) -> None:
    """A worker with another version of the state is refused, and changes nothing.

    ::

        version 1   |--------| SIGTERM           |------------------->
        version 2                 |x exit 6
    """
    arena.pause(2, 4)
    old = arena.crew[0].worker
    arena.crew[0].hold.set()
    arena.broke()
    old.process.send_signal(SIGTERM)
    if old.process.wait(20):
        raise Failed(f"the old version ended with {old.process.returncode}")
    refused = arena.worker(FAULT_VERSION="2")
    if arena.ended(refused) != EXIT_CONFIG:
        raise Failed(f"exit {refused.process.returncode}: {refused.log.read_text()[-500:]}")
    arena.crew[0].hold.clear()
    arena.recovered()
