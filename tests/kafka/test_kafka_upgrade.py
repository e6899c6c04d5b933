"""A step's state changes its form, on a real Kafka: upgraded and exact, or refused."""

from __future__ import annotations

from collections import Counter
from signal import SIGKILL

import pytest
from msgspec import structs

from streams.broker import EmbeddedBroker
from tests.kafka import grown
from tests.kafka.own import Own, config_of
from tests.kafka.shopping import Fact, facts, write
from tests.kafka.world import World, alternation, until

pytestmark = pytest.mark.kafka
MODULE = "tests.kafka.grown"


def sums_of(written: list[Fact]) -> dict[str, int]:
    """What each customer paid, by the words."""
    live: dict[str, Fact] = {}
    for fact in written:
        if fact.event.op == "assert":
            live[fact.event.id] = fact
        else:
            live.pop(fact.event.id, None)
    sums: Counter[str] = Counter()
    for fact in live.values():
        sums[fact.event.key] += fact.event.value.amount_sat
    return dict(sums)


def check_sums(own: Own, written: list[Fact]) -> None:
    """What is there is what the words give, and nothing came twice."""
    (reads,) = own.read_each([grown.spent]).values()
    assert [] == alternation(reads)
    found = {v.customer: v.amount_sat for v in own.sets([grown.spent])["grown.spent"].values()}
    assert sums_of(written) == {k: v for k, v in found.items() if v}


@pytest.mark.parametrize("store", ["memory", "rocks"])
def test_state_of_version_1_is_gone_on_with_in_version_2(
    broker: EmbeddedBroker, world: World, tmp_path: object, store: str
) -> None:
    """Refused without an upgrade; with it exact, also where a worker dies in the middle of it.

    ::

        version   1 ----| 2 refused | 2+ x before commit | 2+ x after commit | 2+ ------->
        input     =====             |=====                                      ======
    """
    config = config_of(f"grown-{store}", 4, lateness_ms=3_600_000)
    config = structs.replace(
        config,
        engine=structs.replace(config.engine, store=store, state_dir=str(world.folder / "state")),
    )
    own = Own(world.bootstrap, world.folder / "own", config, MODULE)
    own.create()
    written = [f for f in facts(seed=11, count=6000) if f.topic.name == "shop.payments"]
    third = len(written) // 3
    try:
        write(broker.bootstrap, written[:third])
        old = own.own_worker()
        own.settle_own()
        assert 0 == old.end()
        write(broker.bootstrap, written[third : 2 * third])
        refused = own.own_worker(STREAMS_TEST_FORM="2")
        assert 6 == refused.process.wait(60)
        said = refused.log.read_text()
        assert "of step add_up of version 1, the code is of version 2" in said
        assert "streams replay" in said
        for fault in ("kill@before:commit#1", "kill@after:commit#2"):
            dead = own.own_worker("--wait", "20", STREAMS_TEST_FORM="2+", STREAMS_TEST_FAULT=fault)
            assert -SIGKILL == dead.process.wait(60)
        last = own.own_worker("--wait", "20", STREAMS_TEST_FORM="2+")
        write(broker.bootstrap, written[2 * third :])
        own.settle_own()
        assert 0 == last.end()
        back = own.own_worker()
        assert 6 == back.process.wait(60)
        check_sums(own, written)
    finally:
        own.close()
        until("nobody is in the group", lambda: not own.members())
