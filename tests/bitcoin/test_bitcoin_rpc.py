"""RPC, ZMQ frames and chain identity: exact amounts, and refusals that name cause and remedy."""

from __future__ import annotations

import hmac
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.chain.parse import parse_header
from streams.sources.bitcoin_away import Backoff, NodeAway, Waiting
from streams.sources.bitcoin_forms import satoshi
from streams.sources.bitcoin_identity import (
    GENESIS,
    SPLIT_HASH,
    SPLIT_HEIGHT,
    check_branch,
    check_identity,
    check_publishes,
)
from streams.sources.bitcoin_rpc import Rpc, RpcError
from streams.sources.bitcoin_zmq import Counters, Feed, Frame, decode
from streams.sources.errors import SourceError
from tests.bitcoin.answers import Answered, http
from tests.bitcoin.data import raw_block, shared
from tests.bitcoin.node import Node, bitcoind, free_ports
from tests.bitcoin.recording import load


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    """A node without a wallet."""
    with bitcoind(wallet=False) as running:
        yield running


@given(st.integers(0, 2_100_000_000_000_000))
def test_every_amount_of_satoshi_is_exact(amount: int) -> None:
    """Any amount written in bitcoin with eight decimals comes back as the same satoshi."""
    assert satoshi(Decimal(f"{amount // 10**8}.{amount % 10**8:08d}")) == amount


@pytest.mark.parametrize("amount", ["-1", "21000000.00000001", "1e999999999", "-1E+999999999"])
def test_what_is_no_amount_is_refused_at_once(amount: str) -> None:
    """Above all one whose exponent the arithmetic of decimals does not take."""
    with pytest.raises(SourceError, match="is none of bitcoin"):
        satoshi(Decimal(amount))


def test_fraction_of_a_satoshi_is_refused() -> None:
    """An amount that is no whole number of satoshi is an error, never rounded."""
    with pytest.raises(SourceError, match="no whole number of satoshi"):
        satoshi(Decimal("0.000000001"))


@pytest.mark.bitcoind
def test_calls_and_batches_answer_in_order(node: Node) -> None:
    """A batch gives its results in order, and None where the node said error."""
    rpc = Rpc(node.url, node.cookie)
    assert rpc.call("getblockcount") == 0
    genesis = GENESIS["regtest"]
    calls = [("getblockhash", 0), ("getblockhash", 99), ("getblockhash", 0)]
    assert list(rpc.batch(calls)) == [genesis, None, genesis]
    with pytest.raises(RpcError, match="getblockhash"):
        rpc.call("getblockhash", 99)


@pytest.mark.bitcoind
def test_restarted_node_is_reached_with_its_new_cookie() -> None:
    """After the node restarts, calls and batches go on: fresh connection, fresh cookie."""
    with bitcoind(wallet=False) as node:
        rpc = Rpc(node.url, node.cookie)
        assert rpc.call("getblockcount") == 0
        node.stop()
        node.start()
        assert rpc.call("getblockcount") == 0
        node.stop()
        node.start()
        assert list(rpc.batch([("getblockcount",)])) == [0]


@pytest.mark.bitcoind
def test_wrong_password_is_refused_by_name(node: Node, tmp_path: Path) -> None:
    """Credentials that the node refuses give a remedy, for calls and batches."""
    cookie = tmp_path / "cookie"
    cookie.write_text("someone:wrong")
    with pytest.raises(SourceError, match="refused the credentials"):
        Rpc(node.url, cookie).call("getblockcount")
    with pytest.raises(SourceError, match="refused the credentials"):
        list(Rpc(node.url, cookie).batch([("getblockcount",)]))


def test_absent_node_and_cookie_are_waited_for(tmp_path: Path) -> None:
    """A port where nobody listens, and a cookie that is not there, are a node that is away."""
    (port,) = free_ports(1)
    with pytest.raises(NodeAway, match="connection refused"):
        Rpc(f"http://user:password@127.0.0.1:{port}").call("getblockcount")
    with pytest.raises(NodeAway, match=r"its cookie .* is not there"):
        Rpc(f"http://127.0.0.1:{port}", tmp_path / "none").call("getblockcount")


