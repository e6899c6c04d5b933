"""Every way in works, and every way in which there is none is named in seconds."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from streams.ops.target import NoBroker, require_broker
from streams.wire import approach
from streams.wire.approach import refusal
from streams.wire.mapping import librdkafka
from streams.wire.settings import WireSettings
from tests.wire.certificates import Authority
from tests.wire.guarded import PASSWORD, Guarded

pytestmark = pytest.mark.kafka

SECONDS = 30.0
"""In which each cause is named, whatever else the machine does; measured: 0.0 to 1.1."""


class Way:
    """Settings for the guarded broker, good unless a test says otherwise."""

    def __init__(self, guarded: Guarded) -> None:
        self.guarded, authority = guarded, guarded.authority
        self.ca = str(authority.ca)
        self.stranger = Authority(guarded.folder / "stranger", "stranger-ca")

    def kafka(self, listener: str = "sasl_ssl", **settings: Any) -> dict[str, Any]:
        """What librdkafka is told; ``listener`` is one of the broker, or an address."""
        address = self.guarded.addresses.get(listener, listener)
        who = {"user": "worker", "password": PASSWORD}
        good = {"protocol": "SASL_SSL", "ca_location": self.ca, **who}
        if settings.get("protocol") in ("SSL", "PLAINTEXT") or "token" in settings:
            good = {name: value for name, value in good.items() if name not in who}
        if settings.get("protocol", "SSL").endswith("PLAINTEXT"):
            del good["ca_location"]
        if "token" in settings:
            path = self.guarded.folder / "token"
            path.write_text(settings.pop("token"))
            good |= {"mechanism": "OAUTHBEARER", "oauth_token_location": str(path)}
        wire = WireSettings(**{**good, **settings})
        return {**librdkafka(wire), "bootstrap.servers": address}

    def certificate(self, authority: Authority, name: str, **more: Any) -> dict[str, str]:
        """Settings of a client certificate."""
        certificate, key = authority.sign(name, **more)
        return {"certificate_location": str(certificate), "key_location": str(key)}


@pytest.fixture(scope="module")
def way(guarded: Guarded) -> Iterator[Way]:
    """Ways to the broker."""
    for name in ("worker", "robot", "CN=alice"):
        guarded.allow_all(f"User:{name}")
    yield Way(guarded)


def named(kafka: dict[str, Any]) -> str:
    """What is said, in time, of why there is no way in."""
    began = time.monotonic()
    found = refusal(kafka)
    assert time.monotonic() - began < SECONDS
    assert found is not None, "nothing is said"
    assert str(found) == f"{found.cause}: {found.remedy}" and "\n" not in str(found)
    assert PASSWORD not in str(found)
    return str(found)


@pytest.mark.parametrize(
    "settings",
    [
        {"mechanism": "PLAIN"},
        {"mechanism": "SCRAM-SHA-256"},
        {"mechanism": "SCRAM-SHA-512"},
        {"listener": "sasl", "protocol": "SASL_PLAINTEXT"},
        {"listener": "elsewhere", "check_hostname": False},
    ],
    ids=str,
)
def test_ways_in(way: Way, settings: dict[str, Any]) -> None:
    """PLAIN and SCRAM are let in, over TLS and without, and nothing is said against it."""
    kafka = way.kafka(**settings)
    assert refusal(kafka) is None
    assert AdminClient(kafka).list_topics(timeout=10).brokers


def test_tokens_and_certificates_are_ways_in(way: Way) -> None:
    """OAUTHBEARER with a token from a file, and mutual TLS with a key under a password."""
    token = way.kafka(token=way.guarded.issuer.token("robot"))
    own = way.certificate(way.guarded.authority, "alice", password="of the key")
    mutual = way.kafka("mutual", protocol="SSL", key_password="of the key", **own)
    for kafka in (token, mutual):
        assert refusal(kafka) is None
        assert AdminClient(kafka).list_topics(timeout=10).brokers


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_wrong_password(way: Way, mechanism: str) -> None:
    """A wrong password is called that, with the user, and is not shown."""
    said = named(way.kafka(mechanism=mechanism, password="wr0ng"))
    assert "refuses user 'worker': wrong password or unknown user" in said
    assert "wr0ng" not in said


def test_an_unknown_user(way: Way) -> None:
    """Kafka does not tell an unknown user from a wrong password; both are named."""
    assert "refuses user 'unheard-of': wrong password or unknown user" in named(
        way.kafka(user="unheard-of")
    )


def test_an_untrusted_authority(way: Way) -> None:
    """A certificate of an authority that we do not trust is called that, with our CA file."""
    said = named(way.kafka(ca_location=str(way.stranger.ca)))
    assert "signed by a CA that we do not trust" in said and str(way.stranger.ca) in said
    assert "signed by a CA that we do not trust" in named(way.kafka(ca_location=None))


def test_a_certificate_of_another_host(way: Way) -> None:
    """A certificate for another host is not mistaken for an untrusted one."""
    said = named(way.kafka("elsewhere"))
    assert "is for another host than 127.0.0.1" in said and "kafka.check_hostname" in said
    port = way.guarded.addresses["elsewhere"].rpartition(":")[2]
    said = named(way.kafka(f"localhost:{port}"))  # right, but the broker calls itself 127.0.0.1
    assert f"the broker at 127.0.0.1:{port} is for another host than 127.0.0.1" in said


def test_tls_and_plaintext_mixed_up(way: Way) -> None:
    """TLS spoken to a plaintext port, and the other way round, each with and without SASL."""
    plain = way.guarded.broker.bootstrap
    assert "does not speak TLS" in named(way.kafka(plain))
    assert "does not speak TLS" in named(way.kafka(plain, protocol="SSL"))
    assert "does not speak TLS" in named(way.kafka("sasl"))
    assert "speaks TLS, and kafka.protocol is PLAINTEXT" in named(way.kafka(protocol="PLAINTEXT"))
    said = named(way.kafka(protocol="SASL_PLAINTEXT"))
    assert "speaks TLS, and kafka.protocol is SASL_PLAINTEXT" in said


def test_sasl_where_none_is_asked_for_and_the_other_way_round(way: Way) -> None:
    """A port without SASL, a port that asks for it, and one that asks for another mechanism."""
    plain = way.guarded.broker.bootstrap
    assert "has no SASL" in named(way.kafka(plain, protocol="SASL_PLAINTEXT"))
    assert "asks who we are (SASL)" in named(way.kafka("sasl", protocol="PLAINTEXT"))
    assert "asks who we are (SASL)" in named(way.kafka(protocol="SSL"))
    said = named(way.kafka("sasl", protocol="SASL_PLAINTEXT", mechanism="PLAIN"))
    assert "does not take PLAIN, but SCRAM-SHA-512" in said


def test_certificates_that_brokers_do_not_take(way: Way) -> None:
    """No certificate where one is asked for, a stranger's, an expired one, another key."""
    authority = way.guarded.authority
    assert "asks for a certificate of ours" in named(way.kafka("mutual", protocol="SSL"))
    for own in (
        way.certificate(way.stranger, "mallory"),
        way.certificate(authority, "old", days=-1),
    ):
        said = named(way.kafka("mutual", protocol="SSL", **own))
        assert "does not take our certificate" in said
    mixed = way.certificate(authority, "bob") | {"key_location": str(authority.sign("eve")[1])}
    said = named(way.kafka("mutual", protocol="SSL", **mixed))
    assert "the TLS files cannot be used" in said and "kafka.key_location" in said


def test_tokens_that_brokers_do_not_take(way: Way) -> None:
    """An expired token is called that; one for somebody else is refused by the broker."""
    issuer = way.guarded.issuer
    said = named(way.kafka(token=issuer.token("robot", -60)))
    assert "expired 60 s ago" in said or "expired 61 s ago" in said
    said = named(way.kafka(token=issuer.token("robot", audience="other")))
    assert "refuses our token" in said and "audience" in said
    assert "holds no token that says when it expires" in named(way.kafka(token="garbage"))


def test_who_is_away_or_slow_is_not_refused(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port where nobody listens, and one that says nothing, may come right."""
    monkeypatch.setattr(approach, "CONNECT_SECONDS", 0.5)
    with closing(socket.socket()) as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        assert refusal(way.kafka(address)) is None
        with pytest.raises(NoBroker):
            require_broker(address, way.kafka(address))
        closed.listen()
        assert refusal(way.kafka(address, protocol="PLAINTEXT")) is None
