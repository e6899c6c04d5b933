"""The broker that a command works on: whether anybody answers there."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from streams.ops.admin import OpsError
from streams.wire.approach import require_way

CONNECT_SECONDS = 3.0
DEFAULT_PORT = 9092


class NoBroker(OpsError):
    """Nobody listens where the broker should be."""


class BadAddress(OpsError):
    """An address that cannot be one."""


def require_listener(bootstrap: str) -> None:
    """Raise NoBroker or BadAddress unless somebody accepts connections at one of the addresses.

    librdkafka would retry silently for its whole timeout.
    """
    for address in bootstrap.split(","):
        host, port = _split(address.strip())
        with suppress(OSError):
            socket.create_connection((host, port), CONNECT_SECONDS).close()
            return
    raise NoBroker(
        f"no Kafka broker answers at {bootstrap}",
        "start one with `streams broker start`, or name yours by --broker or STREAMS_BROKER",
    )


def require_broker(bootstrap: str, kafka: Mapping[str, Any]) -> None:
    """Raise NoBroker, BadAddress, or WireError where the broker refuses us or we do not trust it.

    ``kafka``: librdkafka's settings of TLS and SASL.
    """
    require_listener(bootstrap)
    require_way({**kafka, "bootstrap.servers": bootstrap})


def _split(address: str) -> tuple[str, int]:
    host, sign, port = address.rpartition(":")
    if not sign:
        return address, DEFAULT_PORT
    if not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise BadAddress(
            f"{address!r} is not an address", "write HOST:PORT, such as 127.0.0.1:9092"
        )
    return host.strip("[]"), int(port)
