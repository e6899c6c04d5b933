"""The tutorial was walked through: its commands run in their order, and print what it shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from streams.broker import EmbeddedBroker
from tests.docs.reading import commands
from tests.docs.render import DOCS
from tests.docs.shell import Shell, checkout, saved, shown, until

TEXT = (DOCS / "tutorial.md").read_text()
pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A folder like a checkout, with the files that the tutorial asks to save.

    Its Kafka is new, as its reader's is: it counts what is in the topics.
    """
    broker = EmbeddedBroker()
    made = checkout(tmp_path, TEXT, broker.start(), "tutorial")
    yield made
    made.clean_up()
    broker.stop()


def all_read(shell: Shell, line: str) -> bool:
    """Whether ``streams lag`` says that nothing is left to read."""
    rows = json.loads(shell.run(f"{line} --json"))
    found = rows["inputs"] if isinstance(rows, dict) else rows
    return bool(found) and all(row["lag"] == 0 for row in found)


def test_the_tutorial_shows_what_it_saves() -> None:
    """Its settings, its step and its three programs are found, and so is what they print."""
    names = ["streams.toml", "my_verdicts.py", "show.py", "blocks.py", "payment.py"]
    assert names == list(saved(TEXT))
    assert ["python show.py 1 3", "python blocks.py", "python show.py bcrt1 m n"] == list(
        shown(TEXT)
    )


def test_the_tutorial_can_be_walked_through(shell: Shell) -> None:
    """Every command runs, in its order; where it shows what is printed, that is printed."""
    expected = shown(TEXT)
    for line in commands(TEXT):
        if line.startswith("streams broker "):
            shell.run(f"{line} --help")  # the broker of the tests runs already
        elif line.startswith("streams worker"):
            shell.work(line)
        elif line.startswith("streams lag"):
            until("the main job has read all", partial(all_read, shell, "streams lag"))
            until("the own step has read all", partial(all_read, shell, line))
        elif line == "python payment.py":
            steps = shell.run(line).splitlines()
            assert "assert credit 3 of 3" == steps[-1]
        elif line in expected:
            # a lag of 0 is said of each checkpoint by itself: what one has just written, the next
            # reader may still be about to see
            with suppress(AssertionError):
                until("it is so", lambda cmd=line: expected[cmd] == shell.run(cmd))
            assert expected[line] == shell.run(line)
        else:
            shell.run(line)
    assert [0, 0] == shell.stop()
