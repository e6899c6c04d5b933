"""The recorded session of a regtest node: its ZMQ frames, and what the recorder marked in it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from streams.chain.parse import RawBlock, RawTx, parse_block, parse_tx
from tests.bitcoin.data import read, read_json, shared


class Recording(NamedTuple):
    """Frames in order; blocks by hash, rawtx bodies by frame; the node's RPC answers; marks."""

    frames: list[dict[str, Any]]
    blocks: dict[str, RawBlock]
    transactions: dict[int, RawTx]
    rpc: dict[str, Any]
    marks: dict[str, int]


def load() -> Recording:
    """Read the recording; skips the test when it is not there."""
    lines = read(shared("regtest_sample", "zmq.jsonl.xz")).splitlines()
    frames = [json.loads(line) for line in lines]
    blocks = [parse_block(_bytes(f)) for f in frames if f["topic"] == "rawblock"]
    marks = read_json("regtest_sample", "marks.json.xz")
    return Recording(
        frames,
        {block.header.hash: block for block in blocks},
        {f["i"]: parse_tx(_bytes(f)) for f in frames if f["topic"] == "rawtx"},
        read_json("regtest_sample", "rpc.json.xz"),
        {mark["event"]: mark["at_frame"] for mark in marks},
    )


def _bytes(frame: dict[str, Any]) -> bytes:
    return bytes.fromhex(frame["hex"])
