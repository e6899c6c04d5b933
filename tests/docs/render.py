"""The generated parts of the documents: ``python -m tests.docs.render`` writes them again."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from streams.agents.pipeline import topology
from streams.config import Config
from streams.ops.drawing import as_mermaid
from streams.topics import ALL, Topic
from tests.docs import bench_page, cli_page, config_page, patterns_page, sinks_page, size_page

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
TOPOLOGY = DOCS / "topology.md"
PATTERNS = REFERENCE / "patterns.md"


def picture() -> str:
    """What ``streams topology --format mermaid`` prints, as a fenced block."""
    return f"```mermaid\n{as_mermaid(topology(Config()))}\n```"


def table() -> str:
    """Every topic, a row each."""
    head = ["| Topic | Key | What it holds | Event type | Notes |", "|---|---|---|---|---|"]
    return "\n".join([*head, *map(_row, ALL)])


def _row(topic: Topic) -> str:
    kind = f"`{topic.event_type}`" if topic.event_type else "-"
    notes = ", ".join(_notes(topic))
    return f"| `{topic.name}` | {topic.by} | {topic.about} | {kind} | {notes} |"


def _notes(topic: Topic) -> Iterator[str]:
    if topic.event_type is not None:
        yield "source" if topic.source else "derived"
    if topic.broadcast:
        yield "every record in every partition"
    if topic.table:
        yield "versioned table"
    if not topic.stored:
        yield "in memory only"
    if topic.partitions is not None:
        yield f"{topic.partitions} partitions"
    if topic.compacted:
        yield f"compacted, in segments of {int(topic.settings()['segment.bytes']) >> 20} MiB"


def parts() -> dict[Path, dict[str, str]]:
    """By document, each marker's name and what belongs between its marks."""
    return {
        README: {"bench": bench_page.page()},
        DOCS / "comparison.md": {"bench": bench_page.page()},
        TOPOLOGY: {"topology": picture()},
        REFERENCE / "cli.md": {"cli": cli_page.page()},
        REFERENCE / "config.md": {"config": config_page.page()},
        REFERENCE / "sinks.md": {"sinks": sinks_page.page()},
        REFERENCE / "topics.md": {"topics": table()},
        PATTERNS: {"patterns": patterns_page.page()},
        DOCS / "how-to" / "size.md": size_page.page(),
    }


def between(text: str, name: str) -> str:
    """What stands between ``<!-- name -->`` and ``<!-- /name -->``; raises ValueError."""
    found = _marks(name).search(text)
    if found is None:
        raise ValueError(f"no <!-- {name} --> ... <!-- /{name} -->: put the marks back")
    return found[2]


def replaced(text: str, name: str, content: str) -> str:
    """The text with ``content`` between the marks."""
    between(text, name)
    return _marks(name).sub(lambda found: f"{found[1]}{content}\n<!-- /{name} -->", text, count=1)


def _marks(name: str) -> re.Pattern[str]:
    return re.compile(f"(<!-- {name} -->\n)(.*?)(\n?<!-- /{name} -->)", re.DOTALL)


def main() -> None:
    """Write every generated part again."""
    for path, contents in parts().items():
        text = path.read_text()
        for name, content in contents.items():
            text = replaced(text, name, content)
        path.write_text(text)
        print(f"wrote {path.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
