"""The generated part of docs/reference/patterns.md: every pattern, with its limits."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from textwrap import dedent
from typing import Any, NamedTuple

import msgspec

from streams.patterns.catalog import PATTERNS, Entry


class Limit(NamedTuple):
    """One field of a pattern's config; those of a config inside it have its name in front."""

    name: str
    default: Any
    words: str


def page() -> str:
    """A section for each pattern, in the order of the catalogue."""
    return "\n\n".join(map(_section, PATTERNS))


def limits(config: msgspec.Struct, prefix: str = "") -> Iterator[Limit]:
    """The fields of a config, and of the configs inside it."""
    words = described(type(config))
    for field in msgspec.structs.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, msgspec.Struct):
            yield from limits(value, f"{prefix}{field.name}.")
        else:
            yield Limit(f"{prefix}{field.name}", value, words.get(field.name, ""))


def described(cls: type) -> dict[str, str]:
    """The string under each field of a class, in one line."""
    (node,) = ast.parse(dedent(inspect.getsource(cls))).body
    assert isinstance(node, ast.ClassDef)
    found: dict[str, str] = {}
    for field, below in zip(node.body, node.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            text = _string(below)
            if text is not None:
                found[field.target.id] = " ".join(text.split())
    return found


def _string(node: ast.stmt) -> str | None:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return str(node.value.value)
    return None


def _section(entry: Entry) -> str:
    rows = [
        f"| `{one.name}` | {_value(one.default)} | {one.words} |" for one in limits(entry.config)
    ]
    return "\n".join(
        [
            f"## {entry.id}\n",
            f"{entry.about.definition}\n",
            f"Severity: {entry.about.severity}.\n",
            f"Source: {entry.about.source}.\n",
            "| Limit | Default | Why |",
            "|---|---|---|",
            *rows,
        ]
    )


def _value(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, frozenset):
        return ", ".join(f"`{item}`" for item in sorted(value))
    return f"`{value}`" if isinstance(value, str) else str(value)
