"""Pages whose Python blocks are run: the blocks of a page are one program, in their order.

A ``text`` block right after a Python block is what that one prints. After a change of a page
``python -m tests.docs.page_blocks docs/joins/interval.md ...`` writes these blocks anew: read what
they say before you keep them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.docs.reading import blocks
from tests.docs.render import DOCS, ROOT

PAGES = [*sorted((DOCS / "joins").glob("*.md")), DOCS / "time.md"]
SECONDS = 60
_PAIR = re.compile(r"^```python\n(.*?)^```\n(?:\n*```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)
_RUN = """
import contextlib, io, json, sys, types
page = types.ModuleType("page")
sys.modules["page"] = page  # classes look for the module that they are of
page.__dict__["__name__"] = "page"
printed = []
for number, block in enumerate(json.load(sys.stdin)):
    into = io.StringIO()
    with contextlib.redirect_stdout(into):
        exec(compile(block, f"block {number}", "exec"), page.__dict__)
    printed.append(into.getvalue())
json.dump(printed, sys.stdout)
"""


def shown(text: str) -> list[str]:
    """What the page says that each of its Python blocks prints; nothing is shown for some."""
    return [found[2] or "" for found in _PAIR.finditer(text)]


def printed(text: str) -> list[str]:
    """What each Python block prints, in one process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN],
        input=json.dumps(blocks(text, "python")), capture_output=True, text=True,
        timeout=SECONDS, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


def rewritten(text: str) -> str:
    """The page with what its blocks print now, where it shows it."""
    outputs = iter(printed(text))

    def replaced(found: re.Match[str]) -> str:
        output = next(outputs)
        code = f"```python\n{found[1]}```\n"
        return code if found[2] is None else f"{code}\n```text\n{output}```"

    return _PAIR.sub(replaced, text)


def main() -> None:
    """Rewrite the pages that are named, or all."""
    for path in [Path(name) for name in sys.argv[1:]] or PAGES:
        path.write_text(rewritten(path.read_text()))
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
