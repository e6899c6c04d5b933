"""Hypothesis strategies for the values of our topics, derived from their classes."""

from __future__ import annotations

import types
import typing
from typing import Any

import msgspec
from hypothesis import strategies as st

from schemas.events import Value

LONG = st.integers(min_value=-(2**63), max_value=2**63 - 1)
PLAIN: dict[type, st.SearchStrategy[Any]] = {
    int: LONG,
    str: st.text(max_size=20),
    bool: st.booleans(),
    float: st.floats(allow_nan=False),
    bytes: st.binary(max_size=20),
}


def of_type(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a type annotation as the value classes use them."""
    if kind in PLAIN:
        return PLAIN[kind]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return st.one_of([st.none() if a is type(None) else of_type(a) for a in arguments])
    if origin is list:
        return st.lists(of_type(arguments[0]), max_size=3)
    if origin is dict:
        return st.dictionaries(of_type(arguments[0]), of_type(arguments[1]), max_size=3)
    return values(kind)


def values(cls: type[Value]) -> st.SearchStrategy[Any]:
    """Instances of a value class."""
    hints = typing.get_type_hints(cls)
    fields = {f.name: of_type(hints[f.name]) for f in msgspec.structs.fields(cls)}
    return st.builds(cls, **fields)
