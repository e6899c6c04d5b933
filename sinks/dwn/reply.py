"""What a DWN answers: JSON-RPC outside, a reply with a status inside, all of it untrusted."""

from __future__ import annotations

from typing import Any

import msgspec

from sinks.dwn.errors import DwnGarbled, DwnRefused, DwnUnavailable

_INTERNAL_ERROR = -32603


class Reply(msgspec.Struct, frozen=True):
    """A reply with a status below 300."""

    status: int
    detail: str
    body: dict[str, Any]
    """The reply as it came: ``entries``, ``entry``, ``cursor``, ``subscription``."""
    data: bytes | None = None
    data_cut: bool = False
    """Whether there was data, but more than the client reads."""
    raw: bytes = b""
    """The whole response as it came, JSON text."""

    def entries(self) -> list[Any]:
        """The entries of a query."""
        found = self.body.get("entries", [])
        return found if isinstance(found, list) else []

    def entry(self) -> dict[str, Any]:
        """The one entry of a read."""
        found = self.body.get("entry", {})
        return found if isinstance(found, dict) else {}

    def raw_message(self) -> bytes:
        """The bytes of the one entry's message as they came; the whole response without one."""
        try:
            found = _READ.decode(self.raw).result.reply.entry.message
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return self.raw
        return bytes(found) or self.raw

    def cursor(self) -> dict[str, Any] | None:
        """Where the next query goes on; None when this one had nothing."""
        found = self.body.get("cursor")
        return found if isinstance(found, dict) else None


class _Entry(msgspec.Struct, frozen=True):
    message: msgspec.Raw = msgspec.Raw(b"")


class _Body(msgspec.Struct, frozen=True):
    entry: _Entry = _Entry()


class _Result(msgspec.Struct, frozen=True):
    reply: _Body = _Body()


class _Response(msgspec.Struct, frozen=True):
    result: _Result = _Result()


_READ = msgspec.json.Decoder(_Response)


class _ToldEvent(msgspec.Struct, frozen=True):
    event: _Entry = _Entry()


class _Told(msgspec.Struct, frozen=True):
    result: _ToldEvent = _ToldEvent()


_TOLD = msgspec.json.Decoder(_Told)


def raw_event(raw: bytes) -> bytes:
    """The bytes of the message that a subscription told of, as they came."""
    try:
        return bytes(_TOLD.decode(raw).result.event.message) or raw
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return raw


def parse_object(raw: bytes | str) -> dict[str, Any]:
    """Parse a JSON object; raises DwnGarbled for anything else."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise DwnGarbled(f"the answer is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise DwnGarbled("the answer is not a JSON object")
    return value


def read_reply(raw: bytes | str, *, data: bytes | None = None, data_cut: bool = False) -> Reply:
    """Read a JSON-RPC response; raises DwnRefused, DwnUnavailable or DwnGarbled."""
    text = raw.encode() if isinstance(raw, str) else raw
    return reply_of(parse_object(text), data=data, data_cut=data_cut, raw=text)


def reply_of(
    response: dict[str, Any],
    *,
    data: bytes | None = None,
    data_cut: bool = False,
    raw: bytes = b"",
) -> Reply:
    """The reply in a parsed JSON-RPC response."""
    if "error" in response:
        raise _rpc_error(response["error"])
    result = response.get("result")
    reply = result.get("reply") if isinstance(result, dict) else None
    status = reply.get("status") if isinstance(reply, dict) else None
    code, detail = _status(status)
    if code >= 500:
        raise DwnUnavailable(f"the DWN failed inside ({code}): {detail}")
    if code >= 300:
        raise DwnRefused(code, detail, reply)
    return Reply(code, detail, reply or {}, data, data_cut, raw)


def _status(status: Any) -> tuple[int, str]:
    # The reply to rpc.subscribe.close has a bare number where all others have an object
    if isinstance(status, dict):
        code, detail = status.get("code"), status.get("detail", "")
    else:
        code, detail = status, ""
    if not isinstance(code, int) or isinstance(code, bool):
        raise DwnGarbled("the answer has no status")
    return code, str(detail)[:500]


def _rpc_error(error: Any) -> DwnRefused | DwnUnavailable:
    code = error.get("code") if isinstance(error, dict) else None
    detail = str(error.get("message", "") if isinstance(error, dict) else error)[:500]
    if not isinstance(code, int):
        return DwnGarbled(f"an error without a code: {detail}")
    if code == _INTERNAL_ERROR:
        return DwnUnavailable(f"the DWN failed inside: {detail}")
    return DwnRefused(code, detail)
