"""The engine on the model, for all tests here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulation.running import modelled


@pytest.fixture(autouse=True, scope="package")
def _modelled() -> Iterator[None]:
    with modelled():
        yield
