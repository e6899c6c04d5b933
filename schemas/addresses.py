"""Addresses of HTTP services, which may hold passwords: who refuses one does not show it."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit


def http_address(text: str) -> SplitResult | None:
    """The parts of an ``http`` or ``https`` address with a host; None of anything else.

    >>> http_address("https://user:secret@example.org:8443/hook").hostname
    'example.org'
    >>> http_address("example.org:8443"), http_address("http://host:0"), http_address("http://h:x")
    (None, None, None)
    """
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if usable else None
