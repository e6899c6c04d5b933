"""The connection of the PostgreSQL sink: opened when needed, given up as soon as it is in doubt."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from sinks.base import Permanent
from sinks.postgres_errors import driver, families
from sinks.secrets import required, reveal

CONNECT_SECONDS = 10.0
MARGIN_SECONDS = 5.0
"""How much longer than the server itself the client waits for an answer."""


_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_SECRET = ("password", "sslpassword")
_HOST = re.compile(r"(\[[^]]*\]|[^:]*)(:(?P<port>\d{0,5}))?")


class Address(msgspec.Struct, frozen=True):
    """Where the server is, with what must not be shown."""

    uri: str
    password: str | None
    place: str
    """The server and database, as messages name them."""
    secrets: tuple[str, ...]


def address(uri: str, password: str) -> Address:
    """Return the address of the settings; raises Permanent where they cannot be one."""
    found = reveal("uri", uri)
    try:
        parts = urlsplit(found)
        hosts, inside = parts.netloc.rpartition("@")[2], parts.password
        usable = parts.scheme in ("postgresql", "postgres") and all(map(_is_host, hosts.split(",")))
    except ValueError:
        usable = False
    if not usable:
        raise Permanent(
            "the setting 'uri' is no address of PostgreSQL",
            "write postgresql://USER@HOST:PORT/DATABASE, or env:NAME or file:PATH that holds it",
        )
    own = required("password", password) if password else None
    secrets = {s for s in (own, inside, inside and unquote(inside)) if s}
    for name, value in parse_qsl(parts.query):
        if name in _FILES and not Path(value).is_file():
            raise Permanent(f"{name} is {value}, which is no file", "correct the setting `uri`")
        if name in _SECRET:
            secrets.add(value)
    place = f"PostgreSQL at {hosts or 'its socket'}{parts.path}"
    return Address(found, own, place, tuple(sorted(secrets, key=len, reverse=True)))


def _is_host(text: str) -> bool:
    """Whether a text is HOST or HOST:PORT; asyncpg would end in an error of its own.

    >>> [_is_host(text) for text in ("h", "h:5432", "[::1]:5432", "", "h:x", "h:70000")]
    [True, True, True, True, False, False]
    """
    found = _HOST.fullmatch(text)
    return found is not None and int(found["port"] or 0) < 65536


class Link:
    """One connection; after ``drop`` the next ``get`` opens another one."""

    def __init__(self, where: Address, lock_timeout_ms: int, statement_timeout_ms: int) -> None:
        self.where = where
        self._seconds = statement_timeout_ms / 1000 + MARGIN_SECONDS
        self._settings = {
            "application_name": "streams",
            "lock_timeout": str(lock_timeout_ms),
            "statement_timeout": str(statement_timeout_ms),
        }
        self._connection: Any = None
        self.number = 0
        """How many connections were opened: what belongs to a session is gone with it."""

    async def get(self) -> Any:
        """Return a connection that is open; raises what asyncpg raises."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await driver().connect(
                self.where.uri,
                timeout=CONNECT_SECONDS,
                command_timeout=self._seconds,
                server_settings=self._settings,
                **({} if self.where.password is None else {"password": self.where.password}),
            )
            self.number += 1
            self._check_encoding()
        return self._connection

    def _check_encoding(self) -> None:
        encoding = self._connection.get_settings().server_encoding
        if encoding != "UTF8":
            self.drop()
            raise Permanent(
                f"{self.where.place} stores text as {encoding}, which cannot hold all of it",
                "create a database with encoding UTF8",
            )

    def drop(self) -> None:
        """Give the connection up without a word to the server."""
        if self._connection is not None and not self._connection.is_closed():
            self._connection.terminate()
        self._connection = None

    async def close(self) -> None:
        """Say goodbye to the server, if it listens."""
        if self._connection is not None and not self._connection.is_closed():
            with suppress(*families()):
                await self._connection.close(timeout=MARGIN_SECONDS)
        self._connection = None
