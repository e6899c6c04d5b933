"""What to say of each way in which there is no way in: cause and remedy, never a secret."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError

from streams.wire.errors import WireError

EXPIRED, HOST, ADDRESS = 10, 62, 64
"""OpenSSL's reasons (X509_V_ERR) that are not about who signed a certificate."""
_AFTER = re.compile(r" \(after \d+ms in state \w+\)")


def _place(address: tuple[str, int]) -> str:
    return f"{address[0]}:{address[1]}"


def bad_files(kafka: Mapping[str, Any], error: OSError) -> WireError:
    """Our own certificate files cannot be used."""
    reason = getattr(error, "reason", None) or error.strerror or str(error)
    named = [
        f"{setting} ({kafka[name]})"
        for name, setting in (("ssl.ca.location", "kafka.ca_location"),
                              ("ssl.certificate.location", "kafka.certificate_location"),
                              ("ssl.key.location", "kafka.key_location"))
        if name in kafka
    ]  # fmt: skip
    return WireError(
        f"the TLS files cannot be used ({reason}): {', '.join(named)}",
        "each must be PEM; the key must be that of the certificate, and kafka.key_password its own",
    )


def untrusted(
    kafka: Mapping[str, Any], address: tuple[str, int], error: ssl.SSLCertVerificationError
) -> WireError:
    """The broker's certificate does not prove that it is the broker."""
    place = _place(address)
    if error.verify_code in (HOST, ADDRESS):
        return WireError(
            f"the certificate of the broker at {place} is for another host than {address[0]}",
            "name the broker as its certificate does, or have a certificate made with that name; "
            "kafka.check_hostname=false takes any name that the CA has signed",
        )
    if error.verify_code == EXPIRED:
        return WireError(
            f"the certificate of the broker at {place} has expired",
            "have it renewed on the broker, and see that the clocks are right",
        )
    return WireError(
        f"the certificate of the broker at {place} is signed by a CA that we do not trust "
        f"({error.verify_message})",
        f"set kafka.ca_location to the PEM file of that CA; now it is {_ca(kafka)}",
    )


def _ca(kafka: Mapping[str, Any]) -> str:
    return str(kafka.get("ssl.ca.location", "not set, which is what this machine trusts"))


def _protocol(kafka: Mapping[str, Any]) -> str:
    return str(kafka.get("security.protocol", "PLAINTEXT")).upper()


def no_tls(kafka: Mapping[str, Any], address: tuple[str, int]) -> WireError:
    """We speak TLS and the other end does not."""
    protocol = _protocol(kafka)
    return WireError(
        f"the port {_place(address)} does not speak TLS, and kafka.protocol is {protocol}",
        "name the broker's TLS port, or set kafka.protocol to "
        + ("SASL_PLAINTEXT" if "SASL" in protocol else "PLAINTEXT"),
    )


def speaks_tls(kafka: Mapping[str, Any], address: tuple[str, int]) -> WireError:
    """The other end speaks TLS and we do not."""
    protocol = _protocol(kafka)
    return WireError(
        f"the port {_place(address)} speaks TLS, and kafka.protocol is {protocol}",
        "set kafka.protocol to " + ("SASL_SSL" if "SASL" in protocol else "SSL or SASL_SSL"),
    )


def ended_tls(kafka: Mapping[str, Any], address: tuple[str, int], reason: str) -> WireError:
    """The broker ends TLS: it does not take our certificate, or wants one."""
    if "certificate" not in reason and "unknown ca" not in reason:
        return WireError(
            f"the broker at {_place(address)} ends the TLS handshake ({reason})",
            "see that both sides know the same versions of TLS; the broker's log says more",
        )
    if "ssl.certificate.location" in kafka:
        return WireError(
            f"the broker at {_place(address)} does not take our certificate ({reason})",
            "let kafka.certificate_location be one that its CA has signed and that has not expired",
        )
    return WireError(
        f"the broker at {_place(address)} asks for a certificate of ours ({reason})",
        "set kafka.certificate_location and kafka.key_location",
    )


def wants_sasl(
    kafka: Mapping[str, Any], address: tuple[str, int], known: Sequence[str]
) -> WireError:
    """The port asks who we are, and we say nothing."""
    protocol = _protocol(kafka)
    wanted = "SASL_SSL" if protocol == "SSL" else "SASL_PLAINTEXT"
    some = f" to one of {', '.join(known)}" if known else ""
    return WireError(
        f"the broker at {_place(address)} asks who we are (SASL), and kafka.protocol is {protocol}",
        f"set kafka.protocol to {wanted}, kafka.mechanism{some}, kafka.user and its password",
    )


def no_sasl(kafka: Mapping[str, Any], address: tuple[str, int]) -> WireError:
    """We say who we are, and the port does not ask."""
    protocol = _protocol(kafka)
    return WireError(
        f"the port {_place(address)} has no SASL, and kafka.protocol is {protocol}",
        "name the broker's SASL port, or set kafka.protocol to "
        + ("SSL" if protocol.endswith("SSL") else "PLAINTEXT"),
    )


def other_mechanism(ours: str, address: tuple[str, int], known: Sequence[str]) -> WireError:
    """The broker lets nobody in by our mechanism."""
    return WireError(
        f"the broker at {_place(address)} does not take {ours}, but {', '.join(known)}",
        "set kafka.mechanism to one of them",
    )


def refused(kafka: Mapping[str, Any], text: str) -> WireError:
    """The broker's answer to who we say we are, in librdkafka's words."""
    place, mechanism = kafka["bootstrap.servers"], kafka.get("sasl.mechanism")
    if "oauth_cb" in kafka:
        return WireError(
            f"the broker at {place} refuses our token ({_said(text)})",
            "it has expired, or its issuer, audience or signature is not what the broker expects: "
            "check the clocks, kafka.oauth_scope and the broker's sasl.oauthbearer settings",
        )
    return WireError(
        f"the broker at {place} refuses user {kafka.get('sasl.username')!r}: wrong password or "
        f"unknown user ({mechanism})",
        "check kafka.user and STREAMS_KAFKA__PASSWORD(_FILE), and that the user was made for "
        f"{mechanism}",
    )


def _said(text: str) -> str:
    return _AFTER.sub("", text).rpartition("error: ")[2]


def bad_setting(error: KafkaError) -> WireError:
    """librdkafka does not begin with what it is told."""
    return WireError(
        f"the TLS and SASL settings cannot be used: {error.str()}", "correct the section [kafka]"
    )
