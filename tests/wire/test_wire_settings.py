"""The section [kafka]: what fits together, what is shown of it, whom its files are for."""

from __future__ import annotations

import json
import traceback
from pathlib import Path

import pytest
from msgspec import structs

from streams.config import Config, is_secret, load
from streams.engine.settings import settings_of
from streams.ops.logs import secrets_of
from streams.wire.errors import BadWire
from streams.wire.mapping import credentials, librdkafka, tls_context
from streams.wire.secrets import Secret, too_wide
from streams.wire.settings import WireSettings
from tests.cli.cli_support import Cli
from tests.cli.conftest import cli
from tests.wire.certificates import Authority

__all__ = ["cli"]
HIDDEN = "pa55word"
SCRAM = WireSettings("SASL_SSL", user="worker", password=HIDDEN)
SENT = {"oauth_url": "https://h/t", "oauth_client_id": "c", "oauth_client_secret": "s"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"user": "u"}, "kafka.user is set, but kafka.protocol is PLAINTEXT"),
        ({"protocol": "SSL", "password": "p"}, "kafka.password is set, but kafka.protocol is SSL"),
        ({"ca_location": "x"}, "set kafka.protocol to SSL"),
        ({"protocol": "SASL_SSL"}, "kafka.user is missing for SCRAM-SHA-512"),
        ({"protocol": "SASL_SSL", "user": "u"}, "file that STREAMS_KAFKA__PASSWORD_FILE names"),
        ({"protocol": "SSL", "key_location": "k"}, "a certificate needs its key"),
        ({"protocol": "SSL", "ca_location": "/no/ca.pem"}, "there is no file /no/ca.pem"),
        ({"protocol": "SASL_SSL", "mechanism": "OAUTHBEARER"}, "kafka.oauth_url is missing"),
        *(
            ({"protocol": "SASL_SSL", "mechanism": "OAUTHBEARER", **SENT, "oauth_url": url}, words)
            for url, words in (
                ("http://issuer.example/t", "would send the secret in the clear"),
                ("http://localhost.evil.example/t", "would send the secret in the clear"),
                ("http://127.0.0.1.evil.example/t", "would send the secret in the clear"),
                ("http://127.0.0.1@evil.example/t", "would send the secret in the clear"),
                ("https:///t", "is no address"),
                ("file:///etc/passwd", "is no address"),
                ("http://[::1", "is no address"),
            )
        ),
        (
            {"protocol": "SASL_SSL", "mechanism": "OAUTHBEARER", **SENT,
             "oauth_token_location": "t"},
            "set one of them",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_together(settings: dict[str, str], words: str) -> None:
    """Each is refused with the setting and what to do, before anything is connected."""
    wire = WireSettings(**settings)  # type: ignore[arg-type]
    with pytest.raises(BadWire, match=words):
        librdkafka(wire)


def test_nothing_said_is_nothing_set() -> None:
    """Without the section no client is told anything."""
    assert {} == librdkafka(WireSettings())
    assert credentials({}) is None and tls_context({}) is None


def test_both_libraries_are_told_the_same(tmp_path: Path) -> None:
    """User, password, authority and certificate of the section reach librdkafka and Faust."""
    authority = Authority(tmp_path, "ca")
    certificate, key = authority.sign("me", password="of the key")
    wire = structs.replace(
        SCRAM, mechanism="SCRAM-SHA-256", ca_location=str(authority.ca), check_hostname=False,
        certificate_location=str(certificate), key_location=str(key), key_password="of the key",
    )  # fmt: skip
    kafka = librdkafka(wire)
    assert {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": "worker",
        "sasl.password": HIDDEN,
        "ssl.ca.location": str(authority.ca),
        "ssl.certificate.location": str(certificate),
        "ssl.key.location": str(key),
        "ssl.key.password": "of the key",
        "ssl.endpoint.identification.algorithm": "none",
    } == kafka
    member = credentials(kafka)
    assert member is not None
    told = (member.username, member.password, member.mechanism.value, member.protocol.value)  # type: ignore[attr-defined]
    assert ("worker", HIDDEN, "SCRAM-SHA-256", "SASL_SSL") == told
    context = member.ssl_context  # type: ignore[attr-defined]
    assert (False, 1) == (context.check_hostname, len(context.get_ca_certs()))


def test_no_representation_has_a_secret() -> None:
    """Neither of the settings, nor of what is made of them, nor a traceback with them in it."""
    config = Config(kafka=SCRAM, schema_registry_user_info=f"u:{HIDDEN}")
    settings = settings_of(config, "localhost:1")
    shown = [repr(config), repr(SCRAM), repr(settings), repr(settings.kafka), repr(load({}, {}))]
    try:
        raise ValueError(settings)
    except ValueError as error:
        shown.append("".join(traceback.format_exception(error)))
    assert HIDDEN == settings.kafka["sasl.password"]
    assert [] == [text for text in shown if HIDDEN in text]
    assert "'[hidden]'" == repr(Secret("x"))
    assert HIDDEN in secrets_of(config)


def test_which_settings_are_secret() -> None:
    """What is secret is hidden, and where a secret lies is shown."""
    names = [f"kafka.{name}" for name in WireSettings.__struct_fields__]
    assert ["kafka.password", "kafka.key_password", "kafka.oauth_client_secret"] == [
        name for name in names if is_secret(name)
    ]


def test_files_that_others_may_read(tmp_path: Path) -> None:
    """Files with secrets are named when others may read them; an orchestrator's are not."""
    path = tmp_path / "password"
    path.write_text(HIDDEN)
    found = {}
    for mode in (0o600, 0o640, 0o644, 0o660, 0o604):
        path.chmod(mode)
        found[mode] = too_wide(path) is not None
    assert {0o600: False, 0o640: False, 0o644: True, 0o660: True, 0o604: True} == found
    assert too_wide(Path("/run/secrets/none")) is None
    variable = {"STREAMS_KAFKA__PASSWORD_FILE": str(path), "STREAMS_KAFKA__PROTOCOL": "SASL_SSL"}
    loaded = load({}, variable)
    assert (HIDDEN, 1) == (loaded.config.kafka.password, len(loaded.warnings))
    settings = tmp_path / "streams.toml"
    settings.write_text('[kafka]\npassword = "x"\n')
    settings.chmod(0o644)
    assert [str(settings) in words for words in load({}, {}, settings).warnings] == [True]
    settings.write_text("partitions = 2\n")
    assert () == load({}, {}, settings).warnings


def test_what_is_shown_of_the_section(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """`streams config show` has every setting, secrets hidden, and where each comes from."""
    monkeypatch.setenv("STREAMS_KAFKA__PASSWORD", HIDDEN)
    monkeypatch.setenv("STREAMS_KAFKA__USER", "")
    ended = cli("config", "show", "--origin", "-o", "json")
    rows = {row["setting"]: row for row in json.loads(ended.out)}
    assert HIDDEN not in ended.out
    assert "(hidden)" == rows["kafka.password"]["value"]
    assert "environment STREAMS_KAFKA" in rows["kafka.password"]["origin"]
    assert (None, "default") == (rows["kafka.user"]["value"], rows["kafka.user"]["origin"])
