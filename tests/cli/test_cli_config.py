"""``streams config``: every setting, its value, and who set it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from streams.cli.config import HIDDEN, setting
from streams.config import Config, ConfigError, load
from streams.wire.errors import BadWire
from streams.wire.mapping import librdkafka
from streams.wire.settings import WireSettings
from tests.cli.cli_support import Cli


def rows(cli: Cli, *words: str) -> dict[str, dict[str, object]]:
    found = cli("config", "show", "--origin", "-o", "ndjson", *words).lines()
    return {row["setting"]: row for row in found}


def test_each_value_tells_its_origin(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--set beats the environment, which beats the file, which beats the default."""
    (tmp_path / "streams.toml").write_text(
        'application = "file"\npartitions = 1\n[engine]\nretries = 5\n'
    )
    monkeypatch.setenv("STREAMS_APPLICATION", "env")
    monkeypatch.setenv("STREAMS_ENGINE__GRACE_MS", "7")
    found = rows(cli, "--set", "partitions=9")
    expected = {
        "partitions": (9, "--set partitions"),
        "application": ("env", "environment STREAMS_APPLICATION"),
        "engine.retries": (5, "file streams.toml"),
        "engine.grace_ms": (7, "environment STREAMS_ENGINE__GRACE_MS"),
        "entity_window_ms": (3_600_000, "default"),
    }
    shown = {name: (found[name]["value"], found[name]["origin"]) for name in expected}
    assert expected == shown


def test_a_secret_names_the_variable_that_it_came_from(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is written in the environment, so that whoever looks for it finds it."""
    kept = tmp_path / "password"
    kept.write_text("hunter2")
    kept.chmod(0o600)
    monkeypatch.setenv("STREAMS_KAFKA__PASSWORD", "hunter2")
    monkeypatch.setenv("STREAMS_KAFKA__KEY_PASSWORD_FILE", str(kept))
    found = rows(cli)
    assert {
        "kafka.password": (HIDDEN, "environment STREAMS_KAFKA__PASSWORD"),
        "kafka.key_password": (HIDDEN, "environment STREAMS_KAFKA__KEY_PASSWORD_FILE"),
    } == {
        name: (found[name]["value"], found[name]["origin"]) for name in found if "password" in name
    }


def test_lists_are_set_as_json(cli: Cli) -> None:
    """A setting that is a list can be given on the command line."""
    assert ["*"] == rows(cli, "--set", 'payments.watch=["*"]')["payments.watch"]["value"]
    assert 2 == cli("config", "show", "--set", "payments.watch=[").code


def test_origins_are_shown_when_asked_for(cli: Cli) -> None:
    """Without --origin there are two columns."""
    plain = cli("config", "show", "-o", "ndjson").lines()
    assert {("setting", "value")} == {tuple(row) for row in plain}


def test_a_secret_is_never_printed() -> None:
    """A setting whose name says that it is secret has no value here."""

    class WithSecret(Config, frozen=True):
        node_password: str = "hunter2"

    assert HIDDEN == setting(WithSecret(), "node_password")


def test_the_schema_is_of_the_settings(cli: Cli) -> None:
    """Editors get the JSON Schema that the loader itself uses."""
    assert msgspec.json.schema(Config) == json.loads(cli("config", "schema").out)


@pytest.mark.parametrize(
    ("text", "env", "cause"),
    [
        ("a = " + "[" * 50_000, {}, "is not TOML"),
        ('kafka = 7\n"kafka.user" = "x"', {}, "kafka.user .* cannot be set where kafka has"),
        ("", {"STREAMS_PARTITIONS": "3", "STREAMS_PARTITIONS__X": "y"}, "partitions has a value"),
        ("", {"STREAMS_APPLICATION_FILE": "secret"}, r"secret \(STREAMS_APPLICATION_FILE\)"),
    ],
)
def test_what_cannot_be_settings_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, env: dict[str, str], cause: str
) -> None:
    """Nesting without end, a value where a section belongs, and bytes where text does."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_bytes(b"\xff")
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=cause):
        load(None, env, path)


def test_a_file_that_no_file_can_be_called_is_not_there() -> None:
    """Its name is too long for every file system."""
    wire = WireSettings("SSL", ca_location="x" * 5000)
    with pytest.raises(BadWire, match="there is no file x"):
        librdkafka(wire)
