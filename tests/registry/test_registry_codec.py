"""Which schema an id names once a registry gives ids of its own: its own, else the lock's."""

from __future__ import annotations

import struct

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.catalog import BY_NAME, TYPES
from schemas.errors import SchemaError, UnknownSchema
from schemas.events import Tip
from schemas.registry import locked_ids
from schemas.wire import Codec
from tests.strategies import values

LOCK = locked_ids()
NAMES = [t.name for t in TYPES]
TIP = Tip("main", 1, "00" * 32)
IDS = st.lists(st.integers(1, 60), min_size=len(NAMES), max_size=len(NAMES), unique=True).map(
    lambda numbers: dict(zip(NAMES, numbers, strict=True))
)
"""What a registry may give: counting from 1 as the lock does, other schemas in between."""


@given(ids=IDS, name=st.sampled_from(NAMES), data=st.data())
def test_the_registrys_ids_are_written_and_read(
    ids: dict[str, int], name: str, data: st.DataObject
) -> None:
    """A value is framed with the registry's id and read back, whether its topic is known or not."""
    codec, value = Codec(ids), data.draw(values(BY_NAME[name].cls))
    written = codec.encode(name, value)
    assert ids[name] == struct.unpack_from(">bI", written)[1]
    assert (BY_NAME[name], value) == codec.decode(written) == codec.decode(written, name)


@given(ids=IDS, name=st.sampled_from(NAMES), data=st.data())
def test_older_records_are_read_by_their_topic(
    ids: dict[str, int], name: str, data: st.DataObject
) -> None:
    """A value framed with the lock's id is read in its topic, even when the registry reuses it."""
    value = data.draw(values(BY_NAME[name].cls))
    older = Codec().encode(name, value)
    assert (BY_NAME[name], value) == Codec(ids).decode(older, name)


@given(ids=IDS)
def test_without_the_topic_only_unused_ids_are_the_locks(ids: dict[str, int]) -> None:
    """An id of the lock that the registry uses for another type is the registry's."""
    older, name = Codec().encode("bitcoin.tip.v1", TIP), "bitcoin.tip.v1"
    assume(ids[name] != LOCK[name])
    if LOCK[name] not in ids.values():
        assert (BY_NAME[name], TIP) == Codec(ids).decode(older)
    else:
        with pytest.raises(SchemaError, match=next(n for n in NAMES if ids[n] == LOCK[name])):
            Codec(ids).decode(older)


def test_an_id_of_nobody_is_unknown() -> None:
    """An id that neither the registry nor the lock has is refused, whatever the topic carries."""
    bytes_ = Codec({n: 100 + i for n, i in LOCK.items()}).encode("bitcoin.tip.v1", TIP)
    with pytest.raises(UnknownSchema, match=str(100 + LOCK["bitcoin.tip.v1"])):
        Codec().decode(bytes_, "bitcoin.tip.v1")
