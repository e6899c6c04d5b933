"""The page on one's own topics was followed to the letter, on a Kafka of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.docs.reading import commands
from tests.docs.render import DOCS
from tests.docs.shell import Shell, on_new_kafka, saved, shown, until

TEXT = (DOCS / "how-to" / "join-your-own-topics.md").read_text()
INSTALL = ("python3 -m venv", ". .venv", "pip install")
pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """An empty folder with the files that the page asks to save, and a new Kafka."""
    with on_new_kafka(tmp_path, TEXT) as made:
        yield made


def placeless(text: str) -> str:
    """Without offsets, which depend on how much was read at once, and the time of the letter."""
    text = re.sub(r"^(late_records:\d+):\d+ +\S+", r"\1 ", text, flags=re.MULTILINE)
    return re.sub(r"^(\d+)/\d+ *", r"\1 ", text, flags=re.MULTILINE)


def all_read(shell: Shell, line: str) -> bool:
    """Whether ``streams lag`` says that the worker has read everything."""
    return all(row["lag"] == 0 for row in json.loads(shell.run(f"{line} --json"))["inputs"])


def some_late(shell: Shell, line: str) -> bool:
    """Whether the worker has come so far as to find a record late."""
    return len(shell.run(line).splitlines()) > 1


def test_the_page_shows_what_it_saves() -> None:
    """Its module, settings, events and program are found, and so is what they print."""
    assert [
        "my_join.py", "owners.ndjson", "risks.ndjson", "deposits.ndjson",
        "more_risks.ndjson", "wrong.ndjson", "late.ndjson", "rows.py", "test_my_join.py",
    ] == list(saved(TEXT))  # fmt: skip
    ends = ["--format table", "--max 1", "--max 3", "--max 5", "--each", "rows.py"]
    assert [True] * 6 == [line.endswith(end) for line, end in zip(shown(TEXT), ends, strict=True)]


def test_the_page_can_be_followed(shell: Shell) -> None:
    """Every command runs, in its order, and prints what the page shows, but for offsets.

    ::

        owner    |---------------------------x retracted
        risk         0.2     0.9 (second)  0.1 (first)      0.5 (too late)
        deposit                     aa01
    """
    expected = shown(TEXT)
    for line in commands(TEXT):
        if line.startswith(INSTALL):
            continue  # the packages of the tests are those of the reader
        if line.startswith("streams broker "):
            shell.run(f"{line} --help")  # the broker of the tests runs already
        elif line.startswith("streams worker"):
            shell.work(line)
        elif line.startswith("streams lag"):
            until("the worker has read all", partial(all_read, shell, line))
        else:
            if "late ls" in line:
                until("one is late", partial(some_late, shell, line))
            printed = shell.run(line)
            assert placeless(expected.get(line, printed)) == placeless(printed)
    assert "1 passed" in shell.run("python -m pytest -q -p no:cacheprovider test_my_join.py")
    assert [0] == shell.stop()
