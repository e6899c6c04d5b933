"""A registry that goes away: running programs go on, and new ones start with the ids it gave."""

from __future__ import annotations

import re
from pathlib import Path
from signal import SIGKILL

import msgspec
import pytest
import tomli_w

from schemas.wire import Codec
from streams.config import Config
from streams.ops.demo import with_story
from streams.ops.play import _Player
from streams.registry import RegistryAway, codec_for, kept
from streams.sources.recording import read_lines
from streams.sources.writer import SourceWriter
from streams.topics import DERIVED, SOURCES
from tests.cli.cli_support import Cli
from tests.kafka.world import DEMO, World, undisturbed
from tests.registry.server import RegistryServer

pytestmark = pytest.mark.registry


def test_a_start_during_an_outage_uses_what_was_kept(cli: Cli, doomed: RegistryServer) -> None:
    """The ids of the last start are used again, and a line says so and names the file."""
    config, said = Config(schema_registry=doomed.url), list[str]()
    ids = codec_for(config, said.append).ids
    assert [] == said
    doomed.kill()
    assert ids == codec_for(config, said.append).ids
    assert f"no schema registry answers at {doomed.url}" in said[0]
    assert f"using the schema ids that it gave before ({kept.place(doomed.url)})" in said[0]
    assert 11 == cli("schemas", "register", "--set", f"schema_registry={doomed.url}").code


def test_ids_are_kept_for_their_registry_and_their_text(home: Path, server: RegistryServer) -> None:
    """What was kept is useless for another address, for an edited schema, and when damaged."""
    codec_for(Config(schema_registry=server.url))
    path = kept.place(server.url)
    texts = {"a.v1": "{}"}
    assert kept.read(server.url, texts) is None
    elsewhere = "http://127.0.0.1:9"
    kept.place(elsewhere).write_bytes(path.read_bytes())
    with pytest.raises(RegistryAway, match="has not kept all its ids"):
        codec_for(Config(schema_registry=elsewhere))
    path.write_bytes(path.read_bytes()[:-20])
    assert kept.read(server.url, texts) is None


def test_other_ids_than_before_are_said(home: Path, server: RegistryServer) -> None:
    """A registry that lost its memory numbers anew: who starts is told, and the new ids hold."""
    config, said = Config(schema_registry=server.url), list[str]()
    ids = codec_for(config).ids
    path = kept.place(server.url)
    content = msgspec.json.decode(path.read_bytes(), type=kept.Kept)
    other = {text: number + 1000 for text, number in content.ids.items()}
    path.write_bytes(msgspec.json.encode(kept.Kept(content.url, other)))
    assert ids == codec_for(config, said.append).ids
    assert "gives other ids than before" in said[0]
    assert 1 == len(said)


def test_a_cache_that_cannot_be_written_stops_nothing(home: Path, server: RegistryServer) -> None:
    """Where there is no room for the ids, the start goes on and says what that means."""
    said: list[str] = []
    home.write_text("a file where the folder should be")
    codec_for(Config(schema_registry=server.url), said.append)
    assert re.search("cannot keep the schema ids of .*; a start needs the registry then", said[0])


@pytest.fixture
def world(lab: World, home: Path, doomed: RegistryServer) -> World:
    """The demo's application, configured with a registry."""
    lab.config = msgspec.structs.replace(lab.config, schema_registry=doomed.url)
    lab.file.write_text(tomli_w.dumps(with_story(lab.config, {})))
    return lab


@pytest.mark.kafka
def test_an_outage_stops_no_worker(world: World, doomed: RegistryServer) -> None:
    """Results are exact through an outage: of the worker that runs, and of one started meanwhile.

    input      lock's ids | registry's ids       | registry's ids
    registry   up ........................ killed |
    workers    first                              | first killed, second starts

    """
    codec = codec_for(world.config)
    first = world.worker()
    writer = SourceWriter("player", SOURCES, world.settings, Codec())
    player, lines = _Player(writer, None, lambda count: None), list(read_lines(DEMO))
    writer.open()
    third = len(lines) // 3
    try:
        _play(player, lines[:third])
        writer.codec = codec
        _play(player, lines[third : third + 20])
        world.settle()
        doomed.kill()
        _play(player, lines[third + 20 : 2 * third])
        world.settle()
        first.end(SIGKILL)
        second = world.worker()
        _play(player, lines[2 * third :])
        writer.idle()
        world.settle()
    finally:
        writer.close()
    world.codec = codec
    world.check_exact(undisturbed(DEMO))
    assert second.said("using the schema ids that it gave before")
    types = {topic.name: topic.type.name for topic in DERIVED}
    for name, reads in world.read_each(DERIVED).items():
        for read in reads:
            assert codec.ids[types[name]] == int.from_bytes((read.value or b"")[1:5], "big")


def _play(player: _Player, lines: list[object]) -> None:
    for line in lines:
        player.play(line)  # type: ignore[arg-type]
    player.flush()
