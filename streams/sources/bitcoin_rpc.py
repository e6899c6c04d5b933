"""JSON-RPC of a Bitcoin node: single calls, batches, exact amounts, typed errors.

Every call here reads, so a call whose kept connection died is sent once more on a fresh one. A node
that is absent, starting, too busy or too slow is ``NodeAway``; what only the operator can mend
(password, permission, address of something else) is a plain SourceError.
"""

from __future__ import annotations

import base64
import json
import re
import ssl
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, quote, unquote

import msgspec
from bitcoinrpc.authproxy import AuthServiceProxy, JSONRPCException

from schemas.addresses import http_address
from streams.sources.bitcoin_away import NodeAway
from streams.sources.errors import SourceError

_BATCH = 250
_ANOTHER = "an answer of another form"
_SHOWN = 300
"""Characters of a node's own words that a message shows."""
_MOST_BYTES = 1 << 29
"""Of one answer; the largest that the source asks for, a block in full, has some 100 MB."""
_NO_ANSWER, _NOT_JSON = -343, -342
_WARMING_UP = -28
_UNAUTHORIZED, _FORBIDDEN, _BUSY = 401, 403, 503
_FOREIGN = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What the client raises for an answer that no node gives, since it does not look closely."""
_T = TypeVar("_T")


class RpcError(SourceError):
    """The node answered a call with an error; codes are those of Bitcoin Core's ``protocol.h``."""

    def __init__(self, method: str, code: int, message: str) -> None:
        super().__init__(
            f"the node answers {method} with an error: {message} (code {code})",
            "see its log; it must be Bitcoin Core or Knots, built with ZMQ, and not too old",
        )


class _Error(msgspec.Struct, frozen=True):
    code: int = 0
    message: str = ""


class _Answer(msgspec.Struct, frozen=True):
    """One answer of a batch."""

    id: int | str | None = None
    result: Any = None
    error: _Error | None = None


class _Bounded(HTTPResponse):
    """A response that fills no memory."""

    def read(self, amt: int | None = None) -> bytes:
        """As that of every response; raises SourceError where there is too much."""
        if amt is not None or self.length is not None:
            if amt is None and (self.length or 0) > _MOST_BYTES:
                raise _too_long()
            return super().read(amt)
        data = super().read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise _too_long()
        return data


def _too_long() -> SourceError:
    cause = f"the node gives an answer of more than {_MOST_BYTES} bytes"
    return SourceError(cause, "check the address of its RPC, and the node")


