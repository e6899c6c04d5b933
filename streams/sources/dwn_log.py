"""The log of one protocol of one tenant: its pages, and where in them a reader stands.

A server's cursor stands for the end of a page, and a page may be a whole log (dwn-server 0.6 gives
every CID at once). So a position is the cursor before the page and the last messages that were
stored of it: a run that was killed in the middle goes on behind the last of these that the page
still lists. (Messages leave a log when newer ones replace them.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from schemas.dwn.encoding import compact, parse_json, plain
from schemas.dwn.errors import DwnInvalid
from sinks.dwn import DwnClient, DwnGarbled
from sinks.dwn.reply import Reply
from streams.sources.dwn_message import authority_of
from streams.sources.dwn_tenant import Tenant, place_of

MAX_PAGES = 10_000
"""Pages read in a row without coming to an end; a log that has more is without end."""
_MAX_CURSOR = 2048
_REMEMBERED = 16
MAX_CID = 128
"""Longest text that is taken for a CID; ours have 59 characters."""


class Position(msgspec.Struct, frozen=True):
    """Where a reader stands."""

    after: str | None = None
    """The server's cursor, JSON text; None: before everything."""
    done: tuple[str, ...] = ()
    """The last messages stored of the page that begins there."""

    def text(self) -> str:
        """As it is stored."""
        return compact(msgspec.to_builtins(self))


def position_of(text: str | None) -> Position:
    """A stored position; the beginning where there is none, or one that cannot be read."""
    if text is None:
        return Position()
    try:
        found = msgspec.json.decode(text, type=Position)
        after = {} if found.after is None else parse_json(found.after)
    except (DwnInvalid, ValueError, RecursionError):
        return Position()
    return found if isinstance(after, dict) else Position()


class Log:
    """Reads the pages of one log."""

    def __init__(
        self, client: DwnClient, tenant: Tenant, protocol: str, stored: str | None
    ) -> None:
        self.place = place_of(tenant.url, tenant.did, protocol)
        self.position = position_of(stored)
        self.filters = [{"protocol": protocol}]
        self._client, self._grant = client, tenant.grants.query
        self._recent = deque(self.position.done, _REMEMBERED)

    async def pages(self) -> AsyncIterator[list[Any]]:
        """What each page lists, behind the position; ``turn`` to its end once it is read.

        Raises DwnRefused, DwnUnavailable, and DwnGarbled for a log that goes in circles or on for
        ever.
        """
        visited = {self.position.after}
        for _ in range(MAX_PAGES):
            reply = await self._ask()
            after, listed = _cursor_text(reply) or self.position.after, reply.entries()
            if not listed:
                self._turn(after)
                return
            yield self._behind(listed)
            if after == self.position.after:  # a server without cursors: the page was everything
                return
            if after in visited:
                raise DwnGarbled(f"the log of {self.place} goes in circles")
            visited.add(after)
            self._turn(after)
        raise DwnGarbled(f"the log of {self.place} has no end: {MAX_PAGES} pages were read")

    def passed(self, cid: Any) -> str:
        """A message was dealt with; gives the position behind it, as it is stored."""
        if isinstance(cid, str) and len(cid) <= MAX_CID:
            self._recent.append(cid)
            self.position = Position(self.position.after, tuple(self._recent))
        return self.position.text()

    async def _ask(self) -> Reply:
        after = self.position.after
        cursor = None if after is None else parse_json(after)
        return await self._client.messages_query(self.filters, cursor, authority_of(self._grant))

    def _behind(self, listed: list[Any]) -> list[Any]:
        done = set(self.position.done)
        places = [n for n, cid in enumerate(listed) if isinstance(cid, str) and cid in done]
        return listed[places[-1] + 1 :] if places else listed

    def _turn(self, after: str | None) -> None:
        """The page was read to its end."""
        if after != self.position.after:
            self._recent.clear()
            self.position = Position(after)


def _cursor_text(reply: Reply) -> str | None:
    cursor = reply.cursor()
    if cursor is None:
        return None
    try:
        text = compact(plain(cursor))
    except DwnInvalid as invalid:
        raise DwnGarbled(f"the cursor is not plain: {invalid}") from None
    if len(text) > _MAX_CURSOR:
        raise DwnGarbled(f"a cursor of {len(text)} characters")
    return text
