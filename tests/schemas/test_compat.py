"""The offline compatibility check agrees with Apache Avro's own, on cases and random pairs."""

from __future__ import annotations

import copy
import json
from typing import Any

import avro.compatibility
import avro.schema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.catalog import TYPES
from schemas.compat import Break, Finding, breaks, findings
from schemas.release import RELEASED_DIR, load, release, versions
from streams import __version__


def record(*fields: Any, name: str = "R", **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields), **more}


def field(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


def enum(*symbols: str, name: str = "E", **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": name, "symbols": list(symbols), **more}


def fixed(size: int, name: str = "F") -> dict[str, Any]:
    return {"type": "fixed", "name": name, "size": size}


def referee(reader: Any, writer: Any) -> bool:
    """What the ``avro`` package says."""
    parsed = (avro.schema.parse(json.dumps(schema)) for schema in (reader, writer))
    result = avro.compatibility.ReaderWriterCompatibilityChecker().get_compatibility(*parsed)
    return result.compatibility is avro.compatibility.SchemaCompatibilityType.compatible


A = field("a", "long")
TREE = record(field("next", ["null", "R"]), A)
CASES: dict[str, tuple[Any, Any, bool]] = {
    "a field with a default is added": (record(A, field("b", "int", default=0)), record(A), True),
    "a field without a default is added": (record(A, field("b", "int")), record(A), False),
    "a field is removed": (record(A), record(A, field("b", "int")), True),
    "a field is renamed": (record(field("b", "long")), record(A), False),
    "a field is renamed with an alias": (
        record(field("b", "long", aliases=["a"])), record(A), True,
    ),
    "fields change places": (
        record(field("b", "int"), A), record(A, field("b", "int")), True,
    ),
    "int is widened to long": (record(A), record(field("a", "int")), True),
    "long is narrowed to int": (record(field("a", "int")), record(A), False),
    "int is widened to double": ("double", "int", True),
    "long is widened to float": ("float", "long", True),
    "double is narrowed to float": ("float", "double", False),
    "string is read as bytes": ("bytes", "string", True),
    "bytes are read as string": ("string", "bytes", True),
    "a number is read as string": ("string", "int", False),
    "a value becomes optional": (["null", "long"], "long", True),
    "an optional value becomes mandatory": ("long", ["null", "long"], False),
    "a union grows": (["null", "long", "string"], ["null", "long"], True),
    "a union shrinks": (["null", "long"], ["null", "long", "boolean"], False),
    "a union's branch is promoted": (["null", "double"], ["null", "int"], True),
    "an enum grows": (enum("X", "Y"), enum("X"), True),
    "an enum shrinks": (enum("X"), enum("X", "Y"), False),
    "an enum shrinks with a default": (enum("X", default="X"), enum("X", "Y"), True),
    "an enum gets another name": (enum("X", name="G"), enum("X"), False),
    "a fixed changes its size": (fixed(4), fixed(8), False),
    "a fixed stays": (fixed(8), fixed(8), True),
    "a record gets another name": (record(A, name="S"), record(A), False),
    "a record gets another name with an alias": (
        record(A, name="S", aliases=["R"]), record(A), True,
    ),
    "an array's items are widened": (
        {"type": "array", "items": "long"}, {"type": "array", "items": "int"}, True,
    ),
    "an array's items change": (
        {"type": "array", "items": "int"}, {"type": "array", "items": "string"}, False,
    ),
    "a map's values are narrowed": (
        {"type": "map", "values": "int"}, {"type": "map", "values": "long"}, False,
    ),
    "an array becomes a map": (
        {"type": "map", "values": "int"}, {"type": "array", "items": "int"}, False,
    ),
    "a nested record loses a field with no default": (
        record(field("in", record(A, name="I"))), record(field("in", record(name="I"))), False,
    ),
    "a recursive record stays": (TREE, TREE, True),
    "a recursive record is widened": (
        TREE, record(field("next", ["null", "R"]), field("a", "int")), True,
    ),
    "a recursive record changes inside": (
        record(field("next", ["null", "R"]), field("a", "boolean")), TREE, False,
    ),
    "a namespace changes": (record(A, namespace="x"), record(A, namespace="y"), True),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_kind_of_change_is_judged_as_avro_judges_it(name: str) -> None:
    """The rule of Avro's schema resolution and the referee agree with us on the case."""
    reader, writer, readable = CASES[name]
    assert (readable, referee(reader, writer)) == (not findings(reader, writer), readable)


PRIMITIVES = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")
DEFAULTS = {"null": None, "boolean": False, "int": 0, "long": 0, "string": "", "bytes": ""}


def unnamed(depth: int) -> st.SearchStrategy[Any]:
    """Schemas whose named types have no names yet."""
    leaves = st.sampled_from(PRIMITIVES)
    if depth == 0:
        return leaves
    inner = unnamed(depth - 1)
    symbols = st.lists(st.sampled_from("XYZ"), min_size=1, unique=True)
    defaulted = symbols.flatmap(
        lambda s: st.sampled_from([{}, {"default": s[0]}]).map(
            lambda d: {"type": "enum", "symbols": s, **d}
        )
    )
    return st.one_of(
        leaves,
        st.builds(lambda i: {"type": "array", "items": i}, inner),
        st.builds(lambda v: {"type": "map", "values": v}, inner),
        st.builds(lambda n: {"type": "fixed", "size": n}, st.sampled_from([4, 8])),
        defaulted,
        st.lists(fields(inner), max_size=3, unique_by=lambda f: f["name"]).map(
            lambda found: {"type": "record", "fields": found}
        ),
        st.lists(inner.filter(lambda s: not isinstance(s, list)), min_size=1, max_size=3,
                 unique_by=lambda s: s if isinstance(s, str) else s["type"]),
    )  # fmt: skip


def fields(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def complete(name: str, kind: Any, wants_default: bool) -> dict[str, Any]:
        first = kind[0] if isinstance(kind, list) else kind
        if wants_default and isinstance(first, str) and first in DEFAULTS:
            return field(name, kind, default=DEFAULTS[first])
        return field(name, kind)

    return st.builds(complete, st.sampled_from("abc"), inner, st.booleans())


def named(schema: Any, counts: dict[str, int] | None = None) -> Any:
    """The schema with a name for each named type: the first record is Record1, and so on."""
    counts = {} if counts is None else counts
    if isinstance(schema, list):
        return [named(branch, counts) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    result = dict(schema)
    if schema["type"] in ("record", "enum", "fixed"):
        counts[schema["type"]] = number = counts.get(schema["type"], 0) + 1
        result["name"] = f"{schema['type']}{number}"
    if "fields" in schema:
        result["fields"] = [{**f, "type": named(f["type"], counts)} for f in schema["fields"]]
    for inner in ("items", "values"):
        if inner in schema:
            result[inner] = named(schema[inner], counts)
    return result


@st.composite
def changed(draw: st.DrawFn, schema: Any) -> Any:
    """The schema with a few changes, as people make them."""
    what = draw(st.integers(0, 9))
    if what == 0:
        return draw(unnamed(1))
    if what == 1 and not isinstance(schema, list) and schema != "null":
        return ["null", schema]
    if isinstance(schema, str):
        return {"int": "long", "long": "double"}.get(schema, schema) if what < 4 else schema
    if isinstance(schema, list):
        return schema[:-1] if what < 3 and len(schema) > 1 else schema
    result = copy.copy(schema)
    if "fields" in schema:
        kept = [f for f in schema["fields"] if draw(st.integers(0, 5))]
        result["fields"] = [{**f, "type": draw(changed(f["type"]))} for f in kept]
        for one in result["fields"]:
            one.pop("default", None)
    for inner in ("items", "values"):
        if inner in schema:
            result[inner] = draw(changed(schema[inner]))
    if "symbols" in schema and what < 4:
        result["symbols"] = ["X", "Y", "Z"]
    return result


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_random_changes_are_judged_as_avro_judges_them(data: st.DataObject) -> None:
    """For a random schema and a change of it, both directions get the referee's verdict."""
    plain = data.draw(unnamed(3))
    one, other = named(plain), named(data.draw(changed(plain)))
    for reader, writer in ((one, other), (other, one)):
        assert referee(reader, writer) == (not findings(reader, writer)), (reader, writer)


@settings(max_examples=200, deadline=None)
@given(unnamed(3).map(named))
def test_every_schema_reads_itself(schema: Any) -> None:
    """Compatibility is reflexive."""
    assert [] == findings(schema, schema)


def test_a_finding_names_its_place() -> None:
    """The place leads to the field, through arrays and records."""
    inner = {"type": "array", "items": record(field("x", "long"), name="I")}
    other = {"type": "array", "items": record(field("x", "string"), name="I")}
    expected = [Finding("in[].x", "a string cannot be read as long")]
    assert expected == findings(record(field("in", inner)), record(field("in", other)))


def test_a_type_that_vanished_is_a_break() -> None:
    """Released data stays readable: its schema may not be deleted."""
    found = breaks({"a.b.v1": record(A)}, {})
    assert [("a.b.v1", "removed")] == [(b.type, b.direction) for b in found]


def test_a_new_version_is_compared_with_every_released_version_of_its_family() -> None:
    """v3 must get on with v1 and v2 alike, in both directions."""
    old = {"a.b.v1": record(A), "a.b.v2": record(A), "other.v1": record(name="O")}
    new = {**old, "a.b.v3": record(field("b", "int", default=0))}
    words = "the field is not written and has no default"
    expected = [
        Break("a.b.v3", against, "old reads new", "a", words) for against in ("a.b.v1", "a.b.v2")
    ]
    assert expected == breaks(old, new)


def test_the_present_schemas_are_compatible_with_the_last_release() -> None:
    """What is committed never breaks what was released."""
    assert [] == breaks(load(RELEASED_DIR / versions()[-1]), load())


def test_the_release_of_this_version_holds_what_this_version_writes() -> None:
    """Every type is in it, as it is; a type that is not yet released needs a newer version."""
    folder = RELEASED_DIR / __version__
    kept = load(folder) if folder.exists() else load()
    words = f"schemas changed since {__version__}: raise the version, or release them with it"
    assert load() == kept, words
    assert {kind.name for kind in TYPES} == kept.keys(), words
    assert __version__ == max(__version__, versions()[-1], key=numbers)


def numbers(version: str) -> tuple[int, ...]:
    """A version as its parts, in order of release."""
    return tuple(map(int, version.split(".")))


def test_a_release_is_a_copy_that_cannot_be_made_twice(tmp_path: Any) -> None:
    """A release keeps every file, byte for byte, and is never overwritten."""
    kept = release("1.2.3", folder=tmp_path)
    assert load() == load(tmp_path / "1.2.3")
    assert sorted(load()) == kept
    with pytest.raises(ValueError, match="exists already"):
        release("1.2.3", folder=tmp_path)


def test_releases_are_in_the_order_of_their_numbers(tmp_path: Any) -> None:
    """0.10.0 follows 0.9.0."""
    for name in ("0.10.0", "0.9.0", "notes"):
        (tmp_path / name).mkdir()
    assert ["0.9.0", "0.10.0"] == versions(tmp_path)


def test_a_release_needs_a_version(tmp_path: Any) -> None:
    """Nothing else is made into a folder."""
    with pytest.raises(ValueError, match=r"MAJOR\.MINOR\.PATCH"):
        release("../evil", folder=tmp_path)
