"""Decoders of what other services say: a schema registry, a token endpoint, Kafka's brokers."""

from __future__ import annotations

import base64
import json
import math
import ssl
import struct
from collections.abc import Callable
from functools import cache
from itertools import count
from typing import Any
from unittest.mock import patch

import msgspec
from aiokafka.errors import KafkaConnectionError

from schemas.registry import fingerprint
from schemas.wire import _FRAME
from streams.engine import durability
from streams.ops import cluster, redriving, transactions
from streams.ops.admin import OpsError
from streams.registry import RegistryError, kept
from streams.wire import approach
from streams.wire import transactions as wire
from streams.wire.errors import NoToken, WireError
from streams.wire.settings import WireSettings
from streams.wire.tokens import Tokens, from_endpoint, from_file
from tests.bitcoin.answers import Pipe, http
from tests.fuzz.archives import folder
from tests.fuzz.material import Decoder
from tests.fuzz.mutate import Mutator
from tests.registry.answers import URL, Answering

TYPE, TEXT = "bitcoin.tip.v1", '{"type":"record","name":"Tip","fields":[]}'
SCHEMA = {"subject": "s-value", "id": 7, "version": 1, "schema": TEXT, "guid": "g"}
UNKNOWN, REFUSED = (
    {"error_code": 40403, "message": "not found"},
    {"error_code": 409, "message": "x"},
)
Answers = tuple[tuple[int, Any], ...]
STORIES: tuple[Answers, ...] = (
    ((200, SCHEMA),),
    ((404, UNKNOWN), (200, {"id": 7}), (200, SCHEMA)),
    ((404, UNKNOWN), (409, REFUSED)),
)
VERDICTS: tuple[Answers, ...] = (
    ((200, {"compatibilityLevel": "FULL"}), (200, {"is_compatible": True, "messages": []})),
    ((404, UNKNOWN), (200, {"compatibilityLevel": "NONE"}), (404, UNKNOWN)),
)
"""What a registry answers one after the other: to who wants an id, to who asks for a verdict."""
_NUMBERS = count()


@cache
def registry() -> Answering:
    """One connection for all: to make one takes longer than many answers."""
    return Answering()


def _registry(mutator: Mutator) -> None:
    """Ask for an id, which a codec then frames values with, or for a verdict."""
    dice, asked = mutator.dice, registry()
    judging = dice.random() < 0.3
    story = dice.choice(VERDICTS if judging else STORIES)
    asked.answers = answers = [
        (status, json.dumps(body).encode()) for status, body in reversed(story)
    ]
    lie = dice.randrange(len(answers))
    status, body = answers[lie]
    lied = mutator.bytes(body) if dice.random() < 0.2 else mutator.reshaped(json.loads(body))
    answers[lie] = dice.choice((status, status, status, 200, 204, 401, 404, 500)), lied
    asked.answers = answers
    subject = f"fuzz{next(_NUMBERS)}-value"  # the client remembers what it was told
    if judging:
        asked.judge(TYPE, TEXT, subject).level.lower()
    else:
        found = asked.register(TYPE, TEXT, subject)
        _FRAME.pack(0, found.id)
        assert isinstance(found.version, int)


def _ids(mutator: Mutator) -> None:
    """Read what a registry said before, for a codec to frame values with."""
    path = folder() / "ids.json"
    path.write_bytes(mutator.json())
    with patch.object(kept, "place", lambda url: path):
        found = kept.read(URL, {TYPE: TEXT})
    if found is None:
        raise RegistryError("nothing is kept", "ask the registry")
    _FRAME.pack(0, found[TYPE])


def _kept() -> bytes:
    return msgspec.json.encode(kept.Kept(URL, {fingerprint(TEXT): 7, "0" * 64: 8}))


WIRE = WireSettings(
    "SASL_SSL",
    "OAUTHBEARER",
    oauth_url="http://tokens.example/token",
    oauth_client_id="streams",
    oauth_client_secret="secret",
)
NOW = 1_700_000_000.0


def _jwt(claims: bytes) -> str:
    head, body, sign = (base64.urlsafe_b64encode(p).rstrip(b"=") for p in (b"{}", claims, b"x"))
    return b".".join((head, body, sign)).decode()


CLAIMS = json.dumps({"sub": "worker", "iat": NOW, "exp": int(NOW) + 600}).encode()
TOKEN = {"access_token": "opaque", "token_type": "Bearer", "expires_in": 600, "scope": "kafka"}


def _good(tokens: Tokens) -> None:
    """What librdkafka and aiokafka can take."""
    text, expires = tokens()
    assert text.isascii() and text.isprintable() and math.isfinite(expires)


def _endpoint(mutator: Mutator) -> None:
    dice, answer = mutator.dice, dict(TOKEN)
    if dice.random() < 0.5:
        answer["access_token"] = _jwt(mutator.json())
    body = mutator.reshaped(answer) if dice.random() < 0.7 else json.dumps(answer).encode()
    raw = http(dice.choice(("200 OK", "200 OK", "200 OK", "401 x", "302 x")), body)
    line = Pipe(mutator.bytes(raw) if dice.random() < 0.2 else raw)
    with (
        patch("socket.create_connection", lambda *about, **more: line),
        patch("ssl.create_default_context", lambda cafile=None: _trust()),
        patch("urllib.request.getproxies", dict),
    ):
        _good(Tokens(lambda now: from_endpoint(WIRE, now), lambda: NOW))