def test_node_that_does_not_answer_in_time_is_away() -> None:
    """A connection that nobody serves is a node that is away, after the time given, for both."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://user:password@127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(NodeAway, match=r"no answer within 0\.1 s"):
            Rpc(url, timeout_s=0.1).call("getblockcount")
        with pytest.raises(NodeAway, match=r"no answer within 0\.1 s"):
            list(Rpc(url, timeout_s=0.1).batch([("getblockcount",)]))


@pytest.mark.bitcoind
def test_call_that_is_not_on_the_whitelist_is_refused_by_name() -> None:
    """A user who may not call what the source needs learns which setting forbids it."""
    salt, word = "cafe", "secret"
    digest = hmac.new(salt.encode(), word.encode(), "sha256").hexdigest()
    config = f"rpcauth=reader:{salt}${digest}\nrpcwhitelist=reader:getblockcount\n"
    with bitcoind(wallet=False, config=config + "rpcwhitelistdefault=0\n") as node:
        rpc = Rpc(f"http://reader:{word}@127.0.0.1:{node.rpc_port}")
        assert rpc.call("getblockcount") == 0
        with pytest.raises(SourceError, match="rpcwhitelist") as single:
            rpc.call("getmempoolinfo")
        with pytest.raises(SourceError, match="rpcwhitelist"):
            list(rpc.batch([("getblockcount",), ("getmempoolinfo",)]))
        assert not isinstance(single.value, NodeAway)
        assert rpc.call("getblockcount") == 0


@pytest.mark.parametrize(
    ("status", "body", "error", "cause"),
    [
        (200, b"<html>hello</html>", SourceError, "does not answer as a Bitcoin node"),
        (404, b"not here", SourceError, "does not answer as a Bitcoin node"),
        (503, b"Work queue depth exceeded", NodeAway, "work queue is full"),
        (200, b'[{"id":0,"error":{"code":-28,"message":"Verifying"}}]', NodeAway, "starting"),
        (200, b"[7]", SourceError, "does not answer as a Bitcoin node"),
        (200, b'[{"id":[],"error":"no"}]', SourceError, "does not answer as a Bitcoin node"),
        (200, b"[" * 50_000, SourceError, "does not answer as a Bitcoin node"),
    ],
)
def test_answers_that_no_test_node_gives_are_told_apart(
    status: int, body: bytes, error: type[SourceError], cause: str
) -> None:
    """A foreign server ends the source; a node that is busy or starting is waited for."""
    with answering(status, body) as url, pytest.raises(error, match=cause) as raised:
        list(Rpc(url).batch([("getblockcount",)]))
    assert type(raised.value) is error


@pytest.mark.parametrize(
    "body", [b"7", b"[]", b'"error"', b'{"error":7}', b'{"error":null}', b"[" * 50_000]
)
def test_what_no_node_answers_to_one_call_is_refused(body: bytes) -> None:
    """JSON of any other form, which the client that we ask with does not look at closely."""
    answer = http("200 OK", body)
    with pytest.raises(SourceError, match="does not answer as a Bitcoin node"):
        Answered(answer).call("getblockcount")


def test_an_answer_without_end_is_refused() -> None:
    """Whether it says how long it is or not: the memory is not the node's to fill."""
    for more in ("Content-Length: 99999999999", "Connection: close"):
        endless = http("200 OK", bytes(70_000), more)
        with patch("streams.sources.bitcoin_rpc._MOST_BYTES", 60_000):
            for ask in (lambda r: r.call("x"), lambda r: list(r.batch([("x",)]))):
                with pytest.raises(SourceError, match="an answer of more than 60000 bytes"):
                    ask(Answered(endless))


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """An HTTP server that gives this answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://user:password@127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_wait_ends_when_asked_to_and_says_since_when() -> None:
    """Each attempt is said with its cause; a request to stop ends the longest pause."""
    said: list[str] = []
    waiting = Waiting("node:8332", said.append, Backoff(3600, 3600))
    waiting.wait("connection refused", lambda: True)
    waiting.over()
    waiting.over()
    assert said == [
        "waiting for the node at node:8332: connection refused; 0 s",
        "the node at node:8332 is back after 0 s",
    ]


@pytest.mark.parametrize(
    "url", ["node.example:8332", "http://u:hunter2@127.0.0.1:99999", "http://", "tcp://a:1"]
)
def test_what_is_no_address_of_an_rpc_is_refused_without_showing_it(url: str) -> None:
    """An address without scheme or host would be taken for this machine, a port for a crash."""
    with pytest.raises(SourceError, match="write http://HOST:PORT") as refused:
        Rpc(url)
    assert "hunter2" not in str(refused.value)


def test_a_call_that_the_node_does_not_know_is_an_error_with_a_remedy() -> None:
    """A node built without ZMQ says that there is no such method: no error that nobody foresaw."""
    body = b'{"result":null,"error":{"code":-32601,"message":"Method not found"},"id":1}'
    with answering(404, body) as url, pytest.raises(SourceError, match="built with ZMQ") as refused:
        check_publishes(Rpc(url))
    assert isinstance(refused.value, RpcError)


def test_what_is_no_address_of_zmq_is_refused() -> None:
    """An address without a protocol names what to write."""
    feed = Feed(["127.0.0.1:28332"])
    with pytest.raises(SourceError, match="write tcp://HOST:PORT"):
        feed.open()
    feed.close()


def test_absent_publisher_is_refused_by_name() -> None:
    """An address where nobody publishes is refused with the setting that is missing."""
    (port,) = free_ports(1)
    feed = Feed([f"tcp://127.0.0.1:{port}"], connect_ms=200)
    with pytest.raises(SourceError, match="set zmqpubsequence and zmqpubrawtx"):
        feed.open()
    feed.close()


def test_recorded_sequence_frames_decode_to_what_was_recorded() -> None:
    """Every sequence frame of the recording, put back into bytes, decodes to its fields."""
    frames = [f for f in load().frames if f["topic"] == "sequence"]
    for frame in frames:
        number = frame.get("mempool_sequence")
        tail = b"" if number is None else number.to_bytes(8, "little")
        body = bytes.fromhex(frame["hash"]) + frame["label"].encode() + tail
        found = decode([b"sequence", body, frame["seq"].to_bytes(4, "little")])
        assert found == Frame(frame["seq"], b"", frame["label"], frame["hash"], number)
    assert len(frames) == 153


@given(st.lists(st.binary(max_size=50), max_size=4))
def test_foreign_messages_are_refused_by_value_error(parts: list[bytes]) -> None:
    """Whatever the parts, the only error is ValueError."""
    try:
        decode(parts)
    except ValueError:
        return


def test_jump_of_a_counter_is_counted_per_topic() -> None:
    """A gap is counted per topic, wraps at 2^32; a restart is a gap; the first cannot say."""
    counters, top = Counters(), (1 << 32) - 1
    seen = [counters.check(Frame(n, label=label)).lost for n, label in (  # type: ignore[arg-type]
        (top, "A"), (7, None), (0, "A"), (3, "A"), (8, None), (0, "A"),
    )]  # fmt: skip
    assert seen == [None, None, 0, 2, 0, top - 3]


class Answers:
    """What a main network node would say, as no such node runs here."""

    where = "node"

    def __init__(self, **answers: Any) -> None:
        header = raw_block(413567)[:80].hex()
        self._answers = {
            "getblockchaininfo": {"chain": "main"},
            "getnetworkinfo": {"subversion": "/Satoshi:29.0.0/"},
            "getbestblockhash": "00" * 32,
            "getblockheader": header,
            **answers,
        }
        self._hashes = {0: GENESIS["main"], **answers.get("hashes", {})}

    def call(self, method: str, *args: Any) -> Any:
        """The recorded answer."""
        if method != "getblockhash":
            return self._answers[method]
        if args[0] not in self._hashes:
            raise RpcError(method, -8, "Block height out of range")
        return self._hashes[args[0]]


def test_main_network_node_on_the_main_chain_is_accepted() -> None:
    """A node with the genesis block, an 80-byte header and other software passes."""
    check_identity(Answers(), "main")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answers", "cause"),
    [
        ({"hashes": {SPLIT_HEIGHT: SPLIT_HASH}}, "split at 961632"),
        ({"hashes": {0: "00" * 32}}, "block 0 of the node"),
        ({"getnetworkinfo": {"subversion": "/Satoshi:29.4.3/Knots:20260508/"}}, "enforces rules"),
        ({"getblockheader": "00" * 164}, "no header of the main chain"),
        ({"getblockheader": "000000a0" + "00" * 76}, "no header of the main chain"),
        ({"getblockchaininfo": {"chain": "test"}}, "is on test, configured is main"),
    ],
)
def test_node_on_another_chain_is_refused(answers: dict[str, Any], cause: str) -> None:
    """Each sign of another chain is refused by name: split, genesis, rules, header, network."""
    with pytest.raises(SourceError, match=cause):
        check_identity(Answers(**answers), "main")  # type: ignore[arg-type]


def test_block_of_the_branch_that_left_is_refused() -> None:
    """The recorded first header of the minority branch is refused at its height on main."""
    rows = shared("stale_headers.csv").read_text().splitlines()
    (row,) = [row.split(",") for row in rows if row.startswith("961632,")]
    header = parse_header(bytes.fromhex(row[2]))
    assert header.hash == row[1] == SPLIT_HASH
    with pytest.raises(SourceError, match="not of the main chain"):
        check_branch("main", header, 961632)
    check_branch("main", header, 961631)
    check_branch("regtest", header, 961632)
