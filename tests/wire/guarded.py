"""A real Apache Kafka that lets in only who it knows, and allows only what an ACL says.

=============  ===============  ===========================================================
listener       protocol         who comes in
=============  ===============  ===========================================================
(plaintext)    PLAINTEXT        everybody, as the super user: for the tests' own hands
``sasl_ssl``   SASL_SSL         PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER
``sasl``       SASL_PLAINTEXT   SCRAM-SHA-512 only
``mutual``     SSL              who has a certificate of the authority
``elsewhere``  SASL_SSL         SCRAM-SHA-512; its certificate is for localhost alone
=============  ===============  ===========================================================
"""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from streams.broker import EmbeddedBroker
from tests.kafka.world import until
from tests.wire.certificates import BY_NAME, Authority

PASSWORD = "c0rrect-horse+battery/staple="
PLAIN_USERS = ("worker", "plain")
AUDIENCE = "kafka"
REAUTH_MS = 4000
"""After which the broker asks again who it is, of tokens and SCRAM-SHA-256, or hangs up."""
_LISTENERS = {
    "sasl_ssl": "SASL_SSL", "sasl": "SASL_PLAINTEXT", "mutual": "SSL", "elsewhere": "SASL_SSL"
}  # fmt: skip
_MODULE = "org.apache.kafka.common.security"
_SCRAM = f"{_MODULE}.scram.ScramLoginModule required;"
_OAUTH = f"{_MODULE}.oauthbearer.OAuthBearerLoginModule required;"


