"""The settings of a registry: secrets stay secret, and what is wrong is said in two lines."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from schemas.registry import locked_ids
from streams.cli.config import HIDDEN
from streams.config import Config, ConfigError, load
from streams.ops.demo import Demo, Progress
from streams.registry import RegistryAway, RegistryError, codec_for
from tests.cli.cli_support import Cli

SECRET = "reader:hunter2"
NOBODY = "http://127.0.0.1:9"


@contextmanager
def answering(
    status: int, body: bytes, writing: int | None = None
) -> Iterator[tuple[str, list[str | None]]]:
    """A server that says the same to everything, but for the status of a registration.

    Gives its address, and the credentials it was shown.
    """
    shown: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            shown.append(self.headers["Authorization"])
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(writing or status if "/versions" in self.path else status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", shown
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_without_a_registry_the_lock_gives_the_ids() -> None:
    """Nothing is asked of anybody when no registry is configured."""
    assert locked_ids() == codec_for(Config()).ids


@pytest.mark.parametrize("way", ["environment", "file", "toml"])
def test_credentials_are_never_shown(
    cli: Cli, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However user and password are given, ``config show`` hides them and says who gave them."""
    if way == "environment":
        monkeypatch.setenv("STREAMS_SCHEMA_REGISTRY_USER_INFO", SECRET)
    elif way == "file":
        (tmp_path / "secret").write_text(SECRET + "\n")
        monkeypatch.setenv("STREAMS_SCHEMA_REGISTRY_USER_INFO_FILE", str(tmp_path / "secret"))
    else:
        (tmp_path / "streams.toml").write_text(f'schema_registry_user_info = "{SECRET}"\n')
    ended = cli("config", "show", "--origin", "-o", "ndjson")
    rows = {row["setting"]: row for row in ended.lines()}
    assert HIDDEN == rows["schema_registry_user_info"]["value"]
    assert "default" != rows["schema_registry_user_info"]["origin"]
    assert "hunter2" not in ended.out + ended.err


def test_a_secret_from_a_file_is_used(tmp_path: Path) -> None:
    """STREAMS_SCHEMA_REGISTRY_USER_INFO_FILE names the file that holds the secret."""
    (tmp_path / "secret").write_text(SECRET + "\n")
    variable = {"STREAMS_SCHEMA_REGISTRY_USER_INFO_FILE": str(tmp_path / "secret")}
    assert SECRET == load(environment=variable).config.schema_registry_user_info


def test_credentials_in_the_address_are_refused_unseen() -> None:
    """An address is shown in errors and listings, so it may hold no password."""
    with pytest.raises(ConfigError, match="STREAMS_SCHEMA_REGISTRY_USER_INFO") as wrong:
        load({"schema_registry": f"http://{SECRET}@127.0.0.1:8081"}, {})
    assert "hunter2" not in str(wrong.value)


@pytest.mark.parametrize(
    "address", ["", "registry:8081", "ftp://a", "http://", "http://[", "http://a:0", "http://a,"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    """A wrong address is a wrong setting, said before anything is asked."""
    with pytest.raises(ConfigError, match="schema_registry is no address"):
        load({"schema_registry": address}, {})


def test_user_info_needs_a_colon() -> None:
    """What is no user and password is refused, and not repeated."""
    with pytest.raises(ConfigError, match="write user:password") as wrong:
        load({}, {"STREAMS_SCHEMA_REGISTRY_USER_INFO": "hunter2"})
    assert "hunter2" not in str(wrong.value)


def test_credentials_reach_the_registry_alone(home: Path) -> None:
    """They are sent as HTTP basic authentication; a refusal names the setting and not its value."""
    with answering(401, b'{"error_code": 40101, "message": "Unauthorized"}') as (url, shown):
        config = Config(schema_registry=url, schema_registry_user_info=SECRET)
        with pytest.raises(RegistryError, match="no access to bitcoin") as refused:
            codec_for(config)
    assert ["Basic cmVhZGVyOmh1bnRlcjI="] == shown
    assert "schema_registry_user_info" in refused.value.remedy
    assert not isinstance(refused.value, RegistryAway)
    assert "hunter2" not in str(refused.value)


def test_reading_is_enough_for_what_is_registered(home: Path) -> None:
    """Credentials that may not register do, once the registry knows our schemas."""
    body = b'{"subject": "s", "id": 41, "version": 1, "schema": "{}"}'
    with answering(200, body, writing=403) as (url, shown):
        assert {41} == set(codec_for(Config(schema_registry=url)).ids.values())
    assert len(locked_ids()) == len(shown)


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"[]", b"{}", b"7"])
def test_a_server_that_is_no_registry(home: Path, body: bytes) -> None:
    """Some other server that answers kindly is found out."""
    with answering(200, body) as (url, _), pytest.raises(RegistryError, match="is no schema"):
        codec_for(Config(schema_registry=url))


def test_a_registry_in_trouble_counts_as_away(home: Path) -> None:
    """A registry that answers with a server error is as good as none."""
    with answering(503, b"{}") as (url, _), pytest.raises(RegistryAway, match="HTTP status 503"):
        codec_for(Config(schema_registry=url))


def test_a_start_without_registry_and_without_ids_ends(cli: Cli) -> None:
    """Two lines say what is missing and what to do; the exit code is the registry's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:  # a broker is not asked first
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        words = ("consume", "alerts", "--broker", address, "--set", f"schema_registry={NOBODY}")
        ended = cli(*words)
    error, remedy = ended.err.splitlines()
    assert 11 == ended.code
    assert error.startswith(f"error: no schema registry answers at {NOBODY} (ConnectError")
    assert error.endswith("and this machine has not kept all its ids")
    assert remedy.startswith("remedy: check the address in schema_registry")


def test_registering_needs_a_registry(cli: Cli) -> None:
    """``schemas register`` and ``schemas check --registry`` say which setting is missing."""
    for words in (("schemas", "register"), ("schemas", "check", "--registry")):
        ended = cli(*words)
        assert (6, "error: no schema registry is configured") == (
            ended.code,
            ended.err.splitlines()[0],
        )


def test_the_demo_leaves_no_secret_behind(home: Path, tmp_path: Path) -> None:
    """The settings that lie among a demo's results hold the registry's address, not the secret."""
    config = Config(schema_registry=NOBODY, schema_registry_user_info=SECRET)
    run = Demo(config, tmp_path / "out", Progress(), lambda words: None)
    with pytest.raises(RegistryAway):
        run.run()
    text = run.settings_file.read_text()
    assert (True, False) == (NOBODY in text, "hunter2" in text)
    assert SECRET == run.config.schema_registry_user_info


def test_the_secret_is_described_to_editors(cli: Cli) -> None:
    """Both settings are in the JSON Schema of the settings file."""
    properties = json.loads(cli("config", "schema").out)["$defs"]["Config"]["properties"]
    assert {"schema_registry", "schema_registry_user_info"} <= properties.keys()
    assert msgspec.json.schema(Config)["$defs"]["Config"]["properties"] == properties
