"""May data written with one Avro schema be read with another? (Avro 1.11, "Schema Resolution")

The check needs no registry: it compares the schemas of a release with the present ones, both ways
(FULL), each new version with every released version of its family (TRANSITIVE). Logical types are
outside the rules of resolution, except that their underlying types follow them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

_PROMOTED = {
    "int": {"long", "float", "double"},
    "long": {"float", "double"},
    "float": {"double"},
    "string": {"bytes"},
    "bytes": {"string"},
}
"""What a written primitive may be read as, beside itself."""
_NAMED = ("record", "error", "enum", "fixed")


class Finding(NamedTuple):
    """One reason why data cannot be read."""

    place: str
    """Where in the reader's schema: names joined by dots."""
    words: str


class Break(NamedTuple):
    """One incompatible change."""

    type: str
    against: str
    """The released type."""
    direction: str
    """``new reads old``, ``old reads new`` or ``removed``"""
    place: str
    words: str


def findings(reader: Any, writer: Any) -> list[Finding]:
    """Why data of schema ``writer`` cannot be read with ``reader``; empty when it can.

    >>> findings("long", "int"), findings("int", "long")
    ([], [Finding(place='', words='a long cannot be read as int')])
    """
    return list(_Resolution(reader, writer).differences(reader, writer, "", ("", "")))


class _Resolution:
    """One comparison: the named types of both sides, and the pairs under way (recursion)."""

    def __init__(self, reader: Any, writer: Any) -> None:
        self.named: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        _collect(reader, "", self.named[0])
        _collect(writer, "", self.named[1])
        self._under_way: set[tuple[str, str]] = set()

    def differences(
        self, reader: Any, writer: Any, place: str, spaces: tuple[str, str]
    ) -> Iterator[Finding]:
        """All findings of one pair of schemas."""
        reader, writer = self._full(reader, 0, spaces), self._full(writer, 1, spaces)
        spaces = (_space(reader, spaces[0]), _space(writer, spaces[1]))
        if isinstance(writer, list):
            for branch in writer:
                yield from self.differences(reader, branch, place, spaces)
        elif isinstance(reader, list):
            if not any(self._reads(branch, writer, spaces) for branch in reader):
                yield Finding(place, f"no branch of the reader's union takes {_label(writer)}")
        elif kind(reader) != kind(writer):
            if kind(reader) not in _PROMOTED.get(kind(writer), ()):
                words = f"a {_label(writer)} cannot be read as {_label(reader)}"
                yield Finding(place, words)
        else:
            yield from self._same_kind(reader, writer, place, spaces)

    def _reads(self, reader: Any, writer: Any, spaces: tuple[str, str]) -> bool:
        return not list(self.differences(reader, writer, "", spaces))

    def _same_kind(
        self, reader: Any, writer: Any, place: str, spaces: tuple[str, str]
    ) -> Iterator[Finding]:
        if kind(reader) in _NAMED and not _same_name(reader, writer, spaces):
            yield Finding(place, f"{_label(writer)} cannot be read as {_label(reader)}")
        elif kind(reader) in ("record", "error"):
            yield from self._record(reader, writer, place, spaces)
        elif kind(reader) == "enum":
            yield from _enum(reader, writer, place)
        elif kind(reader) == "fixed" and reader["size"] != writer["size"]:
            yield Finding(place, f"fixed of {writer['size']} bytes, not {reader['size']}")
        elif kind(reader) == "array":
            inside = f"{place}[]"
            yield from self.differences(reader["items"], writer["items"], inside, spaces)
        elif kind(reader) == "map":
            inside = f"{place}{{}}"
            yield from self.differences(reader["values"], writer["values"], inside, spaces)

    def _record(
        self, reader: Any, writer: Any, place: str, spaces: tuple[str, str]
    ) -> Iterator[Finding]:
        pair = (_full_name(reader, spaces[0]), _full_name(writer, spaces[1]))
        if pair in self._under_way:
            return
        self._under_way.add(pair)
        yield from self._fields(reader, writer, place, spaces)
        self._under_way.discard(pair)

    def _fields(
        self, reader: Any, writer: Any, place: str, spaces: tuple[str, str]
    ) -> Iterator[Finding]:
        written = {field["name"]: field for field in writer["fields"]}
        for field in reader["fields"]:
            names = (field["name"], *field.get("aliases", ()))
            source = next((written[name] for name in names if name in written), None)
            inside = f"{place}.{field['name']}".lstrip(".")
            if source is not None:
                yield from self.differences(field["type"], source["type"], inside, spaces)
            elif "default" not in field:
                yield Finding(inside, "the field is not written and has no default")

    def _full(self, schema: Any, side: int, spaces: tuple[str, str]) -> Any:
        """The definition behind a name, and a plain name of a primitive type as it is."""
        if isinstance(schema, dict) and not isinstance(schema["type"], str):
            return self._full(schema["type"], side, spaces)
        if not isinstance(schema, str):
            return schema
        named = self.named[side]
        return named.get(_qualified(schema, spaces[side]), named.get(schema, schema))


