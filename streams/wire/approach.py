"""Why there is no way in: the approach to a broker once more, step by step, to the one that fails.

librdkafka and aiokafka say no more than that no broker could be reached, or that some certificate
was not verified. Here each step is ours, so that what it breaks at has a name: connecting, TLS, the
first answer, SASL. Where no step breaks, or a broker is only away or slow, nothing is said.
"""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from streams.wire import words
from streams.wire.errors import NoToken, WireError
from streams.wire.mapping import tls_context

CONNECT_SECONDS = 3.0
SASL_SECONDS = 6.0
LOOK_SECONDS = 0.05
ASK_SECONDS = 0.5
MOST_BYTES, MOST_BROKERS, MOST_MECHANISMS = 1 << 20, 5, 20
_HANDSHAKE, _API_VERSIONS = 17, 18
_ILLEGAL_STATE = 34
"""What a port without SASL says to a SASL handshake."""
Address = tuple[str, int]


def require_way(kafka: Mapping[str, Any]) -> None:
    """Raise WireError with the cause when one of the brokers refuses us, or we do not trust it."""
    found = refusal(kafka)
    if found is not None:
        raise found


def refusal(kafka: Mapping[str, Any]) -> WireError | None:
    """Why there is no way in to the first of ``bootstrap.servers`` that listens.

    None when there is one, and also while nobody listens or answers: that may pass.
    """
    for address in map(parsed, str(kafka["bootstrap.servers"]).split(",")):
        try:
            _walk(kafka, address)
        except WireError as error:
            return error
        except OSError:
            continue
        break
    else:
        return None
    if _protocol(kafka) == "PLAINTEXT":
        return None
    found = _come_in(kafka)
    return found if isinstance(found, WireError) else _advertised(kafka, found, address)


def _advertised(
    kafka: Mapping[str, Any], brokers: Iterable[Address], known: Address
) -> WireError | None:
    """The same for the names that brokers go by, which may be others than those we know."""
    for address in sorted(set(brokers) - {known})[:MOST_BROKERS]:
        try:
            _walk(kafka, address)
        except WireError as error:
            return error
        except OSError:
            continue
    return None


def parsed(text: str) -> Address:
    """Host and port of an address.

    >>> parsed("127.0.0.1:9092"), parsed("[::1]:1"), parsed("SSL://kafka")
    (('127.0.0.1', 9092), ('::1', 1), ('kafka', 9092))
    """
    bare = text.strip().rpartition("://")[2]
    host, sign, port = bare.rpartition(":")
    if not sign or not port.isdigit():
        return bare.strip("[]"), 9092
    return host.strip("[]"), int(port)


def _protocol(kafka: Mapping[str, Any]) -> str:
    return str(kafka.get("security.protocol", "PLAINTEXT")).upper()


def _walk(kafka: Mapping[str, Any], address: Address) -> None:
    """Connect and ask two questions; raises WireError, or OSError while nobody answers."""
    context = _context(kafka)
    with closing(socket.create_connection(address, CONNECT_SECONDS)) as plain:
        line = plain if context is None else _encrypted(plain, context, kafka, address)
        with closing(line):
            try:
                first = _ask(line, _API_VERSIONS, 0)
                if first is not None:
                    _handshake(line, kafka, address)
            except ssl.SSLError as error:
                raise _by_alert(kafka, address, error) from error
    if first is None and context is None and speaks_tls(address):
        raise words.speaks_tls(kafka, address)


def _context(kafka: Mapping[str, Any]) -> ssl.SSLContext | None:
    try:
        return tls_context(kafka)
    except (ssl.SSLError, OSError) as error:
        raise words.bad_files(kafka, error) from error


def _encrypted(
    plain: socket.socket, context: ssl.SSLContext, kafka: Mapping[str, Any], address: Address
) -> socket.socket:
    try:
        return context.wrap_socket(plain, server_hostname=address[0])
    except ssl.SSLCertVerificationError as error:
        raise words.untrusted(kafka, address, error) from error
    except TimeoutError:
        raise
    except OSError as error:
        if speaks_plain(address):
            raise words.no_tls(kafka, address) from error
        raise _by_alert(kafka, address, error) from error


def _by_alert(kafka: Mapping[str, Any], address: Address, error: OSError) -> Exception:
    """What the broker ended TLS with; a line that was only cut is no reason of its own."""
    reason = str(getattr(error, "reason", None) or "")
    if "ALERT" not in reason:
        return ConnectionError(str(error))
    return words.ended_tls(kafka, address, reason.lower().replace("_", " "))


