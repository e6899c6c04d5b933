"""Talking to a DWN server: HTTP for requests, WebSocket for subscriptions."""

from sinks.dwn.client import DwnClient
from sinks.dwn.errors import DwnError, DwnGarbled, DwnRefused, DwnUnavailable
from sinks.dwn.transport import DwnTransport, Limits

__all__ = [
    "DwnClient",
    "DwnError",
    "DwnGarbled",
    "DwnRefused",
    "DwnTransport",
    "DwnUnavailable",
    "Limits",
]
