"""ZMQ notifications of a Bitcoin node: frames, their form, and what was lost between them.

A message has three parts: topic, body, and a little-endian counter of its topic (Bitcoin Core,
``doc/zmq.md``). Delivery is best effort: a jump of the counter says that messages were lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct, error
from typing import Literal, NamedTuple

import zmq
from zmq.utils.monitor import recv_monitor_message

from streams.sources.errors import SourceError

Label = Literal["A", "R", "C", "D"]
_COUNTER, _SEQUENCE = Struct("<I").unpack, Struct("<Q").unpack
_TOPICS = (b"sequence", b"rawtx")
_REMEDY = "set zmqpubsequence and zmqpubrawtx in bitcoin.conf and give their address"


class Frame(NamedTuple):
    """One message: a transaction body (``rawtx``), or a labelled hash (``sequence``)."""

    counter: int
    body: bytes = b""
    label: Label | None = None
    """A added, R removed, C connected, D disconnected; None for a rawtx."""
    hash: str = ""
    mempool_sequence: int | None = None
    lost: int = 0
    """Messages of the same topic missing before this one."""


def decode(parts: Sequence[bytes]) -> Frame:
    """Read one message. Raises ValueError for anything else than the two topics' forms."""
    try:
        topic, body, counter = parts
        number = _COUNTER(counter)[0]
        if topic == b"rawtx":
            return Frame(number, body)
        label = body[32:33].decode("ascii")
        if topic != b"sequence" or label not in ("A", "R", "C", "D"):
            raise ValueError(f"unknown topic {topic!r} or label {label!r}")
        sequence = _SEQUENCE(body[33:])[0] if label in "AR" else None
    except error as problem:
        raise ValueError(f"malformed notification: {problem}") from problem
    return Frame(number, b"", label, body[:32].hex(), sequence)  # type: ignore[arg-type]


class Counters:
    """Counts what is missing between the messages of each topic."""

    def __init__(self) -> None:
        self._last: dict[bool, int] = {}

    def check(self, frame: Frame) -> Frame:
        """The frame with the number of messages lost before it; a counter wraps at 2^32."""
        topic = frame.label is None
        last = self._last.get(topic, frame.counter - 1)
        self._last[topic] = frame.counter
        return frame._replace(lost=(frame.counter - last - 1) % (1 << 32))


class Feed:
    """A subscription to one node's ``sequence`` and ``rawtx`` topics."""

    def __init__(self, addresses: Sequence[str], connect_ms: int = 10_000) -> None:
        self._addresses, self._connect_ms = tuple(dict.fromkeys(addresses)), connect_ms
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._counters = Counters()

    def open(self) -> None:
        """Subscribe, and return once every publisher has shaken hands. Raises SourceError."""
        self._socket.setsockopt(zmq.RCVHWM, 1_000_000)
        for topic in _TOPICS:
            self._socket.setsockopt(zmq.SUBSCRIBE, topic)
        monitor = self._socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        try:
            for address in self._addresses:
                self._connect(address, monitor)
        finally:
            self._socket.disable_monitor()

    def _connect(self, address: str, monitor: zmq.Socket[bytes]) -> None:
        self._socket.connect(address)
        if not monitor.poll(self._connect_ms):
            raise SourceError(f"no ZMQ publisher at {address}", _REMEDY)
        recv_monitor_message(monitor)

    def receive(self, timeout_ms: int) -> Frame | None:
        """The next frame, or None when none comes in time. Raises SourceError for a foreign one."""
        if not self._socket.poll(timeout_ms):
            return None
        try:
            return self._counters.check(decode(self._socket.recv_multipart()))
        except ValueError as problem:
            raise SourceError(str(problem), _REMEDY) from problem

    def close(self) -> None:
        """Unsubscribe and free the sockets."""
        self._context.destroy(linger=0)