def _handshake(line: socket.socket, kafka: Mapping[str, Any], address: Address) -> None:
    """Ask for our SASL mechanism; who has none asks too, and a port without SASL says so."""
    wanted = str(kafka.get("sasl.mechanism", kafka.get("sasl.mechanisms", "PLAIN")))
    name = wanted.encode()
    answer = _ask(line, _HANDSHAKE, 1, struct.pack(">h", len(name)) + name)
    offered = None if answer is None else _offered(answer)
    if offered is None:
        return
    code, known = offered
    asks, ours = code != _ILLEGAL_STATE, "SASL" in _protocol(kafka)
    if ours and not asks:
        raise words.no_sasl(kafka, address)
    if known and not ours and not lets_in(kafka):
        raise words.wants_sasl(kafka, address, known)
    if ours and known and wanted not in known:
        raise words.other_mechanism(wanted, address, known)


def _offered(answer: bytes) -> tuple[int, list[str]] | None:
    """Error code and mechanisms of an answer to a handshake; None for what is none."""
    try:
        code, count = struct.unpack_from(">hi", answer)
        known = _strings(answer, 6, count) if code != _ILLEGAL_STATE else []
    except struct.error:
        return None
    return code, known


def _strings(raw: bytes, place: int, count: int) -> list[str]:
    found: list[str] = []
    for _ in range(count):
        size = struct.unpack_from(">h", raw, place)[0]
        if size < 0 or len(found) == MOST_MECHANISMS:
            raise struct.error("no list of mechanisms")
        text = raw[place + 2 : place + 2 + size].decode(errors="replace")
        found.append("".join(c for c in text if c.isprintable()))
        place += 2 + size
    return found


def _ask(line: socket.socket, api: int, version: int, body: bytes = b"") -> bytes | None:
    """The answer to one request; None when it is none of Kafka's, or none came."""
    client = b"streams"
    asked = struct.pack(">hhih", api, version, api, len(client)) + client + body
    try:
        line.sendall(struct.pack(">i", len(asked)) + asked)
        size, number = struct.unpack(">ii", _take(line, 8))
        if number != api or not 4 < size < MOST_BYTES:
            return None
        return _take(line, size - 4)
    except ssl.SSLError:
        raise
    except (OSError, struct.error):
        return None


def _take(line: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = line.recv(size - len(found))
        if not more:
            break
        found += more
    return found


def speaks_plain(address: Address) -> bool:
    """Whether a Kafka broker answers at an address without TLS."""
    try:
        with closing(socket.create_connection(address, CONNECT_SECONDS)) as line:
            return _ask(line, _API_VERSIONS, 0) is not None
    except OSError:
        return False


def speaks_tls(address: Address) -> bool:
    """Whether TLS is spoken at an address, whoever that is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with closing(socket.create_connection(address, CONNECT_SECONDS)) as plain:
            context.wrap_socket(plain, server_hostname=address[0]).close()
    except OSError:
        return False
    return True


def lets_in(kafka: Mapping[str, Any]) -> bool:
    """Whether librdkafka gets an answer: what another broker says of SASL may mean less."""
    try:
        Producer({**kafka, "log_level": 0}).list_topics("-", timeout=1.0)
    except KafkaException:
        return False
    return True


def _come_in(kafka: Mapping[str, Any]) -> WireError | list[Address]:
    """The brokers, or what the first one says to who we say we are, in librdkafka's words."""
    if "oauth_cb" in kafka:
        try:
            kafka["oauth_cb"]("")
        except NoToken as error:
            return error
    heard: list[KafkaError] = []
    try:
        client = Producer({**kafka, "error_cb": heard.append, "log_level": 0})
    except KafkaException as error:
        return words.bad_setting(error.args[0])
    deadline = time.monotonic() + SASL_SECONDS
    while time.monotonic() < deadline:
        client.poll(LOOK_SECONDS)
        for said in heard:
            if said.code() == KafkaError._AUTHENTICATION:
                return words.refused(kafka, said.str())
        try:
            brokers = client.list_topics("-", timeout=ASK_SECONDS).brokers.values()
        except KafkaException:
            continue
        return [(broker.host, broker.port) for broker in brokers]
    return []
