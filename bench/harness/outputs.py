"""What joins read and wrote: Avro values in, and out each row with how often it is there, net."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from bench.contenders.ours import join_values
from bench.harness import load
from bench.harness.definitions import Row, counted
from bench.harness.feeds import Fact
from schemas.wire import Codec
from streams.engine.own_types import teach

codec = teach(Codec())
_json = msgspec.json.Decoder()
_OP, _ID = "ce_op", "ce_id"


def as_avro(fact: Fact) -> bytes:
    """The value of an input, as our producers write it."""
    return codec.encode(join_values.FACT.name, join_values.Fact(fact.key, fact.n))


def ours(bootstrap: str, topic: str, partitions: int) -> Counter[Row]:
    """The live results of ours: a retract takes the assert of its id away."""
    live: dict[bytes, Any] = {}
    for message in load.messages(bootstrap, topic, partitions):
        if message.value() is None:  # a declared watermark
            continue
        headers: dict[str, Any] = dict(message.headers() or ())
        id_ = headers[_ID].rsplit(b":", 2)[0]
        if headers[_OP] == b"assert":
            live[id_] = codec.decode(message.value(), None)[1]
        else:
            live.pop(id_, None)
    return counted(_rows(live))


def _rows(live: dict[bytes, Any]) -> Iterator[Any]:
    for value in live.values():
        parts = msgspec.structs.astuple(value)
        yield parts[1:] if isinstance(value, join_values.Pair) else parts


def plain(bootstrap: str, topic: str, partitions: int) -> Counter[Row]:
    """A contender that writes each row once and for all: a JSON array a record."""
    found = load.messages(bootstrap, topic, partitions)
    return counted(_json.decode(message.value() or b"") for message in found)


def differences(bootstrap: str, topic: str, partitions: int) -> Counter[Row]:
    """A contender that says of each row whether it comes or goes: ``diff`` is 1 or -1."""
    found: Counter[Row] = Counter()
    for message in load.messages(bootstrap, topic, partitions):
        value = _json.decode(message.value() or b"")
        for row in counted([_columns(value)]):
            found[row] += value["diff"]
    return found


def _columns(value: dict[str, Any]) -> list[Any]:
    """A row from named columns; members of a group come as (ts, side, n), by ts."""
    if "all" not in value:
        return [part for name, part in value.items() if name not in ("diff", "time")]
    members = [[n for _, side, n in value["all"] if side == wanted] for wanted in "abc"]
    return [value["key"], value["start"], *members]
