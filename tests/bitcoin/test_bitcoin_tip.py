"""The chain state: folding connects and disconnects, reorg depth, refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import Event, Op
from schemas.events import Block, Tip
from streams.chain.build import block_event, block_ts, block_value
from streams.chain.parse import RawBlock
from streams.chain.tip import HORIZON, Chain, ChainError, Link, Reorg, Step, apply
from tests.bitcoin.recording import load


def block(name: str, height: int, previous: str, time_s: int = 0) -> Block:
    """A block that only its place in the chain matters of."""
    return Block("regtest", name, height, previous, 4, "", time_s, 0, 0, 1, 0, 0)


def event(value: Block, ts: int = 0, op: Op = "assert") -> Event:
    """A block event."""
    return block_event(value, ts, op)


def fold(*events: Event) -> list[Step]:
    """The steps of a fresh chain."""
    steps, chain = [], Chain("regtest")
    for one in events:
        steps.append(apply(chain, one))
        chain = steps[-1].chain
    return steps


def grown(times: list[int]) -> Chain:
    """A chain of blocks with these header times."""
    chain, ts = Chain("regtest"), None
    for height, time_s in enumerate(times):
        ts = block_ts(time_s, ts)
        chain = apply(chain, event(block(f"b{height}", height, f"b{height - 1}", time_s), ts)).chain
    return chain


def test_reorg_reports_its_depth_and_fork_once() -> None:
    """Two blocks undone and three connected is one reorg of depth 2 above the fork.

    a0 - a1 - a2
      \\- b1 - b2 - b3
    """
    a0, a1, a2 = block("a0", 0, ""), block("a1", 1, "a0"), block("a2", 2, "a1")
    b1, b2, b3 = block("b1", 1, "a0"), block("b2", 2, "b1"), block("b3", 3, "b2")
    steps = fold(
        *map(event, (a0, a1, a2)),
        event(a2, op="retract"), event(a1, op="retract"),
        *map(event, (b1, b2, b3)),
    )  # fmt: skip
    reorgs = [step.reorg for step in steps if step.reorg]
    assert [(r.depth, r.fork, [old.hash for old in r.old]) for r in reorgs] == [
        (2, Link("a0", 0, 0), ["a2", "a1"])
    ]
    assert steps[5].reorg is reorgs[0]
    assert steps[-1].tip == Tip("regtest", 3, "b3")


@given(st.lists(st.integers(0, 1000), max_size=HORIZON - 1), st.integers(0, 1000))
def test_connect_then_disconnect_is_identity(times: list[int], time_s: int) -> None:
    """Connecting a block and disconnecting it gives back the same links and tip."""
    before = grown(times)
    ts = block_ts(time_s, before.tip.ts if before.tip else None)
    value = block("new", len(times), f"b{len(times) - 1}", time_s)
    after = apply(apply(before, event(value, ts)).chain, event(value, ts, "retract"))
    assert after.chain.links == before.links
    assert (after.chain.tip, after.tip is None) == (before.tip, before.tip is None)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=40))
def test_event_time_never_falls_along_a_chain(times: list[int]) -> None:
    """Whatever miners write in their headers, event time is the running maximum."""
    stamps = [link.ts for link in grown(times).links]
    assert stamps == [max(times[: i + 1]) * 1000 for i in range(len(times))]


def test_chain_keeps_no_more_than_the_horizon() -> None:
    """State is bounded: the oldest links are forgotten."""
    assert len(grown(list(range(HORIZON + 20))).links) == HORIZON


@pytest.mark.parametrize(
    ("wrong", "cause"),
    [
        (event(block("x", 2, "other", 1), 1000), "follows other, tip is b1"),
        (event(block("x", 1, "b0", 1), 1000), "tip is already at 1"),
        (event(block("x", 2, "b1", 0), 0), "before its ancestor's 1000"),
        (event(block("x", 2, "b1", 5), 1000), "expected 5000"),
        (event(block("b0", 0, ""), 0, "retract"), "disconnect of b0, tip is b1"),
    ],
)
def test_event_that_does_not_fit_is_refused(wrong: Event, cause: str) -> None:
    """A wrong parent, height, time or disconnect is a ChainError that names what was expected."""
    with pytest.raises(ChainError, match=cause):
        apply(grown([0, 1]), wrong)


def test_gap_is_counted_not_refused() -> None:
    """An archive may leave blocks out: the next height counts how many are missing."""
    step = apply(grown([0, 1]), event(block("far", 9, "unknown", 2), 2000))
    assert (step.missing, step.tip) == (7, Tip("regtest", 9, "far"))


def test_other_network_is_refused() -> None:
    """A chain of one network takes no block of another."""
    with pytest.raises(ChainError, match="block of network regtest, expected main"):
        apply(Chain("main"), event(block("a", 0, "")))


def test_recorded_session_folds_to_the_nodes_own_tip() -> None:
    """The C and D frames of the recorded node fold to the tip that its RPC reported.

    By its marks the session undoes 1, then 4 (branch A), then 3 blocks (branch B).
    """
    recording = load()
    chain = Chain("regtest")
    reorgs: list[Reorg] = []
    for frame in recording.frames:
        if frame.get("label") in ("C", "D"):
            raw = recording.blocks[frame["hash"]]
            step = apply(chain, _recorded(chain, raw, frame["label"]))
            chain = step.chain
            reorgs += [step.reorg] if step.reorg else []
    active = recording.rpc["getchaintips"][0]
    assert chain.tip is not None
    assert (chain.tip.height, chain.tip.hash) == (active["height"], active["hash"])
    assert [reorg.depth for reorg in reorgs] == [1, 4, 3]


def _recorded(chain: Chain, raw: RawBlock, label: str) -> Event:
    """The block event of a C or D frame."""
    if label == "D":
        assert chain.tip is not None
        return event(block_value(raw, "regtest", chain.tip.height), chain.tip.ts, "retract")
    parent = chain.tip.ts if chain.tip else None
    height = chain.tip.height + 1 if chain.tip else 1
    return event(block_value(raw, "regtest", height), block_ts(raw.header.time, parent))