class _Refused(Exception):
    """HTTP 401 or 403."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


def _address(url: str) -> SplitResult:
    """The parts of an address; messages do not show it, since it may hold a password."""
    parts = http_address(url)
    if parts is None:
        raise SourceError("that is no address of a node's RPC", "write http://HOST:PORT")
    return parts


class Rpc:
    """A node's RPC. ``url`` may carry user and password; else ``cookie`` names the cookie file.

    Raises SourceError for an address that cannot be one.
    """

    def __init__(self, url: str, cookie: Path | None = None, timeout_s: float = 60) -> None:
        self._url, self._cookie, self._timeout_s = _address(url), cookie, timeout_s
        self._connection: HTTPConnection | None = None
        self._proxy: Any = None
        self._secret = ("", "")
        self.where = f"{self._url.hostname}:{self._url.port or 8332}"

    def call(self, method: str, *args: Any) -> Any:
        """One call. Raises RpcError for the node's own errors, NodeAway, or SourceError."""
        return self._asked(lambda: self._once(method, args))

    def batch(self, calls: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
        """Results in the order of ``(method, *args)`` calls; None where the node said error."""
        for start in range(0, len(calls), _BATCH):
            some = calls[start : start + _BATCH]
            yield from self._asked(lambda some=some: self._some(some))  # type: ignore[misc]

    def close(self) -> None:
        """Drop the connection; the next call opens another and reads the cookie again."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._proxy = None

    def _asked(self, ask: Callable[[], _T]) -> _T:
        """Ask, and once more when only the connection or the cookie was of an earlier time."""
        kept, secret = self._connection is not None, self._secret
        try:
            return ask()
        except _Refused as refused:
            self.close()
            if self._credentials() == secret or secret == ("", ""):
                raise self._refused(refused.status) from refused
        except (OSError, HTTPException) as problem:
            self.close()
            if not kept or isinstance(problem, TimeoutError):
                raise self._away(problem) from problem
        try:
            return ask()
        except _Refused as refused:
            self.close()
            raise self._refused(refused.status) from refused
        except (OSError, HTTPException) as problem:
            self.close()
            raise self._away(problem) from problem

    def _once(self, method: str, args: Sequence[Any]) -> Any:
        self._open()
        try:
            return getattr(self._proxy, method)(*args)
        except JSONRPCException as problem:
            code = problem.code if isinstance(problem.code, int) else 0
            words = problem.message[:_SHOWN] if isinstance(problem.message, str) else ""
            if code == _NOT_JSON:
                raise self._status(words) from problem
            if code == _NO_ANSWER:
                raise HTTPException(words) from problem
            self._check_warm(code, words)
            raise RpcError(method, code, words) from problem
        except _FOREIGN as problem:
            words = str(problem)[:_SHOWN] if isinstance(problem, ValueError) else _ANOTHER
            raise self._status(words) from problem

    def _some(self, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        answers = self._post(
            [{"id": i, "method": method, "params": args} for i, (method, *args) in enumerate(calls)]
        )
        for error in (answer.error for answer in answers if answer.error is not None):
            self._check_warm(error.code, error.message)
        by_id = {answer.id: answer.result for answer in answers}
        return [by_id.get(i) for i in range(len(calls))]

    def _post(self, body: list[dict[str, Any]]) -> list[_Answer]:
        connection = self._open()
        secret = base64.b64encode(":".join(self._secret).encode()).decode()
        headers = {"Authorization": f"Basic {secret}", "Content-Type": "application/json"}
        connection.request("POST", self._url.path or "/", json.dumps(body), headers)
        answer = connection.getresponse()
        data = answer.read()
        try:
            parsed = json.loads(data, parse_float=Decimal)
            found = parsed if isinstance(parsed, list) else [parsed]
            return msgspec.convert(found, list[_Answer])
        except (ValueError, RecursionError):
            raise self._status(f"'{answer.status} {answer.reason}'") from None

    def _open(self) -> HTTPConnection:
        if self._connection is None:
            self._secret = user, password = self._credentials()
            https = self._url.scheme == "https"
            kind = HTTPSConnection if https else HTTPConnection
            host, port = self._url.hostname or "", self._url.port or 8332
            self._connection = kind(host, port, timeout=self._timeout_s)
            self._connection.response_class = _Bounded
            url = f"http://{quote(user)}:{quote(password)}@{host}:{port}{self._url.path}"
            self._proxy = AuthServiceProxy(url, None, self._timeout_s, self._connection)
        return self._connection

    def _credentials(self) -> tuple[str, str]:
        if self._cookie is None:
            return unquote(self._url.username or ""), unquote(self._url.password or "")
        try:
            user, _, password = self._cookie.read_text().strip().partition(":")
        except FileNotFoundError as problem:
            cause = f"its cookie {self._cookie} is not there"
            raise NodeAway(cause, "start the node, or give user and password") from problem
        except (OSError, UnicodeDecodeError) as problem:
            words = getattr(problem, "strerror", None) or "not text"
            cause = f"cannot read the node's cookie {self._cookie}: {words}"
            raise SourceError(cause, "let this user read it, or give a password") from problem
        return user, password

    def _check_warm(self, code: int, words: str) -> None:
        if code == _WARMING_UP:
            raise NodeAway(f"it is starting ({words.rstrip('.…')})", "wait until it has started")

    def _status(self, words: str) -> Exception:
        """What an answer without JSON means; ``words`` hold its HTTP status in quotes."""
        self.close()
        found = re.search(r"'(\d{3})\b", words)
        status = int(found[1]) if found else 0
        if status in (_UNAUTHORIZED, _FORBIDDEN):
            return _Refused(status)
        if status == _BUSY:
            return NodeAway("its work queue is full", "raise rpcworkqueue in bitcoin.conf")
        cause = f"{self.where} does not answer as a Bitcoin node: {words}"
        return SourceError(cause, "check the address of its RPC")

    def _refused(self, status: int) -> SourceError:
        if status == _FORBIDDEN:
            cause = f"node at {self.where} forbids a call that the source needs"
            return SourceError(cause, "check rpcallowip and rpcwhitelist in bitcoin.conf")
        cause = f"node at {self.where} refused the credentials"
        return SourceError(cause, "check the cookie, or the password")

    def _away(self, problem: Exception) -> SourceError:
        if isinstance(problem, ssl.SSLError):
            return SourceError(f"no TLS with {self.where}: {problem}", "check its certificate")
        if isinstance(problem, TimeoutError):
            words = f"no answer within {self._timeout_s:g} s"
        else:
            words = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
            words = " ".join(words[:_SHOWN].split())
        return NodeAway(words[:1].lower() + words[1:], "check that it runs and its address")
