"""Columns are derived from classes, the same each time, and never lose a field."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sink_cases import Sample, record

from schemas import events
from schemas.units import Sat, Txid
from sinks.arrow import arrow_table
from sinks.base import Permanent
from sinks.columns import Kind, cell, column_name, columns_of, payload_columns

VALUES = [
    cls
    for cls in vars(events).values()
    if isinstance(cls, type) and issubclass(cls, events.Value) and cls is not events.Value
]


class Odd(msgspec.Struct, frozen=True):
    """Types that are no plain ones."""

    txid: Txid
    fee_sat: Sat | None
    word: Literal["a", "b"]
    bounded: Annotated[int, msgspec.Meta(ge=0)]
    either: int | str
    pairs: list[list[int]]
    holes: list[int | None]
    numbers: list[float] | None


def types(cls: type[Any]) -> dict[str, tuple[str, bool]]:
    """Return the kind of each column of a class."""
    return {column.name: (column.kind.value, column.many) for column in columns_of(cls)}


def test_each_type_has_its_column() -> None:
    """Plain types are plain columns, lists of them lists, all else JSON."""
    expected = {
        "text": ("text", False),
        "count": ("int", False),
        "ratio": ("float", False),
        "flag": ("bool", False),
        "raw": ("bytes", False),
        "maybe": ("int", False),
        "tags": ("text", True),
        "parts": ("json", False),
        "table": ("json", False),
        "payload_version": ("int", False),
        "payload_key": ("text", False),
    }
    assert expected == types(Sample)


def test_types_behind_other_names() -> None:
    """Newtypes, literals, bounds and None are seen through; a union of two types is JSON."""
    expected = {
        "txid": ("text", False),
        "fee_sat": ("int", False),
        "word": ("text", False),
        "bounded": ("int", False),
        "either": ("json", False),
        "pairs": ("json", False),
        "holes": ("int", True),
        "numbers": ("float", True),
    }
    assert expected == types(Odd)


@pytest.mark.parametrize("cls", VALUES, ids=lambda c: c.__name__)
def test_every_value_of_ours_has_columns(cls: type[Any]) -> None:
    """Each field of each topic's value has one column, in the order of the fields."""
    fields = [field.name for field in msgspec.structs.fields(cls)]
    assert fields == [column.field for column in columns_of(cls)]


@given(st.lists(st.text("avepyilod_rsn", min_size=1, max_size=20), unique=True))
def test_no_two_fields_meet_in_a_column(fields: list[str]) -> None:
    """Renaming a field whose name is taken is one to one and leaves the fixed names free."""
    fixed = ("event_id", "version", "op", "key", "event_ts")
    every = {*fields, *fixed, "payload", "payload_version"}
    names = {column_name(field) for field in every}
    assert len(every) == len(names)
    assert names.isdisjoint({*fixed, "payload"})


def test_fields_that_differ_only_in_case_are_refused() -> None:
    """Column names ignore case, so two such fields would overwrite each other."""
    twins = msgspec.defstruct("Twins", [("name", str), ("Name", str)])
    with pytest.raises(Permanent, match="differ only in upper and lower case"):
        columns_of(twins)


def test_types_that_disagree_in_one_topic_are_refused() -> None:
    """One column has one type; the message names the column."""
    other = msgspec.defstruct("Other", [("count", str)])
    batch = [record(0).event, record(1, value=other("7")).event]
    with pytest.raises(Permanent, match="column 'count' is int in one event type"):
        payload_columns(batch)


def test_a_mapping_does_not_fill_columns_of_others() -> None:
    """``values`` is a field of some and a method of every dict: they are not mixed up."""
    assert cell("values", record(0, value={"a": 1}).event) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("count", 1.5),
        ("count", "7"),
        ("ratio", 2**53 + 1),
        ("ratio", "x"),
        ("raw", 7),
        ("tags", [7]),
        ("tags", "abc"),
        ("flag", "yes"),
        ("table", {1: 2}),
    ],
)
def test_a_cell_is_exact_or_refused(field: str, value: Any) -> None:
    """A value that its column cannot hold exactly is no row; the record is named."""
    bad = record(5, value=Sample(**{field: value}))
    with pytest.raises(Permanent) as caught:
        arrow_table([record(4), bad], columns_of(Sample))
    assert (bad, True) == (caught.value.record, "test.samples[0]@5" in str(caught.value))


def test_kinds_are_words() -> None:
    """A kind's value is what messages say."""
    assert {"text", "int", "float", "bool", "bytes", "json"} == {kind.value for kind in Kind}
