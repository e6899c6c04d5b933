"""JSON-RPC of a Bitcoin node: single calls, batches, exact amounts, typed errors.

Every call here reads, so a call whose connection died is sent once more on a fresh one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from bitcoinrpc.authproxy import AuthServiceProxy, JSONRPCException

from schemas.units import Sat
from streams.sources.errors import SourceError

_COIN = 100_000_000
_BATCH = 250
_BAD_HTTP = -342
_WARMING_UP = -28


class RpcError(Exception):
    """The node answered a call with an error; ``code`` as in Bitcoin Core's ``protocol.h``."""

    def __init__(self, method: str, code: int, message: str) -> None:
        super().__init__(f"{method}: {message} (code {code})")
        self.code = code


def satoshi(amount: Decimal | int) -> Sat:
    """An RPC amount in bitcoin as satoshi, exactly.

    >>> satoshi(Decimal("0.00004500"))
    4500
    """
    value = Decimal(amount) * _COIN
    if value != int(value):
        raise SourceError(f"amount {amount} is no whole number of satoshi", "check the node")
    return Sat(int(value))


class Rpc:
    """A node's RPC. ``url`` may carry user and password; else ``cookie`` names the cookie file."""

    def __init__(self, url: str, cookie: Path | None = None, timeout_s: float = 60) -> None:
        self._url, self._cookie, self._timeout_s = urlsplit(url), cookie, timeout_s
        self._connection: HTTPConnection | None = None
        self._proxy: Any = None
        self._header = ""
        self.where = f"{self._url.hostname}:{self._url.port}"

    def call(self, method: str, *args: Any) -> Any:
        """One call. Raises RpcError for the node's own errors, SourceError for the rest."""
        for attempt in (1, 2):
            try:
                return self._once(method, args)
            except (OSError, HTTPException, ValueError) as problem:
                self.close()
                if attempt == 2:
                    raise self._unreachable(str(problem)) from problem
        raise AssertionError("unreachable")

    def batch(self, calls: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
        """Results in the order of ``(method, *args)`` calls; None where the node said error."""
        for start in range(0, len(calls), _BATCH):
            yield from self._some(calls[start : start + _BATCH])

    def close(self) -> None:
        """Drop the connection; the next call opens another and reads the cookie again."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._proxy = None

    def _once(self, method: str, args: Sequence[Any]) -> Any:
        self._open()
        try:
            return getattr(self._proxy, method)(*args)
        except JSONRPCException as problem:
            if problem.code == _BAD_HTTP:
                raise self._unreachable(problem.message) from problem
            if problem.code == _WARMING_UP:
                raise SourceError(f"node at {self.where} is starting", "try again soon") from (
                    problem
                )
            raise RpcError(method, problem.code or 0, problem.message or "") from problem

    def _some(self, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        body = json.dumps(
            [{"id": i, "method": method, "params": args} for i, (method, *args) in enumerate(calls)]
        )
        for attempt in (1, 2):
            try:
                answers = self._post(body)
                break
            except (OSError, HTTPException, ValueError) as problem:
                self.close()
                if attempt == 2:
                    raise self._unreachable(str(problem)) from problem
        by_id = {answer["id"]: answer.get("result") for answer in answers}
        return [by_id.get(i) for i in range(len(calls))]

    def _post(self, body: str) -> list[dict[str, Any]]:
        connection = self._open()
        headers = {"Authorization": self._header, "Content-Type": "application/json"}
        connection.request("POST", self._url.path or "/", body, headers)
        answer = connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise HTTPException(f"HTTP status {answer.status} {answer.reason}")
        answers: list[dict[str, Any]] = json.loads(data, parse_float=Decimal)
        return answers

    def _open(self) -> HTTPConnection:
        if self._connection is None:
            user, password = self._credentials()
            secret = base64.b64encode(f"{user}:{password}".encode()).decode()
            self._header = f"Basic {secret}"
            https = self._url.scheme == "https"
            kind = HTTPSConnection if https else HTTPConnection
            host, port = self._url.hostname or "127.0.0.1", self._url.port or 8332
            self._connection = kind(host, port, timeout=self._timeout_s)
            url = f"http://{quote(user)}:{quote(password)}@{host}:{port}{self._url.path}"
            self._proxy = AuthServiceProxy(url, None, self._timeout_s, self._connection)
        return self._connection

    def _credentials(self) -> tuple[str, str]:
        if self._cookie is None:
            return self._url.username or "", self._url.password or ""
        try:
            user, _, password = self._cookie.read_text().strip().partition(":")
        except OSError as problem:
            cause = f"cannot read the node's cookie {self._cookie}"
            raise SourceError(cause, "start the node, or give user and password") from problem
        return user, password

    def _unreachable(self, detail: str) -> SourceError:
        if "401" in detail:
            return SourceError(
                f"node at {self.where} refused the credentials", "check the cookie, or the password"
            )
        return SourceError(
            f"node at {self.where} does not answer: {detail}", "check that it runs and its address"
        )
