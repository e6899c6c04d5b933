"""The generated part of docs/reference/sinks.md: every sink that ships, with its settings."""

from __future__ import annotations

from sinks import catalog


def page() -> str:
    """A section for each sink, by name."""
    return "\n\n".join(map(_section, sorted(catalog.BUILT_IN)))


def _section(name: str) -> str:
    settings = catalog.describe(name)
    head = f"## {name}\n\n{_sentence(catalog.load(name).summary)}"
    if not settings:
        return f"{head}\n\nIt has no settings."
    return "\n".join(
        [f"{head}\n", "| Setting | Type | Default | Meaning |", "|---|---|---|---|"]
        + [_row(setting) for setting in settings]
    )


def _row(one: catalog.Setting) -> str:
    kind = one.type.replace(" | ", " or ")
    return f"| `{one.name}` | {kind} | {_default(one)} | {_sentence(one.description)} |"


def _default(one: catalog.Setting) -> str:
    if one.required:
        return "required"
    return "-" if one.default in (None, "") else f"`{one.default}`"


def _sentence(text: str) -> str:
    words = " ".join(text.replace("``", "`").split()).replace("|", "\\|").replace("<", "&lt;")
    return words if not words or words.endswith(".") else f"{words}."
