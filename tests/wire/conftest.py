"""One guarded broker for all tests of the wire."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streams.broker import BrokerError
from tests.wire.guarded import Guarded


@pytest.fixture(scope="package")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A real broker with TLS, SASL and ACLs; its user ``worker`` may do nothing yet."""
    made = Guarded(tmp_path_factory.mktemp("guarded"))
    try:
        made.start()
    except BrokerError as error:
        pytest.skip(f"no embedded Kafka here: {error}")
    yield made
    made.broker.stop()
