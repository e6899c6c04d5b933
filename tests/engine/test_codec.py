"""State records: every value comes back equal, and nothing but values ever does."""

from __future__ import annotations

import types
import typing
from datetime import datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streams.agents.pipeline  # noqa: F401 - registers the state classes of the steps
from schemas import events
from schemas.envelope import Anchor, Event
from streams.chain.links import LinkStatement
from streams.engine import codec

INT64 = st.integers(-(2**62), 2**62)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=8),
    int: INT64,
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
    bytes: st.binary(max_size=8),
    type(None): st.none(),
}
VALUES = [
    cls
    for cls in vars(events).values()
    if isinstance(cls, type) and issubclass(cls, events.Value) and cls is not events.Value
]


def _of(kind: Any) -> st.SearchStrategy[Any]:
    """Instances of a field's type."""
    if kind in PLAIN:
        return PLAIN[kind]
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*map(_of, inner))
    if origin is list:
        return st.lists(_of(inner[0]), max_size=2)
    if origin is dict:
        return st.dictionaries(_of(inner[0]), _of(inner[1]), max_size=2)
    if origin is tuple:
        return st.tuples(*map(_of, inner))
    return _built(kind)


def _built(cls: type) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(cls)
    return st.deferred(lambda: st.builds(cls, **{name: _of(kind) for name, kind in hints.items()}))


@pytest.mark.parametrize("cls", [*VALUES, Anchor, LinkStatement], ids=lambda cls: cls.__name__)
def test_every_state_class_comes_back_equal(cls: type) -> None:
    """Also inside an event, a tuple and a list."""

    @settings(max_examples=15, deadline=None)
    @given(_built(cls))
    def law(value: Any) -> None:
        event = Event("id", "key", 1, "assert", value, anchor=Anchor("main", 1, "aa"))
        kept = [value, (value, 1, ("a",)), event, {"x": value, "y": None}]
        assert kept == codec.decode_value(codec.encode_value(kept))

    law()


@given(st.lists(st.text(max_size=5) | INT64, max_size=5))
def test_keys_come_back_equal(parts: list[str | int]) -> None:
    """A state key is a tuple of str and int."""
    assert tuple(parts) == codec.decode_key(codec.encode_key(tuple(parts)))


DATA = (type(None), bool, int, float, str, bytes, list, dict, tuple, datetime, msgspec.Struct)
REFUSALS = (ValueError, TypeError, RecursionError)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=64))
def test_hostile_bytes_give_plain_data_or_are_refused(data: bytes) -> None:
    """Whatever the bytes are, they become data or an error."""
    try:
        found = codec.decode_value(data)
    except REFUSALS:
        return
    assert isinstance(found, DATA)


@pytest.mark.parametrize("name", ["system", "Popen", "eval", "os.system", "", 7, ["Event"]])
def test_a_tag_names_a_class_of_ours_or_is_refused(name: Any) -> None:
    """Nothing executable is read back: only registered classes can be named."""
    body = msgspec.msgpack.encode([name, "echo"])
    record = msgspec.msgpack.encode(msgspec.msgpack.Ext(1, body))
    with pytest.raises(ValueError, match="state record"):
        codec.decode_value(record)


@pytest.mark.parametrize(
    ("code", "body"),
    [(1, b"\x91\xa5Event"), (1, b"\x90"), (1, b"\xc0"), (9, b"x"), (2, b"\x01")],
)
def test_a_malformed_tag_is_refused(code: int, body: bytes) -> None:
    """Too few fields, no name, no list, an unknown tag, a tuple of nothing."""
    with pytest.raises(ValueError, match="state record"):
        codec.decode_value(msgspec.msgpack.encode(msgspec.msgpack.Ext(code, body)))


def test_a_class_that_is_not_registered_cannot_be_kept() -> None:
    """The error names the class and the remedy."""

    class Stranger(msgspec.Struct):
        """A class of nobody."""

        x: int = 1

    with pytest.raises(TypeError, match=r"Stranger is not a state class: .*codec\.register"):
        codec.encode_value(Stranger())


def test_two_classes_of_one_name_are_refused() -> None:
    """A name in a state record means one class for ever."""
    other = msgspec.defstruct("Block", ["x"])
    with pytest.raises(ValueError, match="two state classes are named Block"):
        codec.register(other)
