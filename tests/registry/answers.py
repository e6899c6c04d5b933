"""A schema registry that is not there: what it would answer."""

from __future__ import annotations

from typing import Any

import httpx2

from streams.registry import Registry

URL = "http://registry.example"
Answer = tuple[int, bytes]
"""Status and body."""


class Answering(Registry):
    """Gets ``answers``, the last one first, whatever it asks."""

    def __init__(self) -> None:
        super().__init__(URL)
        self.answers: list[Answer] = []
        rest: Any = self._client._rest_client
        rest.session = httpx2.Client(transport=httpx2.MockTransport(self._next))
        rest.max_retries = 0

    def _next(self, request: httpx2.Request) -> httpx2.Response:
        status, body = self.answers.pop() if self.answers else (500, b"")
        return httpx2.Response(status, content=body)