@cache
def _trust() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _token(mutator: Mutator) -> None:
    path, text = folder() / "token", _jwt(mutator.json()).encode()
    path.write_bytes(text if mutator.dice.random() < 0.7 else mutator.bytes(text))
    _good(Tokens(lambda now: from_file(path, now), lambda: NOW))


def _named(*names: bytes) -> bytes:
    """An answer to a SASL handshake that offers these."""
    offered = b"".join(struct.pack(">h", len(name)) + name for name in names)
    return struct.pack(">hi", 0, len(names)) + offered


def _sized(number: int, body: bytes) -> bytes:
    return struct.pack(">ii", len(body) + 4, number) + body


SASL = {"bootstrap.servers": "kafka:9092", "security.protocol": "SASL_PLAINTEXT"}


def _handshake(mutator: Mutator) -> None:
    """The approach to a broker without TLS, whatever it answers."""
    body = mutator.bytes() if mutator.dice.random() < 0.8 else mutator.dice.choice(mutator.corpus)
    raw = _sized(18, bytes(6)) + _sized(17, body)
    line = Pipe(mutator.bytes(raw) if mutator.dice.random() < 0.1 else raw)
    with (
        patch("socket.create_connection", lambda *about, **more: line),
        patch.object(approach, "speaks_tls", lambda address: True),
    ):
        approach._walk({**SASL, "sasl.mechanism": "SCRAM-SHA-512"}, ("kafka", 9092))


LISTED = wire.ListTransactionsResponse(0, 0, [], [("sink", 7, "Ongoing", {})], {})
DESCRIBED = wire.DescribeTransactionsResponse(
    0, [(0, "sink", "Ongoing", 60_000, 1_600_000_000_000, 7, 1, [("bids", [3, 0], {})], {})], {}
)
PRODUCERS = wire.DescribeProducersResponse(
    0, [("bids", [(3, 0, "", [(7, 1, 5, 1_600_000_000_000, 2, 17, {})], {})], {})], {}
)
KINDS = (LISTED, DESCRIBED, PRODUCERS)


class _Brokers:
    """A client of one broker, whose answers are the mutator's."""

    def __init__(self, mutator: Mutator) -> None:
        self.cluster, self.mutator = self, mutator
        self.nodeId, self.host, self.port = 1, "kafka", 9092
        self.lie = mutator.dice.randrange(len(KINDS))

    def brokers(self) -> list[Any]:
        return [self]

    def leader_for_partition(self, place: Any) -> int:
        return 1

    async def send(self, node: int, request: Any) -> Any:
        """As aiokafka: what cannot be decoded breaks the connection."""
        at = (66, 65, 61).index(request.API_KEY)
        raw = KINDS[at].encode()
        try:
            return type(KINDS[at]).decode(self.mutator.bytes(raw) if at == self.lie else raw)
        except (ValueError, struct.error) as error:
            raise KafkaConnectionError(str(error)) from error

    async def bootstrap(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def force_metadata_update(self) -> None:
        pass

    def set_topics(self, names: set[str]) -> None:
        pass


def _transactions(mutator: Mutator) -> None:
    places = [transactions.Place("bids", 3)]
    with patch.object(transactions, "AIOKafkaClient", lambda **about: _Brokers(mutator)):
        found = transactions.holders({"bootstrap.servers": "kafka:9092"}, places)
    for place, holder in found.items():
        msgspec.json.encode([place, holder, holder.name, holder.age_s])
        transactions.remedy("kafka:9092", place, holder.offset, holder)


TOLD = {
    "min.insync.replicas": "2", "unclean.leader.election.enable": "false", "retention.ms": "1000",
    "cleanup.policy": "compact,delete", "delete.retention.ms": "86400000",
    "message.timestamp.type": "CreateTime", "max.message.bytes": "1048588",
    "transaction.state.log.replication.factor": "3", "transaction.state.log.min.isr": "2",
    "offsets.topic.replication.factor": "3", cluster.MOST_OPEN: "900000",
}  # fmt: skip


def _settings(mutator: Mutator) -> None:
    """What brokers tell of their settings, to what is said of it."""
    told = dict(TOLD)
    for _ in range(mutator.dice.choice((1, 2))):
        name = mutator.dice.choice(list(told))
        told[name] = mutator.bytes(told[name].encode()).decode(errors="replace")
    topic = durability.Kept("orders", 3, told, True, True, True, 3)
    copies = {cluster.COORDINATORS: 3}
    found = durability.findings([topic], durability.Remedies("k:9092"))
    all_told = list(cluster.findings(cluster.Cluster(3, told, copies, frozenset({22})), 60_000))
    redriving.limits_of(told, 1_700_000_000_000)
    if len(found) > 2 or any(one.state != "ok" for one in all_told[1:]):
        raise OpsError("they are not as they should be", "set them")


DECODERS: dict[str, Callable[[], Decoder]] = {
    "registry": lambda: Decoder([b"x"], _registry, (RegistryError,)),
    "registry ids": lambda: Decoder([_kept()], _ids, (RegistryError,)),
    "token endpoint": lambda: Decoder([CLAIMS], _endpoint, (NoToken,)),
    "token file": lambda: Decoder([CLAIMS], _token, (NoToken,)),
    "sasl handshake": lambda: Decoder(
        [_named(b"PLAIN", b"SCRAM-SHA-512"), _named(b"GSSAPI")], _handshake, (WireError, OSError)
    ),
    "broker settings": lambda: Decoder([b"x"], _settings, (OpsError,)),
    "transactions": lambda: Decoder([b"x"], _transactions, (transactions.CannotAsk,)),
}
