"""One description of the way to Kafka, said to librdkafka and, from there, to aiokafka.

librdkafka's names are what everybody here passes on (``EngineSettings.kafka``, ``kafka={...}`` of
the client); the group member of Faust is told the same by ``credentials``.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from streams.wire.errors import BadWire
from streams.wire.secrets import Secret
from streams.wire.settings import WireSettings, problem
from streams.wire.tokens import tokens_of

if TYPE_CHECKING:
    from faust.types.auth import CredentialsT


def librdkafka(wire: WireSettings) -> dict[str, Any]:
    """The settings of every librdkafka client; empty where nothing is said.

    Raises BadWire where the settings do not fit together.
    """
    if wire == WireSettings():
        return {}
    if (wrong := problem(wire)) is not None:
        cause, _, remedy = wrong.rpartition(": ")
        raise BadWire(cause, remedy)
    found: dict[str, Any] = {"security.protocol": wire.protocol}
    if wire.tls:
        found |= _tls(wire)
    if wire.sasl:
        found["sasl.mechanism"] = wire.mechanism
        found |= _sasl(wire)
    return {name: value for name, value in found.items() if value is not None}


def _tls(wire: WireSettings) -> dict[str, Any]:
    return {
        "ssl.ca.location": wire.ca_location,
        "ssl.certificate.location": wire.certificate_location,
        "ssl.key.location": wire.key_location,
        "ssl.key.password": _secret(wire.key_password),
        "ssl.endpoint.identification.algorithm": "https" if wire.check_hostname else "none",
    }


def _sasl(wire: WireSettings) -> dict[str, Any]:
    if wire.mechanism == "OAUTHBEARER":
        return {"oauth_cb": tokens_of(wire)}
    return {"sasl.username": wire.user, "sasl.password": _secret(wire.password)}


def _secret(text: str | None) -> Secret | None:
    return None if text is None else Secret(text)


def tls_context(kafka: Mapping[str, Any]) -> ssl.SSLContext | None:
    """What librdkafka's settings say of TLS, for Python; None where there is none."""
    if not str(kafka.get("security.protocol", "PLAINTEXT")).upper().endswith("SSL"):
        return None
    context = ssl.create_default_context(cafile=kafka.get("ssl.ca.location"))
    context.check_hostname = kafka.get("ssl.endpoint.identification.algorithm", "https") != "none"
    certificate = kafka.get("ssl.certificate.location")
    if certificate is not None:
        key, password = kafka.get("ssl.key.location"), kafka.get("ssl.key.password")
        context.load_cert_chain(certificate, key, password)
    return context


def credentials(kafka: Mapping[str, Any]) -> CredentialsT | None:
    """The same for Faust's group member (``broker_credentials``); None for PLAINTEXT."""
    from faust.auth import OAuthCredentials, SASLCredentials, SSLCredentials  # noqa: PLC0415

    protocol = str(kafka.get("security.protocol", "PLAINTEXT")).upper()
    context = tls_context(kafka)
    if protocol == "SSL":
        return SSLCredentials(context)
    if not protocol.startswith("SASL"):
        return None
    if "oauth_cb" in kafka:
        return OAuthCredentials(oauth_cb=_provider(kafka["oauth_cb"]), ssl_context=context)
    return SASLCredentials(
        username=kafka.get("sasl.username"),
        password=kafka.get("sasl.password"),
        mechanism=kafka.get("sasl.mechanism", kafka.get("sasl.mechanisms")),
        ssl_context=context,
    )


def aiokafka_settings(kafka: Mapping[str, Any]) -> dict[str, Any]:
    """The same for a client of aiokafka; to be used on its event loop."""
    found: dict[str, Any] = {"bootstrap_servers": str(kafka["bootstrap.servers"]).split(",")}
    protocol = str(kafka.get("security.protocol", "PLAINTEXT")).upper()
    found |= {"security_protocol": protocol, "ssl_context": tls_context(kafka)}
    if not protocol.startswith("SASL"):
        return found
    if "oauth_cb" in kafka:
        provider = _provider(kafka["oauth_cb"])
        return found | {"sasl_mechanism": "OAUTHBEARER", "sasl_oauth_token_provider": provider}
    return found | {
        "sasl_mechanism": kafka.get("sasl.mechanism", kafka.get("sasl.mechanisms")),
        "sasl_plain_username": kafka.get("sasl.username"),
        "sasl_plain_password": kafka.get("sasl.password"),
    }


def _provider(token_of: Any) -> Any:
    """aiokafka's way to a token, over librdkafka's."""
    from aiokafka.abc import AbstractTokenProvider  # noqa: PLC0415

    class Provider(AbstractTokenProvider):  # type: ignore[misc]
        async def token(self) -> str:
            loop = asyncio.get_running_loop()
            found: tuple[str, float] = await loop.run_in_executor(None, token_of, "")
            return found[0]

    return Provider()
