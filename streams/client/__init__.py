"""Produce to and consume from our topics in any program, without Faust.

``Consumer`` and ``Producer`` (``AsyncConsumer`` and ``AsyncProducer`` in asyncio) give and take
typed values; ``net_set`` and ``fold`` reduce events to what is true. Names are loaded when first
used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streams.client.async_consumer import AsyncConsumer as AsyncConsumer
    from streams.client.async_producer import AsyncProducer as AsyncProducer
    from streams.client.consumer import Consumer as Consumer
    from streams.client.decode import LETTERS as LETTERS
    from streams.client.decode import Read as Read
    from streams.client.decode import is_control as is_control
    from streams.client.decode import read_message as read_message
    from streams.client.errors import BadOption as BadOption
    from streams.client.errors import ClientError as ClientError
    from streams.client.errors import Fenced as Fenced
    from streams.client.errors import NotCommitted as NotCommitted
    from streams.client.errors import NotDelivered as NotDelivered
    from streams.client.errors import NoTopic as NoTopic
    from streams.client.errors import Refused as Refused
    from streams.client.errors import TimedOut as TimedOut
    from streams.client.errors import Unavailable as Unavailable
    from streams.client.folding import fold as fold
    from streams.client.folding import net_set as net_set
    from streams.client.net import Net as Net
    from streams.client.producer import Producer as Producer
    from streams.client.reader import OPTIONS as OPTIONS
    from streams.client.reader import Reader as Reader
    from streams.client.reader import read_all as read_all
    from streams.client.reader import read_topics as read_topics
    from streams.client.records import Asserted as Asserted
    from streams.client.records import Malformed as Malformed
    from streams.client.records import Record as Record
    from streams.client.records import Withdrawn as Withdrawn
    from streams.client.settle import Settler as Settler
    from streams.client.start import Offset as Offset
    from streams.client.start import Time as Time

_NAMES = {
    "async_consumer": ("AsyncConsumer",),
    "async_producer": ("AsyncProducer",),
    "consumer": ("Consumer",),
    "decode": ("LETTERS", "Read", "is_control", "read_message"),
    "errors": (
        "BadOption",
        "ClientError",
        "Fenced",
        "NoTopic",
        "NotCommitted",
        "NotDelivered",
        "Refused",
        "TimedOut",
        "Unavailable",
    ),
    "folding": ("fold", "net_set"),
    "net": ("Net",),
    "producer": ("Producer",),
    "reader": ("OPTIONS", "Reader", "read_all", "read_topics"),
    "records": ("Asserted", "Malformed", "Record", "Withdrawn"),
    "settle": ("Settler",),
    "start": ("Offset", "Time"),
}
_HOME = {name: f"streams.client.{module}" for module, names in _NAMES.items() for name in names}
__all__ = sorted(_HOME)  # noqa: PLE0605 - one list of the names


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'streams.client' has no attribute {name!r}")
