"""``streams topics acls``: on the very id that a source takes, and on the topics of a run."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from streams.engine.settings import EngineSettings
from streams.sources.writer import SourceWriter
from tests.cli.cli_support import Cli

DATA = files("streams") / "data"
BLOCK, DEMO = str(DATA / "413567.raw.xz"), str(DATA / "demo.ndjson")
NODE = ("bitcoin", "--rpc", "http://me:x@127.0.0.1:1", "--zmq", "tcp://127.0.0.1:1")
TENANT = ("dwn", "--url", "http://127.0.0.1:1", "--key", "me.jwk")
JWK = '{"kty":"OKP","crv":"Ed25519","d":"YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE"}'


class Enough(Exception):
    """What ends a source here."""


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The transactional ids of sources that begin; they go no further, and ask no broker."""
    found: list[str] = []

    def stop(writer: SourceWriter) -> Any:
        found.append(writer.tx.id)
        raise Enough

    monkeypatch.setattr(SourceWriter, "open", stop)
    monkeypatch.setattr("streams.cli.live.ready", EngineSettings)
    return found


def granted(cli: Cli, *words: str) -> str:
    """The transactional id that a source is given a right on."""
    ended = cli("topics", "acls", "source", *words, "--principal", "User:me", "-o", "ndjson")
    (found,) = [row for row in ended.lines() if row["kind"] == "transactional id"]
    assert ("WRITE", "literal") == (found["operation"], found["pattern"])
    return str(found["name"])


@pytest.mark.parametrize(
    ("kind", "source", "more", "expected"),
    [
        ("archive", ("archive", BLOCK), (), "archive-main"),
        ("archive", ("archive", BLOCK), ("--network", "signet"), "archive-signet"),
        ("archive", ("archive", BLOCK), ("--name", "old"), "old"),
        ("bitcoin", NODE, (), "bitcoin-main-node"),
        ("bitcoin", NODE, ("--network", "regtest"), "bitcoin-regtest-node"),
        ("bitcoin", NODE, ("--name", "b"), "bitcoin-main-b"),
        ("dwn", TENANT, (), "dwn-dwn"),
        ("dwn", TENANT, ("--name", "west"), "dwn-west"),
    ],
)
def test_the_right_is_on_the_id_of_the_source(
    cli: Cli, taken: list[str], kind: str, source: tuple[str, ...], more: tuple[str, ...],
    expected: str,
) -> None:  # fmt: skip
    """With the same --network and --name, given or not, both commands mean the same id."""
    Path("me.jwk").write_text(JWK)
    with pytest.raises(Enough):
        cli("source", *source, *more)
    assert taken == [f"streams-source-{expected}"] == [granted(cli, "--kind", kind, *more)]


def test_the_kind_is_bitcoin_where_none_is_said(cli: Cli) -> None:
    """As the command's help says."""
    assert "streams-source-bitcoin-main-node" == granted(cli)


def test_a_recording_is_named_by_its_file(cli: Cli, taken: list[str]) -> None:
    """It has no name of its own, so its file has to be said."""
    with pytest.raises(Enough):
        cli("source", "recording", DEMO)
    named = granted(cli, "--kind", "recording", "--name", DEMO)
    assert taken == ["streams-source-recording-demo"] == [named]
    ended = cli("topics", "acls", "source", "--kind", "recording", "--principal", "User:me")
    assert (2, True) == (ended.code, "which recording is not said" in ended.err)


def test_a_sink_has_to_be_named(cli: Cli) -> None:
    """No sink has a name by default."""
    ended = cli("topics", "acls", "sink", "--principal", "User:me")
    assert (2, True) == (ended.code, "which sink is not said" in ended.err)


@pytest.mark.parametrize(
    ("options", "words", "expected"),
    [
        ((), ("alerts",), {"alerts"}),
        ((), ("v2.alerts",), {"v2.alerts"}),
        (("--set", "run.name=v2"), ("alerts", "bitcoin.blocks"), {"v2.alerts", "bitcoin.blocks"}),
        (("--set", "run.name=v3"), ("v2.alerts",), {"v2.alerts"}),
        (("--set", "run.name=original"), ("alerts",), {"alerts"}),
    ],
)
@pytest.mark.parametrize("role", [("reader",), ("sink", "--name", "ndjson")])
def test_topics_are_those_of_the_run(
    cli: Cli, role: tuple[str, ...], options: tuple[str, ...], words: tuple[str, ...],
    expected: set[str],
) -> None:  # fmt: skip
    """Of the run that is meant, or of the one in the name; sources are there once."""
    named = [part for word in words for part in ("--topic", word)]
    ended = cli(*options, "topics", "acls", *role, *named, "--principal", "User:me", "-o", "ndjson")
    read = {r["name"] for r in ended.lines() if (r["kind"], r["operation"]) == ("topic", "READ")}
    assert expected | {"streams-runs"} == read


def test_a_topic_that_no_run_has_is_refused(cli: Cli) -> None:
    """Neither behind the name of a run, nor behind what none can be named."""
    words = ("topics", "acls", "reader", "--principal", "User:me", "--topic")
    ended = cli(*words, "v2.alrts")
    assert (2, True) == (ended.code, "there is no topic v2.alrts" in ended.err)
    assert "a run cannot be named 'V2'" in cli(*words, "V2.alerts").err


def test_the_run_of_a_replayer_has_to_be_named(cli: Cli) -> None:
    """The original may only be dropped: nothing of it is created."""
    words = ("topics", "acls", "replayer", "--principal", "User:me")
    ended = cli(*words)
    assert (2, True) == (ended.code, "a replayer of which run is not said" in ended.err)
    for run, operations in (("v2", {"CREATE", "DELETE"}), ("original", {"DELETE"})):
        rows = cli("--set", f"run.name={run}", *words, "-o", "ndjson").lines()
        found = {row["operation"] for row in rows} & {"CREATE", "DELETE"}
        assert operations == found
