"""Where a worker begins in a topic of which the first records are gone, on a real Kafka."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from streams.broker import EmbeddedBroker
from streams.engine.mover import EXIT_BROKEN_CHAIN
from streams.engine.murmur2 import partition_of
from streams.ops.lag import lag_of
from tests.kafka.own import Own, config_of
from tests.kafka.shop import payments
from tests.kafka.shopping import Fact, facts, write
from tests.kafka.test_kafka_upgrade import check_sums

pytestmark = pytest.mark.kafka
PARTITIONS = 2


def test_a_new_worker_begins_with_the_first_record_that_is_left(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    """It says where, and stands there for good: what is deleted from then on is a gap.

    ::

        partition 0   ### deleted |=======                       read from ``=`` on
        partition 1   ### deleted |        ### deleted |         exit 5: the task stands before it
        worker                     |-------|            |
    """
    config = config_of("begins", PARTITIONS, lateness_ms=3_600_000)
    own = Own(broker.bootstrap, tmp_path, config, "tests.kafka.grown")
    own.create()
    written = [f for f in facts(seed=3, count=3000) if f.topic is payments]
    early, late = written[: len(written) // 2], written[len(written) // 2 :]
    left, right = [[f for f in late if _partition(f) == number] for number in range(PARTITIONS)]
    try:
        write(broker.bootstrap, early)
        own.delete_records(payments.name)
        write(broker.bootstrap, left)
        waiting = {row.partition: row.lag for row in lag_of(own.selection, own.settings).inputs}
        assert {0: len(left), 1: 0} == waiting
        worker = own.own_worker()
        own.settle_own()
        assert 0 == worker.end()
        gone = {n: sum(_partition(f) == n for f in early) for n in range(PARTITIONS)}
        told = {f["partition"]: f["offset"] for f in worker.told("begins_late")}
        assert gone == told
        check_sums(own, left)
        write(broker.bootstrap, right)
        own.delete_records(payments.name)
        second = own.own_worker()
        assert EXIT_BROKEN_CHAIN == second.process.wait(60)
        assert re.search(
            rf"streams: {payments.name}/1 has no offset {gone[1]} any more", second.lines()[-1]
        )
    finally:
        own.close()


def _partition(fact: Fact) -> int:
    return partition_of(fact.event.key.encode(), PARTITIONS)
