"""One worker with 64 tasks, on a real Kafka: 64 transactional writers in one process."""

from __future__ import annotations

from pathlib import Path
from signal import SIGKILL

import pytest

from streams.broker import EmbeddedBroker
from streams.ops.own_topics import prepare
from tests.kafka.own import Own, config_of
from tests.kafka.shopping import facts, write
from tests.kafka.test_kafka_upgrade import check_sums
from tests.kafka.world import until

pytestmark = pytest.mark.kafka
TASKS = 64
THREADS_A_TASK = 6


def test_a_worker_of_64_tasks_takes_them_all_back_after_a_kill(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    """Every task has its own writer, recovers its own state, and what it costs is bounded.

    The topics of steps that it does not run are not there, and it asks for none of them.

    ::

        worker  64 tasks ------x kill -9 | 64 tasks recovered ----> exit 0
        input   ============             ============
    """
    own = Own(
        broker.bootstrap,
        tmp_path,
        config_of("many", TASKS, lateness_ms=3_600_000),
        "tests.kafka.grown",
    )
    own.delete_topics(name for name in own.admin.partitions() if not name.startswith("__"))
    prepare(own.admin, own.selection, create=True)
    written = [f for f in facts(seed=5, count=6000) if f.topic.name == "shop.payments"]
    half = len(written) // 2
    try:
        write(broker.bootstrap, written[:half])
        first = own.own_worker()
        own.settle_own()
        first.end(SIGKILL)
        write(broker.bootstrap, written[half:])
        second = own.own_worker()
        until("all is recovered", lambda: TASKS == len(second.told("task_recovered")), 120)
        own.settle_own()
        assert [] == second.told("topic_ids_unknown")
        assert threads(second.process.pid) <= TASKS * THREADS_A_TASK
        assert 0 == second.end()
        check_sums(own, written)
    finally:
        own.close()


def threads(pid: int) -> int:
    """How many threads a process has."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))