class Guarded:
    """The broker, its authority, its users and its rights."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.authority = folder, Authority(folder / "tls", "test-ca")
        self.issuer = Issuer()
        jwks = folder / "jwks.json"
        jwks.write_text(json.dumps({"keys": [self.issuer.public()]}))
        self.ports = _free_ports(len(_LISTENERS) + 2)
        self.addresses = {
            name: f"127.0.0.1:{port}" for name, port in zip(_LISTENERS, self.ports[2:], strict=True)
        }
        url = jwks.as_uri()
        self.broker = EmbeddedBroker(
            port=self.ports[0],
            extra=self._properties(url),
            jvm=(f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={url}",),
        )

    def start(self) -> None:
        """Start it, with one user and no rights; raises BrokerError."""
        self.broker.start()
        self.admin = AdminClient({"bootstrap.servers": self.broker.bootstrap, "log_level": 0})
        self.user("worker")

    def user(self, name: str, password: str = PASSWORD) -> None:
        """Add a SCRAM user, or change its password."""
        for kind in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            info = ScramCredentialInfo(kind, 4096)
            found: list[UserScramCredentialAlteration] = [
                UserScramCredentialUpsertion(name, info, password.encode())
            ]
            for future in self.admin.alter_user_scram_credentials(found).values():
                future.result(10)

    def allow(self, bindings: Iterable[AclBinding]) -> None:
        """Give rights; the broker has them when it returns."""
        found = list(bindings)
        for future in self.admin.create_acls(found).values():
            future.result(10)
        until("the broker has the rights", lambda: all(map(self._known, found)))

    def take(self, bindings: Iterable[AclBinding]) -> None:
        """Take rights away."""
        found = list(bindings)
        for future in self.admin.delete_acls(list(map(_only, found))).values():
            future.result(10)
        until("the broker forgot the rights", lambda: not any(map(self._known, found)))

    def _known(self, binding: AclBinding) -> bool:
        return bool(self.admin.describe_acls(_only(binding)).result(10))

    def take_all(self) -> None:
        """Take all rights away."""
        anything: Any = None  # no name, of nobody, from nowhere: the client's hints leave it out
        every = AclBindingFilter(
            ResourceType.ANY, anything, ResourcePatternType.ANY, anything, anything,
            AclOperation.ANY, AclPermissionType.ANY,
        )  # fmt: skip
        for future in self.admin.delete_acls([every]).values():
            future.result(10)
        until("the broker forgot all", lambda: not self.admin.describe_acls(every).result(10))

    def allow_all(self, principal: str) -> None:
        """Every right there is, for tests of the way in."""
        kinds = [
            (kind, "*")
            for kind in (ResourceType.TOPIC, ResourceType.GROUP, ResourceType.TRANSACTIONAL_ID)
        ]
        kinds.append((ResourceType.BROKER, "kafka-cluster"))
        self.allow(
            AclBinding(kind, name, ResourcePatternType.LITERAL, principal, "*",
                       AclOperation.ALL, AclPermissionType.ALLOW)
            for kind, name in kinds
        )  # fmt: skip

    def _properties(self, jwks: str) -> dict[str, str]:
        authority, port = self.authority, dict(zip(_LISTENERS, self.ports[2:], strict=True))
        own = [f"PLAINTEXT://127.0.0.1:{self.ports[0]}", f"CONTROLLER://127.0.0.1:{self.ports[1]}"]
        listeners = [f"{name.upper()}://127.0.0.1:{port[name]}" for name in _LISTENERS]
        protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT"}
        protocols |= {name.upper(): protocol for name, protocol in _LISTENERS.items()}
        users = " ".join(f'user_{name}="{PASSWORD}"' for name in PLAIN_USERS)
        plain = f"{_MODULE}.plain.PlainLoginModule required {users};"
        validator = f"{_MODULE}.oauthbearer.OAuthBearerValidatorCallbackHandler"
        inside = "listener.name.sasl_ssl"
        found = {
            "listeners": ",".join([*own, *listeners]),
            "controller.quorum.voters": f"1@127.0.0.1:{self.ports[1]}",
            "listener.security.protocol.map": ",".join(f"{n}:{p}" for n, p in protocols.items()),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(authority.chain("broker")),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(authority.ca),
            "listener.name.mutual.ssl.client.auth": "required",
            "listener.name.elsewhere.ssl.keystore.location": str(
                authority.chain("elsewhere", BY_NAME)
            ),
            f"{inside}.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
            f"{inside}.plain.sasl.jaas.config": plain,
            f"{inside}.oauthbearer.sasl.jaas.config": _OAUTH,
            f"{inside}.oauthbearer.sasl.server.callback.handler.class": validator,
            f"{inside}.oauthbearer.connections.max.reauth.ms": str(REAUTH_MS),
            f"{inside}.scram-sha-256.connections.max.reauth.ms": str(REAUTH_MS),
            "sasl.oauthbearer.jwks.endpoint.url": jwks,
            "sasl.oauthbearer.expected.audience": AUDIENCE,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "group.min.session.timeout.ms": "1000",
        }
        for name in ("sasl_ssl", "sasl", "elsewhere"):
            prefix = f"listener.name.{name}"
            found.setdefault(f"{prefix}.sasl.enabled.mechanisms", "SCRAM-SHA-512")
            found[f"{prefix}.scram-sha-512.sasl.jaas.config"] = _SCRAM
        found[f"{inside}.scram-sha-256.sasl.jaas.config"] = _SCRAM
        return found


def _only(b: AclBinding) -> AclBindingFilter:
    """What finds this right alone."""
    pattern, may = b.resource_pattern_type, b.permission_type
    return AclBindingFilter(b.restype, b.name, pattern, b.principal, b.host, b.operation, may)


class Issuer:
    """Signs the tokens that the broker takes (JWT, RS256)."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def public(self) -> dict[str, str]:
        """Its key as a JWK."""
        numbers = self._key.public_key().public_numbers()
        n, e = (_text(x.to_bytes((x.bit_length() + 7) // 8)) for x in (numbers.n, numbers.e))
        return {"kty": "RSA", "kid": "test", "alg": "RS256", "use": "sig", "n": n, "e": e}

    def token(self, subject: str, seconds: float = 600, audience: str = AUDIENCE) -> str:
        """A token for somebody, good for so long from now."""
        now = time.time()
        head = {"alg": "RS256", "typ": "JWT", "kid": "test"}
        claims = {
            "sub": subject,
            "aud": audience,
            "iat": int(now - 1000),
            "exp": int(now + seconds),
        }
        signed = ".".join(_text(json.dumps(part).encode()) for part in (head, claims))
        return f"{signed}.{_text(self._key.sign(signed.encode(), padding.PKCS1v15(), SHA256()))}"


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
