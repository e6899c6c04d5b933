"""What brokers answer to questions that no client library asks: whatever it is, it is named."""

from __future__ import annotations

import struct
from typing import Any
from unittest.mock import patch

import pytest

from streams.engine.mover import Place
from streams.ops.transactions import CannotAsk, holders, open_transactions
from streams.wire import approach
from streams.wire.errors import WireError
from streams.wire.transactions import (
    DescribeProducersResponse,
    DescribeTransactionsResponse,
    ListTransactionsResponse,
)
from tests.bitcoin.answers import Pipe

KAFKA = {"bootstrap.servers": "kafka:9092", "security.protocol": "SASL_PLAINTEXT"}


def walk(answer: bytes) -> None:
    """The approach to a broker that answers a SASL handshake so."""
    both = ((18, bytes(6)), (17, answer))
    raw = b"".join(struct.pack(">ii", len(body) + 4, number) + body for number, body in both)
    with patch("socket.create_connection", lambda *about, **more: Pipe(raw)):
        approach._walk({**KAFKA, "sasl.mechanism": "PLAIN"}, ("kafka", 9092))


def test_another_mechanism_is_named_without_signs_that_no_terminal_shows() -> None:
    """The broker's own words are shown to people."""
    with pytest.raises(WireError, match="does not take PLAIN, but GSSAPI"):
        walk(struct.pack(">hih", 0, 1, 9) + b"GSS\x1b[API".replace(b"[", b"\x07") + b"\x00")


@pytest.mark.parametrize(
    "answer",
    [
        b"x", struct.pack(">hi", 0, 7), struct.pack(">hih", 0, 2**31 - 1, -2),
        struct.pack(">hi", 0, 2**31 - 1) + bytes(1000),
    ],
)  # fmt: skip
def test_what_is_no_list_of_mechanisms_says_nothing(answer: bytes) -> None:
    """Least of all for ever: names of a negative length took all memory."""
    walk(answer)


class Broker:
    """A client of one broker, which gives these answers."""

    def __init__(self, *answers: Any) -> None:
        self._answers = {answer.API_KEY: answer for answer in answers}
        self.cluster, self.nodeId, self.host, self.port = self, 1, "kafka", 9092

    def brokers(self) -> list[Any]:
        return [self]

    def leader_for_partition(self, place: Any) -> int:
        return 1

    def set_topics(self, names: set[str]) -> None:
        pass

    async def send(self, node: int, request: Any) -> Any:
        answer = self._answers[request.API_KEY]
        return type(answer).decode(answer.encode())

    async def bootstrap(self) -> None:
        pass

    close = force_metadata_update = bootstrap


LISTED = ListTransactionsResponse(0, 0, [], [("sink", 7, "Ongoing", {})], {})
STATE = (0, "sink", "Ongoing", 60_000, 1_600_000_000_000, 7, 1)
PRODUCERS = [(7, 1, 5, 1_600_000_000_000, 2, 17, {})]


def test_the_broker_of_these_tests_tells_who_holds_a_partition() -> None:
    """Its answers come through the encoding that a real one would use."""
    described = DescribeTransactionsResponse(0, [(*STATE, [("bids", [3], {})], {})], {})
    told = DescribeProducersResponse(0, [("bids", [(3, 0, "", PRODUCERS, {})], {})], {})
    broker = Broker(LISTED, described, told)
    with patch("streams.ops.transactions.AIOKafkaClient", lambda **about: broker):
        found = holders(KAFKA, [Place("bids", 3)])[Place("bids", 3)]
    assert (17, "sink", ["bids/3"]) == (found.offset, found.name, found.transaction.partitions)


@pytest.mark.parametrize(
    "described",
    [
        DescribeTransactionsResponse(0, None, {}),
        DescribeTransactionsResponse(0, [(*STATE, None, {})], {}),
        DescribeTransactionsResponse(0, [(0, None, *STATE[2:], [], {})], {}),
    ],
)
def test_an_answer_without_one_of_its_parts_is_named(described: Any) -> None:
    """Kafka's encoding has a null for each of them."""
    broker = Broker(LISTED, described)
    client = patch("streams.ops.transactions.AIOKafkaClient", lambda **about: broker)
    with client, pytest.raises(CannotAsk, match="DescribeTransactionsResponse is none of Kafka's"):
        open_transactions(KAFKA)
