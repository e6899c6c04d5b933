"""The page on dead letters was followed to the letter, on a Kafka of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from streams.ops.redriving import MEANING
from tests.docs.reading import commands
from tests.docs.render import DOCS
from tests.docs.shell import Shell, on_new_kafka, saved, shown, until

TEXT = (DOCS / "how-to" / "dead-letters.md").read_text()
WORKER = "streams worker"


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """An empty folder with the files that the page asks to save, and a new Kafka."""
    with on_new_kafka(tmp_path, TEXT) as made:
        yield made


def timeless(text: str) -> str:
    """Without times of arrival, which each run has anew."""
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "T", text)


def all_read(shell: Shell, line: str) -> bool:
    """Whether ``streams lag`` says that the worker has read everything."""
    return all(row["lag"] == 0 for row in json.loads(shell.run(f"{line} --json"))["inputs"])


def test_the_page_speaks_of_every_outcome() -> None:
    """Each one that redrive knows has its line."""
    assert [] == [why for why in MEANING if f"`{why}`" not in TEXT]


@pytest.mark.kafka
@pytest.mark.timeout(600)
def test_the_page_can_be_followed(shell: Shell) -> None:
    """Every command runs, in its order, and prints what the page shows, but for times.

    ::

        orders   one EUR, two GBP          redrive two
        worker   |-- rates without GBP --| |-- rates with GBP --->
    """
    assert ["shop.py", "rates.json", "orders.ndjson"] == list(saved(TEXT))
    expected = shown(TEXT)
    assert 3 == len(expected)
    for line in commands(TEXT):
        if line.startswith("streams broker "):
            shell.run(f"{line} --help")  # the broker of the tests runs already
        elif line.startswith(WORKER):
            assert {0} >= {worker.stop() for worker in shell.workers}
            shell.workers.clear()
            shell.work(line)
        elif line.startswith("streams lag"):
            until("the worker has read all", partial(all_read, shell, line))
        else:
            printed = timeless(shell.run(line))
            assert timeless(expected.get(line, printed)) == printed
    rows = shell.run("streams consume shop.priced --module shop --from-beginning --until-end")
    assert True is all(found in rows for found in ('"usd":10.0', '"usd":6.0'))
    assert [0] == shell.stop()
