"""How steps become sub-topologies."""

from __future__ import annotations

import pytest

from streams import topics
from streams.agents.pipeline import topology
from streams.engine.step import Step
from streams.engine.topology import TopologyError, build
from streams.topics import Topic


def _nothing(*_: object) -> None:
    """A step that does nothing."""


def _step(name: str, reads: tuple[Topic, ...], writes: tuple[Topic, ...] = ()) -> Step:
    return Step(name, reads, writes, _nothing)


def test_steps_with_one_key_share_a_task_and_a_new_key_cuts() -> None:
    """txid -> txid runs fused; what is keyed by address is a task of its own that reads Kafka."""
    built = build(
        [
            _step("a", (topics.transactions,), (topics.features,)),
            _step("b", (topics.features,), (topics.activity,)),
            _step("c", (topics.activity,)),
        ]
    )
    by_txid, by_address = built.subs
    assert ("by_txid", ["a", "b"]) == (by_txid.name, [s.name for s in by_txid.steps])
    assert (topics.transactions,) == by_txid.inputs
    assert (topics.features, topics.activity) == by_txid.outputs
    assert ("by_address", (topics.activity,)) == (by_address.name, by_address.inputs)
    assert (by_txid,) == built.writers(topics.activity.name)
    assert by_address is built.reader(topics.activity.name)


def test_steps_are_ordered_by_data_not_by_declaration() -> None:
    """A reader declared before its writer still runs after it."""
    built = build(
        [
            _step("second", (topics.features,)),
            _step("first", (topics.transactions,), (topics.features,)),
        ]
    )
    assert ["first", "second"] == [s.name for s in built.subs[0].steps]


def test_topics_in_memory_are_neither_read_nor_written_on_kafka() -> None:
    """``stored=False`` passes between fused steps only."""
    built = build(
        [
            _step("first", (topics.transactions,), (topics.facts,)),
            _step("second", (topics.facts,), (topics.features,)),
        ]
    )
    assert (topics.transactions,) == built.inputs
    assert (topics.features,) == built.subs[0].outputs


def test_a_topic_in_memory_needs_a_writer() -> None:
    """What nobody writes and Kafka does not hold can never come."""
    with pytest.raises(TopologyError, match=r"nobody writes bitcoin\.facts"):
        build([_step("reader", (topics.facts,))])


def test_steps_that_feed_each_other_are_refused() -> None:
    """A circle of fused steps has no order."""
    with pytest.raises(TopologyError, match="circle"):
        build(
            [
                _step("a", (topics.features,), (topics.results,)),
                _step("b", (topics.results,), (topics.features,)),
            ]
        )


def test_a_step_that_reads_what_it_writes_is_refused() -> None:
    """It would have to come before itself."""
    with pytest.raises(TopologyError, match="circle"):
        build([_step("loop", (topics.features,), (topics.features,))])


def test_a_step_with_two_keys_is_refused_by_name() -> None:
    """Inputs of one step are co-partitioned, so they have one key."""
    with pytest.raises(TopologyError, match=r"step mixed reads .* \(address, txid\)"):
        build([_step("mixed", (topics.features, topics.activity))])


def test_two_steps_of_one_name_are_refused() -> None:
    """State and results are named by the step."""
    with pytest.raises(TopologyError, match="two steps are named twin"):
        build([_step("twin", (topics.features,)), _step("twin", (topics.results,))])


def test_a_broadcast_topic_joins_no_tasks() -> None:
    """The tip goes to every partition: its writer and its readers stay apart."""
    built = build(
        [
            _step("tip", (topics.blocks,), (topics.tip,)),
            _step("pay", (topics.activity, topics.tip)),
        ]
    )
    assert ["by_network", "by_address"] == [s.name for s in built.subs]
    assert (topics.activity, topics.tip) == built.subs[1].inputs


def test_unrelated_steps_of_one_key_have_names_of_their_own() -> None:
    """Names are changelogs and transactional ids: two tasks with one would fence each other."""
    built = build([_step("one", (topics.labels,)), _step("two", (topics.mempool,))])
    assert ["by_txid", "by_txid-two"] == [s.name for s in built.subs]


def test_a_topic_written_in_memory_and_from_elsewhere_is_refused() -> None:
    """A fused reader would never see what the other task writes."""
    with pytest.raises(TopologyError, match=r"identity_links is written by near, .* and by far"):
        build(
            [
                _step("far", (topics.records,), (topics.identity_links,)),
                _step("near", (topics.activity,), (topics.identity_links,)),
                _step("reader", (topics.identity_links,)),
            ]
        )


def test_the_main_job_is_cut_where_keys_change() -> None:
    """Network, txid, model, DID, address, entity; and what takes the history of transactions."""
    names = {sub.name: [t.name for t in sub.inputs] for sub in topology().subs}
    history = {"by_network-follow_peel_chains", "by_pair", "by_txid-raise_history_alerts"}
    keys = {"by_network", "by_txid", "by_model", "by_did", "by_address", "by_entity"}
    assert keys | history == set(names)
    assert ["bitcoin.transactions", "bitcoin.mempool", "ml.models", "ml.labels"] == names["by_txid"]
