"""How to reach Kafka: configuration section ``[kafka]``."""

from __future__ import annotations

import os
from typing import Literal

import msgspec

from schemas.addresses import http_address

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]


class WireSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who we are to Kafka, and how we know that it is Kafka. Secrets are never shown."""

    protocol: Protocol = "PLAINTEXT"
    """``SSL`` is TLS; with ``SASL_`` we say who we are, without it a certificate may."""
    mechanism: Mechanism = "SCRAM-SHA-512"
    """How we say who we are, where the protocol is SASL."""
    user: str | None = None
    """Of PLAIN and SCRAM."""
    password: str | None = None
    """Of that user, never shown: STREAMS_KAFKA__PASSWORD(_FILE)."""
    ca_location: str | None = None
    """PEM file of the authorities that may sign the brokers' certificates; without it, those that
    this machine trusts."""
    check_hostname: bool = True
    """Whether a broker's certificate must be for the name that it is reached by."""
    certificate_location: str | None = None
    """PEM file of our own certificate and what signed it, where brokers ask for one."""
    key_location: str | None = None
    """PEM file of its key."""
    key_password: str | None = None
    """Of that file, never shown: STREAMS_KAFKA__KEY_PASSWORD(_FILE)."""
    oauth_token_location: str | None = None
    """File of a token (JWT) that somebody else keeps fresh; it is read again when it expires."""
    oauth_url: str | None = None
    """Where tokens are asked for (client credentials, RFC 6749 4.4), https; instead of a file."""
    oauth_client_id: str | None = None
    """Who asks for them."""
    oauth_client_secret: str | None = None
    """Never shown: STREAMS_KAFKA__OAUTH_CLIENT_SECRET(_FILE)."""
    oauth_scope: str | None = None
    """What the token is asked for, where the server wants to know."""
    oauth_ca_location: str | None = None
    """As ``ca_location``, for that server."""

    def __repr__(self) -> str:
        """Without the secrets.

        >>> WireSettings(protocol="SASL_SSL", user="w", password="p")
        WireSettings(protocol=SASL_SSL, user=w)
        """
        shown = [n for n in ("protocol", "user", "oauth_client_id") if getattr(self, n) is not None]
        return f"WireSettings({', '.join(f'{n}={getattr(self, n)}' for n in shown)})"

    @property
    def tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.protocol.endswith("SSL")

    @property
    def sasl(self) -> bool:
        """Whether we say who we are by SASL."""
        return self.protocol.startswith("SASL")

    @property
    def files(self) -> dict[str, str]:
        """The files that are named, by setting."""
        names = ("ca_location", "certificate_location", "key_location", "oauth_token_location",
                 "oauth_ca_location")  # fmt: skip
        found = {name: getattr(self, name) for name in names}
        return {name: path for name, path in found.items() if path is not None}


def problem(wire: WireSettings) -> str | None:
    """What does not fit together, with its remedy; None when everything does."""
    return _way(wire) or _certificate(wire) or (_who(wire) if wire.sasl else None) or _files(wire)


def _way(wire: WireSettings) -> str | None:
    for name in ("user", "password", "oauth_token_location", "oauth_url"):
        if getattr(wire, name) is not None and not wire.sasl:
            return (
                f"kafka.{name} is set, but kafka.protocol is {wire.protocol}: "
                "set kafka.protocol to SASL_SSL"
            )
    for name in ("ca_location", "certificate_location", "key_location"):
        if getattr(wire, name) is not None and not wire.tls:
            return (
                f"kafka.{name} is set, but kafka.protocol is {wire.protocol}: "
                f"set kafka.protocol to {'SASL_SSL' if wire.sasl else 'SSL'}"
            )
    return None


def _certificate(wire: WireSettings) -> str | None:
    if (wire.certificate_location is None) != (wire.key_location is None):
        return (
            "a certificate needs its key, and a key its certificate: "
            "set kafka.certificate_location and kafka.key_location"
        )
    return None


def _who(wire: WireSettings) -> str | None:
    if wire.mechanism != "OAUTHBEARER":
        for name in ("user", "password"):
            if not getattr(wire, name):
                return f"kafka.{name} is missing for {wire.mechanism}: {_how(name)}"
        return None
    if wire.oauth_token_location is not None:
        return None if wire.oauth_url is None else (
            "tokens come from kafka.oauth_token_location and from kafka.oauth_url: set one of them"
        )  # fmt: skip
    for name in ("oauth_url", "oauth_client_id", "oauth_client_secret"):
        if not getattr(wire, name):
            other = ", or name a file with kafka.oauth_token_location" * (name == "oauth_url")
            return f"kafka.{name} is missing for OAUTHBEARER: {_how(name)}{other}"
    return _address(str(wire.oauth_url))


def _address(url: str) -> str | None:
    """Where the secret goes: encrypted, or no further than this machine."""
    parts = http_address(url)
    if parts is None:
        return "kafka.oauth_url is no address: write https://HOST/PATH"
    if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        return "kafka.oauth_url would send the secret in the clear: write https://HOST/PATH"
    return None


def _how(name: str) -> str:
    secret = name in ("password", "oauth_client_secret")
    variable = f"STREAMS_KAFKA__{name.upper()}"
    return f"put it in {variable}, or in the file that {variable}_FILE names" if secret else (
        f"set {variable} or kafka.{name}"
    )  # fmt: skip


def _files(wire: WireSettings) -> str | None:
    for name, path in wire.files.items():
        if not os.path.isfile(path):  # False for what no file can be called, too
            return f"there is no file {path} (kafka.{name}): name one that exists"
    return None
