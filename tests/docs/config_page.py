"""The generated part of docs/reference/config.md: every setting, from the structs themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from streams.chain.payments import Rule
from streams.config import PREFIX, Config
from tests.docs.patterns_page import described

OWN_WORDS = {"name": "What a decision calls the rule."}
"""Of fields whose name says what they are, and which have no words of their own."""


class Setting(NamedTuple):
    """One setting; a setting in a section has the section's name in front."""

    name: str
    type: str
    default: str
    variable: str
    words: str


def settings(struct: type[msgspec.Struct] = Config, prefix: str = "") -> Iterator[Setting]:
    """Every setting of a struct, those of the structs in it in their place."""
    hints, words = get_type_hints(struct), described(struct)
    for field in msgspec.structs.fields(struct):
        kind, name = hints[field.name], f"{prefix}{field.name}"
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            yield from settings(kind, f"{name}.")
        else:
            variable = "-" if get_origin(kind) is list else variable_of(name)
            meaning = words.get(field.name) or OWN_WORDS.get(field.name, "")
            yield Setting(name, type_of(kind), _default(field), variable, meaning)


def variable_of(name: str) -> str:
    """The environment variable of a setting.

    >>> variable_of("engine.checkpoint_ms")
    'STREAMS_ENGINE__CHECKPOINT_MS'
    """
    return PREFIX + name.upper().replace(".", "__")


def type_of(kind: Any) -> str:
    """A type in words.

    >>> type_of(str | None), type_of(list[str]), type_of(Literal["a", "b"])
    ('text or nothing', 'list of text', '`a` or `b`')
    """
    plain = {int: "integer", float: "number", str: "text", bool: "`true` or `false`"}
    if kind in plain:
        return plain[kind]
    if get_origin(kind) is list:
        return f"list of {type_of(get_args(kind)[0])}"
    if get_origin(kind) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(kind))
    if kind is Rule:
        return "rules"
    return " or ".join("nothing" if a is type(None) else type_of(a) for a in get_args(kind))


def page() -> str:
    """One table for the settings, one for the fields of a payment rule."""
    rules = [one._replace(variable="") for one in settings(Rule)]
    return "\n\n".join(
        [
            "## Settings",
            _table(["Setting", "Type", "Default", "Environment", "Meaning"], settings()),
            "## payments.rules",
            "The first rule whose amount and identity fit a payment decides it. A rule has:",
            _table(["Field", "Type", "Default", "Meaning"], rules),
        ]
    )


def _table(head: list[str], rows: Any) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(_row(one, len(head)) for one in rows)])


def _row(one: Setting, width: int) -> str:
    variable = one.variable if one.variable in ("", "-") else f"`{one.variable}`"
    cells = [f"`{one.name}`", one.type, one.default, variable, one.words.replace("``", "`")]
    return f"| {' | '.join(cell for n, cell in enumerate(cells) if width == 5 or n != 3)} |"


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    if field.default_factory is not msgspec.NODEFAULT:
        made = field.default_factory()
        return ", ".join(f"`{one.name}`" for one in made) if made else "empty"
    return "-" if field.default is None else _value(field.default)


def _value(value: Any) -> str:
    return f"{value:,}" if type(value) is int else f"`{value}`"
