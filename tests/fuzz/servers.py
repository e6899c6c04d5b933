"""Decoders of what a DWN server says: answers in a header or a body, events over a WebSocket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import cache
from typing import Any

from schemas.dwn.message import message_cid
from schemas.dwn.signer import Signer
from sinks.dwn import DwnClient, DwnError, DwnTransport
from sinks.dwn.reply import Reply
from sinks.dwn.subscription import Subscription
from streams import topics
from streams.sources.dwn_reader import TenantReader
from streams.sources.dwn_tenant import DwnItem, Tenant, place_of
from tests.fuzz.material import CODEC, Decoder, messages, values, writable
from tests.fuzz.mutate import Mutator

URL = "http://dwn.example"
LINK = "https://streams.example/protocols/address-link"
NOW_MS = 1_800_000_000_000
OK = {"code": 200, "detail": "OK"}
_GONE = b'{"id": "1", "result": {"reply": {"status": {"code": 404, "detail": "Not Found"}}}}'


@cache
def loop() -> asyncio.AbstractEventLoop:
    """One for all: to make one takes as long as an answer."""
    return asyncio.new_event_loop()


def run(story: Awaitable[Any]) -> Any:
    """Run a story to its end."""
    return loop().run_until_complete(story)


@cache
def signer() -> Signer:
    """Who asks."""
    return Signer.generate_ed25519(bytes(32))


@cache
def stored() -> list[tuple[str, dict[str, Any], bytes | None]]:
    """A tenant's writing and deletion of a record, each with its CID and data."""
    found = [CODEC.decode(raw)[1] for raw in values(topics.records.name)[:5]]
    chosen = [value for value in found if value.interface == "Records"]
    made = [(json.loads(value.message), value.data) for value in (chosen[0], chosen[2])]
    return [(message_cid(message), message, data) for message, data in made]


def reply(**body: Any) -> str:
    """A reply as it stands on the line."""
    return json.dumps({"jsonrpc": "2.0", "id": "1", "result": {"reply": {"status": OK, **body}}})


@cache
def replies() -> dict[str, tuple[str, bytes | None]]:
    """What the server says when it tells the truth, and the data beside it, by what is asked."""
    write, _ = (message for _, message, _ in stored())
    cids = [cid for cid, _, _ in stored()]
    found = {"Query": (reply(entries=cids, cursor={"messageCid": cids[1], "value": "1"}), None)}
    for cid, message, data in stored():
        found[cid] = reply(entry={"messageCid": cid, "message": message}), data
    found["Records"] = reply(entry={"initialWrite": write}), None
    return found


class Answer:
    """An HTTP response with the parts of aiohttp's that are read."""

    def __init__(self, status: int, header: bytes | None, body: bytes) -> None:
        text = None if header is None else header.decode("utf-8", "surrogateescape")
        self.headers = {} if text is None else {"dwn-response": text}
        self.status, self.reason, self._body = status, "reason", body
        self.content, self.content_length = self, len(body)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), size):
            yield self._body[start : start + size]

    def close(self) -> None:
        pass


class Socket:
    """A WebSocket that answers what it is asked."""

    def __init__(self, subscription: Subscription, answer: bytes) -> None:
        self._subscription, self._answer = subscription, answer

    async def send_str(self, text: str) -> None:
        asked = json.loads(text)["id"].encode()
        self._subscription._take(self._answer.replace(b'"id": "1"', b'"id": "%b"' % asked, 1))


def over_socket(raw: bytes) -> Awaitable[Reply]:
    """The reply to a call over a WebSocket that is answered so."""
    subscription = Subscription(None, URL, 0.001, 1)  # type: ignore[arg-type]
    subscription._socket = Socket(subscription, raw)  # type: ignore[assignment]
    return subscription.call({"id": "2", "method": "dwn.processMessage"})


Said = tuple[bytes, bytes | None]


