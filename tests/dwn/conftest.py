"""Fixtures of the DWN tests: one real server for these tests, or a skip that says why not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .server import DwnServer, ServerUnavailable, dwn_server


@pytest.fixture(scope="package")
def server() -> Iterator[DwnServer]:
    """A running DWN server that these tests share, each with DIDs of its own."""
    try:
        with dwn_server() as running:
            yield running
    except ServerUnavailable as missing:
        pytest.skip(f"no DWN server: {missing}")
