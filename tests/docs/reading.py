"""What the tests of the documents read out of them."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.render import README, ROOT

CONTRIBUTING = ROOT / "CONTRIBUTING.md"
ADRS = sorted((ROOT / "docs" / "adr").glob("0*.md"))
DOCUMENTS = [
    README,
    CONTRIBUTING,
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_TIMES = re.compile(r"\d+\.\d s")


def name(path: Path) -> str:
    """The document's path in the project."""
    return str(path.relative_to(ROOT))


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    return [found[2] for found in _FENCE.finditer(text) if found[1] == language]


def commands(text: str) -> list[str]:
    """The command lines of all ``sh`` blocks, without their comments."""
    lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
    return [found for line in lines if (found := re.sub(r"(^|\s+)#.*$", "", line).strip())]


def block_after(text: str, line: str) -> str:
    """The ``text`` block that follows a line: what the line prints."""
    return blocks(text[text.index(line) :], "text")[0]


def inline(text: str) -> list[str]:
    """What stands between single backticks outside of fenced blocks."""
    return re.findall(r"`([^`\n]+)`", _FENCE.sub("", text))


def links(text: str) -> list[str]:
    """The targets of all links that are not addresses."""
    found = re.findall(r"\]\(([^)#\s]+)[^)]*\)", _FENCE.sub("", text))
    return [target for target in found if "://" not in target]


def sections(text: str) -> dict[str, str]:
    """By heading of the second level, what stands under it."""
    found = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(found[::2], found[1::2], strict=True))


def steps(section: str) -> list[str]:
    """The numbered steps of a section."""
    return [s.strip() for s in re.split(r"^\d+\. ", section, flags=re.MULTILINE)[1:]]


def timeless(text: str) -> str:
    """The text with its seconds left open: each run has others."""
    return _TIMES.sub("# s", re.sub(r" +", " ", text))