def _enum(reader: Any, writer: Any, place: str) -> Iterator[Finding]:
    strange = [symbol for symbol in writer["symbols"] if symbol not in reader["symbols"]]
    if strange and reader.get("default") not in reader["symbols"]:
        yield Finding(place, f"the reader's enum lacks {', '.join(strange)} and has no default")


def kind(schema: Any) -> str:
    """The type word of a schema: ``record``, ``union``, ``long``, ...

    >>> kind(["null", "int"]), kind({"type": "array", "items": "int"}), kind("bytes")
    ('union', 'array', 'bytes')
    """
    if isinstance(schema, list):
        return "union"
    return str(schema["type"]) if isinstance(schema, dict) else str(schema)


def _label(schema: Any) -> str:
    if isinstance(schema, list):
        return f"union of {', '.join(map(_label, schema))}"
    if isinstance(schema, dict) and "name" in schema:
        return f"{kind(schema)} {schema['name']}"
    return kind(schema)


def _qualified(name: str, space: str) -> str:
    return f"{space}.{name}" if space and "." not in name else name


def _space(schema: Any, space: str) -> str:
    """The namespace inside a schema."""
    return _full_name(schema, space).rpartition(".")[0] if kind(schema) in _NAMED else space


def _full_name(schema: Any, space: str) -> str:
    return _qualified(schema["name"], schema.get("namespace", space))


def _same_name(reader: Any, writer: Any, spaces: tuple[str, str]) -> bool:
    """Unqualified names agree, or the reader knows the writer's full name as an alias."""
    if reader["name"].rpartition(".")[2] == writer["name"].rpartition(".")[2]:
        return True
    aliases = {_qualified(name, spaces[0]) for name in reader.get("aliases", ())}
    return _full_name(writer, spaces[1]) in aliases


def _collect(schema: Any, space: str, into: dict[str, Any]) -> None:
    """Find every definition of a named type."""
    if isinstance(schema, list):
        for branch in schema:
            _collect(branch, space, into)
    elif isinstance(schema, dict):
        if kind(schema) in _NAMED:
            into[_full_name(schema, space)] = schema
            space = _space(schema, space)
        for field in schema.get("fields", ()):
            _collect(field["type"], space, into)
        for inner in ("items", "values", "type"):
            if not isinstance(schema.get(inner), str | None):
                _collect(schema[inner], space, into)


# Releases -----------------------------------------------------------------------------------------


def breaks(released: Mapping[str, Any], present: Mapping[str, Any]) -> list[Break]:
    """Incompatible changes between the schemas of a release and the present ones.

    Both map type names with version (``bitcoin.block.v1``) to schemas. A type is compared with its
    released self, and with every released version of its family when it is new.
    """
    found = [
        Break(name, name, "removed", "", "released data of this type can no longer be read")
        for name in released
        if name not in present
    ]
    for name, against in _pairs(released, present):
        found += _both_ways(name, present[name], against, released[against])
    return found


def _pairs(released: Mapping[str, Any], present: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in present:
        if name in released:
            yield name, name
            continue
        family = name.rpartition(".")[0]
        for other in released:
            if other.rpartition(".")[0] == family:
                yield name, other


def _both_ways(name: str, new: Any, against: str, old: Any) -> Iterator[Break]:
    for direction, reader, writer in (("new reads old", new, old), ("old reads new", old, new)):
        for place, words in findings(reader, writer):
            yield Break(name, against, direction, place, words)
