"""Ports of the loopback address: free ones, and whether a wanted one is free."""

from __future__ import annotations

import socket

from streams.broker.config import HOST
from streams.broker.errors import PortTaken


def choose(wanted: int) -> tuple[int, int]:
    """A port for clients (``wanted``, or any free one for 0) and a free one for the controller.

    Raises PortTaken when the wanted one is in use. A free port may be taken by another program
    before the broker binds it; the broker then ends and says so.
    """
    with _bound(wanted) as client, _bound(0) as controller:
        return client.getsockname()[1], controller.getsockname()[1]


def _bound(port: int) -> socket.socket:
    sock = socket.socket()
    # as Java does: connections of an earlier broker that still linger do not make a port taken
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((HOST, port))
        sock.listen()
    except OSError as error:
        sock.close()
        raise PortTaken(f"the port {HOST}:{port} cannot be used ({error.strerror})") from error
    return sock
