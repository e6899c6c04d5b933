"""ZMQ notifications of a Bitcoin node: frames, their form, and what was lost between them.

A message has three parts: topic, body, and a little-endian counter of its topic (Bitcoin Core,
``doc/zmq.md``). Delivery is best effort: a jump of the counter says that messages were lost.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from struct import Struct, error
from typing import Literal, NamedTuple

import zmq
from zmq.utils.monitor import recv_monitor_message

from streams.sources.bitcoin_away import NodeAway
from streams.sources.errors import SourceError

Label = Literal["A", "R", "C", "D"]
_COUNTER, _SEQUENCE = Struct("<I").unpack, Struct("<Q").unpack
_TOPICS = (b"sequence", b"rawtx")
_WRAP = 1 << 32
MAX_SEQUENCE = 1 << 48
"""Of a mempool: a node counts from its start on."""
_QUEUE = 1_000_000
_HEARTBEAT_MS = 10_000
_EVENTS = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
_REMEDY = "set zmqpubsequence and zmqpubrawtx in bitcoin.conf and give their address"


class NoPublisher(SourceError):
    """Nobody publishes at a ZMQ address."""


class Frame(NamedTuple):
    """One message: a transaction body (``rawtx``), or a labelled hash (``sequence``)."""

    counter: int
    body: bytes = b""
    label: Label | None = None
    """A added, R removed, C connected, D disconnected; None for a rawtx."""
    hash: str = ""
    mempool_sequence: int | None = None
    lost: int | None = 0
    """Messages of the same topic missing before this one; None for the first, which cannot say."""


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
        if (sequence or 0) >= MAX_SEQUENCE:
            raise ValueError(f"mempool sequence {sequence}, which no node reaches")
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
        last = self._last.get(topic)
        self._last[topic] = frame.counter
        return frame._replace(lost=None if last is None else (frame.counter - last - 1) % _WRAP)


def _shook_hands(monitor: zmq.Socket[bytes], due: float) -> bool:
    """Whether the next thing that happens to the connection, until then, is its completion."""
    left = max(0, round((due - time.monotonic()) * 1000))
    if not monitor.poll(left):
        return False
    return bool(recv_monitor_message(monitor)["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED)


class Feed:
    """A subscription to one node's ``sequence`` and ``rawtx`` topics.

    ``open`` may be called again after an interruption; what the node published meanwhile is gone,
    and the counters begin anew, so the caller compares itself with the node.
    """

    def __init__(self, addresses: Sequence[str], connect_ms: int = 10_000) -> None:
        self._addresses, self._connect_ms = tuple(dict.fromkeys(addresses)), connect_ms
        self._context = zmq.Context()
        self._sockets: list[zmq.Socket[bytes]] = []
        self._poller = zmq.Poller()
        self._counters = Counters()

    def open(self) -> None:
        """Subscribe, and return once every publisher has shaken hands.

        Raises NoPublisher when one does not within the time given, SourceError for no address.
        """
        self._shut()
        self._counters, self._poller = Counters(), zmq.Poller()
        for address in self._addresses:
            self._connect(address)

    def _connect(self, address: str) -> None:
        socket = self._context.socket(zmq.SUB)
        monitor = socket.get_monitor_socket(_EVENTS)
        self._sockets += [socket]
        socket.setsockopt(zmq.RCVHWM, _QUEUE)
        socket.setsockopt(zmq.HEARTBEAT_IVL, _HEARTBEAT_MS)  # a dead peer closes no connection
        for topic in _TOPICS:
            socket.setsockopt(zmq.SUBSCRIBE, topic)
        try:
            socket.connect(address)
        except zmq.ZMQError as problem:
            raise SourceError(
                f"{address} is no address of ZMQ ({problem.strerror})", "write tcp://HOST:PORT"
            ) from problem
        due = time.monotonic() + self._connect_ms / 1000
        while not _shook_hands(monitor, due):
            if time.monotonic() >= due:
                raise NoPublisher(f"no ZMQ publisher at {address}", _REMEDY)
        self._poller.register(socket, zmq.POLLIN)
        self._poller.register(monitor, zmq.POLLIN)

    def receive(self, timeout_ms: int) -> Frame | None:
        """The next frame, or None when none comes in time.

        Raises NodeAway when a publisher is gone, SourceError for a foreign message.
        """
        ready = dict(self._poller.poll(timeout_ms))
        for socket in self._sockets:
            if socket.get_monitor_socket() in ready:
                raise NodeAway("its ZMQ publisher is gone", "start the node again")
        for socket in self._sockets:
            if socket in ready:
                return self._read(socket)
        return None

    def _read(self, socket: zmq.Socket[bytes]) -> Frame:
        try:
            return self._counters.check(decode(socket.recv_multipart()))
        except ValueError as problem:
            raise SourceError(str(problem), _REMEDY) from problem

    def close(self) -> None:
        """Unsubscribe and free the sockets."""
        self._shut()
        self._context.destroy(linger=0)

    def _shut(self) -> None:
        for socket in self._sockets:
            socket.disable_monitor()
            socket.close(linger=0)
        self._sockets = []