def lie(mutator: Mutator) -> tuple[str, Said]:
    """One thing that a server is asked, and something else than the truth."""
    asked = mutator.dice.choice(list(replies()))
    text, data = replies()[asked]
    if data is not None and mutator.dice.random() < 0.2:
        return asked, (text.encode(), mutator.bytes(data))
    return asked, (mutator.reshaped(json.loads(text)), data)


class Telling(DwnTransport):
    """A server that tells the truth, but for one thing, about which it always says the same."""

    def __init__(self, lied: tuple[str, Said] = ("", (b"", None))) -> None:
        super().__init__(URL)
        self._asked, self._lied = lied

    def _told(self, message: Mapping[str, Any]) -> Said:
        about = message["descriptor"]
        asked = about.get("messageCid") or ("Query" if about["method"] == "Query" else "Records")
        if asked == self._asked:
            return self._lied
        if asked == "Query":  # of what matters alone: each message takes its time
            listed = [cid for cid, _, _ in stored() if self._asked in ("", cid)]
            return reply(entries=listed or [stored()[1][0]], cursor={"value": "1"}).encode(), None
        if asked not in replies():
            return _GONE, None
        text, data = replies()[asked]
        return text.encode(), data

    async def _post(self, headers: Mapping[str, str], data: bytes | None, limit: int) -> Reply:
        text, found = self._told(json.loads(headers["dwn-request"])["params"]["message"])
        answer = Answer(200, None, text) if found is None else Answer(200, text, found)
        return await self._answer(answer, limit)  # type: ignore[arg-type]

    async def process_by_socket(self, tenant: str, message: Mapping[str, Any]) -> Reply:
        return await over_socket(self._told(message)[0])


def reader(server: Telling, cursor: str | None = None) -> TenantReader:
    """Who reads the tenant at such a server."""
    did = messages()[0]
    tenant = Tenant(did, URL, signer(), (LINK,))
    client = DwnClient(server, tenant.signer, did)
    cursors = {} if cursor is None else {place_of(URL, did, LINK): cursor}
    return TenantReader(client, tenant, cursors, lambda: NOW_MS)


async def everything(items: AsyncIterator[DwnItem]) -> None:
    """Whatever comes can be written."""
    async for item in items:
        if item.event is not None:
            writable([item.event])
        elif item.refused is not None:
            assert item.refused.cause


def _server(mutator: Mutator) -> None:
    """Read all that the server has."""
    run(everything(reader(Telling(lie(mutator))).catch_up()))


def _said() -> list[bytes]:
    return [text.encode() for text, _ in replies().values()]


def _answer(mutator: Mutator) -> None:
    dice, in_header = mutator.dice, mutator.dice.random() < 0.5
    raw, status = mutator.json(), dice.choice((200, 200, 202, 301, 404, 502))
    answer = Answer(status, raw if in_header else None, b"data" if in_header else raw)
    if dice.random() < 0.3:
        found = run(over_socket(raw))
    else:
        found = run(DwnTransport(URL)._answer(answer, 100_000))  # type: ignore[arg-type]
    found.raw_message(), found.entries(), found.entry(), found.cursor()


@cache
def told() -> list[bytes]:
    """What a subscription tells of the tenant's messages."""
    write, delete = (message for _, message, _ in stored())
    events = ({"message": write}, {"message": delete, "initialWrite": write})
    results = ({"subscription": {"id": "7"}, "event": event} for event in events)
    return [json.dumps({"jsonrpc": "2.0", "id": "7", "result": r}).encode() for r in results]


def _told(mutator: Mutator) -> None:
    """Hear of a message, then read it if the log did not have it."""
    subscription = Subscription(None, URL, 1, 1)  # type: ignore[arg-type]
    subscription._take(mutator.json())
    found = reader(Telling(lie(mutator)))
    found._told = list(subscription._events)
    run(everything(found._missed()))


DECODERS: dict[str, Callable[[], Decoder]] = {
    "dwn answer": lambda: Decoder(_said(), _answer, (DwnError,)),
    "dwn event": lambda: Decoder(told(), _told, (DwnError,)),
    "dwn server": lambda: Decoder(_said(), _server, (DwnError,)),
}
