"""``streams source dwn`` between a real DWN server and a real Kafka, both of which fail."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from schemas.dwn.encoding import b64encode
from schemas.dwn.message import message_cid
from schemas.dwn.signer import Signer
from schemas.wire import Codec
from sinks.dwn import DwnClient, DwnTransport
from streams.broker import BrokerError, EmbeddedBroker
from streams.client import read_all
from streams.config import Config
from streams.engine.settings import settings_of
from streams.ops.dwn import DeclaredTime
from streams.sources.dwn import DwnItem
from tests.cli.cli_support import apply_topics

from .actors import LINK, LINKS, link
from .server import dwn_server
from .test_source_lies import liar

pytestmark = [pytest.mark.dwn, pytest.mark.kafka]
ROOT = Path(__file__).parents[2]
WAIT_S = 60.0
OTHER = "https://streams.example/protocols/other"
OTHERS = {**LINKS, "protocol": OTHER}


@pytest.fixture(scope="module")
def applied():
    """The address of an embedded broker with all topics."""
    broker = EmbeddedBroker()
    try:
        bootstrap = broker.start()
    except BrokerError as error:
        pytest.skip(f"no embedded Kafka here: {error}")
    apply_topics(bootstrap)
    yield bootstrap
    broker.stop()


class Person(NamedTuple):
    """Somebody with a DWN: her key as a signer, and as the JWK that a command reads."""

    signer: Signer
    jwk: str

    @property
    def did(self) -> str:
        return self.signer.did


def person(seed: bytes | None = None) -> Person:
    """A new DID."""
    seed = seed or os.urandom(32)
    jwk = {"kty": "OKP", "crv": "Ed25519", "d": b64encode(seed)}
    return Person(Signer.generate_ed25519(seed), json.dumps(jwk))


class Source:
    """The command in a process of its own, over the tenants of one server."""

    def __init__(
        self, bootstrap: str, folder: Path, tenants: list[tuple[str, Person, str]]
    ) -> None:
        self.bootstrap, self.folder = bootstrap, folder
        self.name = uuid.uuid4().hex[:8]
        entries = []
        for number, (url, who, did) in enumerate(tenants):
            (folder / f"{number}.jwk").write_text(who.jwk)
            entries.append(
                f'[[tenant]]\nurl = "{url}"\nkey = "{number}.jwk"\ndid = "{did}"\n'
                f'protocols = ["{LINK}", "{OTHER}"]\n'
            )
        (folder / "tenants.toml").write_text("\n".join(entries))

    @contextmanager
    def running(self, point: str = "after", count: int = 0, *options: str):
        """The process, ended by its id on the way out."""
        argv = [sys.executable, "-m", "tests.dwn.doomed", point, str(count), "--broker",
                self.bootstrap, "source", "dwn", "--tenants", "tenants.toml", "--name", self.name,
                "--poll", "0.5", *options]  # fmt: skip
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with (self.folder / "source.log").open("ab") as log:
            process = subprocess.Popen(
                argv, cwd=self.folder, env=environment, stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(30)

    def said(self) -> str:
        """What it has said so far."""
        return (self.folder / "source.log").read_text()

    def written(self):
        """Its events, by partition and offset."""
        step = f"source:dwn-{self.name}"
        reads = read_all(self.bootstrap, "web5.records", Codec())
        return [r.event for r in reads if r.event is not None and r.event.producer == step]

    def cids(self) -> list[str]:
        """The message CIDs written so far, in no order that means anything."""
        return sorted(event.value.message_cid for event in self.written())

    def wait_for(self, wanted: list[str]) -> None:
        """Wait until that many events are there, and hold them against what is wanted."""
        deadline = time.monotonic() + WAIT_S
        while len(self.cids()) < len(wanted) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert sorted(wanted) == self.cids(), self.said()[-2000:]


def write(url: str, who: Person, count: int, tag: str, configure: bool = False) -> list[str]:
    """Records of both protocols in a tenant's DWN; their CIDs."""

    async def story():
        made = []
        async with DwnTransport(url) as transport:
            client = DwnClient(transport, who.signer)
            if configure:
                made += [await client.configure(definition) for definition in (LINKS, OTHERS)]
            for n in range(count):
                data, record = link(f"bc1q{tag}{n:03}", "regtest")
                protocol = (LINK, OTHER)[n % 2]
                made.append(await client.write(data, type(record)(
                    protocol=protocol, protocol_path="link", tags=record.tags)))  # fmt: skip
        return [message_cid(one) for one in made]

    return asyncio.run(story())


def test_the_server_stops_and_starts_while_the_source_runs(applied, tmp_path):
    """
    Messages from before, between and after two failures of the server, from two tenants and two
    protocols, are each in the topic once.

        write | source starts | write | server killed, back | write | stopped, back | write
    """
    alice, bob = person(), person()
    with dwn_server() as server:
        wanted = write(server.url, alice, 5, "before", configure=True)
        wanted += write(server.url, bob, 5, "before", configure=True)
        source = Source(
            applied, tmp_path, [(server.url, alice, alice.did), (server.url, bob, bob.did)]
        )
        with source.running() as process:
            source.wait_for(wanted)
            for tag, end in (("killed", server.kill), ("stopped", server.stop)):
                wanted += write(server.url, alice, 4, f"{tag}a")
                end()
                time.sleep(1)
                server.start()
                wanted += write(server.url, bob, 4, f"{tag}b")
                source.wait_for(wanted)
            assert None is process.poll()
        assert 0 == process.returncode
        assert "did not answer" in source.said()
        assert sorted(wanted) == source.cids()


@pytest.mark.parametrize("point", ["before", "within", "after"])
def test_the_source_is_killed_at_commits_of_chance(applied, server, tmp_path, point):
    """
    A source that dies by kill -9 before, within and after commits, and is started again while
    messages keep coming, leaves each message in the topic once.
    """
    dice = random.Random(point)
    alice, bob = (
        person(dice.randbytes(32)),
        person(dice.randbytes(32)),
    )
    wanted = write(server.url, alice, 9, "first", configure=True)
    wanted += write(server.url, bob, 9, "first", configure=True)
    source = Source(applied, tmp_path, [(server.url, alice, alice.did), (server.url, bob, bob.did)])
    for number in range(5):
        with source.running(point, dice.randint(2, 4)) as process:
            wanted += write(server.url, alice, 3, f"round{number}")
            assert -9 == process.wait(WAIT_S), source.said()[-2000:]
    with source.running():
        source.wait_for(wanted)
    assert len(wanted) == len({event.id for event in source.written()})


def test_a_refusing_tenant_is_named_and_the_others_are_read(applied, server, tmp_path):
    """Without following: the good tenant is in the topic, the exit code is 8 and names the bad."""
    alice, bob, stranger = person(), person(), person()
    wanted = write(server.url, alice, 3, "named", configure=True)
    source = Source(
        applied, tmp_path, [(server.url, stranger, bob.did), (server.url, alice, alice.did)]
    )
    with source.running("after", 0, "--no-follow") as process:
        assert 8 == process.wait(WAIT_S), source.said()[-2000:]
    source.wait_for(wanted)
    assert f"the DWN of {bob.did} refused" in source.said()


def test_refusals_go_to_dead_letters_as_they_came(applied, server, tmp_path):
    """A message that a server has changed is a dead letter with its bytes, cause and origin."""
    odd = '{ "descriptor":{"n": 1.50e1} ,"x":[ ] }'

    def other(kind, head, body):
        if kind != "Read":
            return head, body
        status = '{"status": {"code": 200, "detail": "OK"}, "entry": {"message":'
        return f'{{"result": {{"reply": {status}{odd}}} }} }} }}', b"{}"

    alice = person()
    write(server.url, alice, 0, "", configure=True)

    async def story():
        async with liar(server.url, other) as lying:
            source = Source(applied, tmp_path, [(lying, alice, alice.did)])
            with source.running("after", 0, "--no-follow") as process:
                while process.poll() is None:
                    await asyncio.sleep(0.05)
            return lying, source

    lying, source = asyncio.run(asyncio.wait_for(story(), WAIT_S))
    letters = [r for r in read_all(applied, "dead_letters", Codec()) if lying in str(r.headers)]
    assert [odd.encode()] * 2 == [letter.value for letter in letters], source.said()[-2000:]
    assert {b"timestamp"} == {dict(letter.headers)["dl.cause"] for letter in letters}


def item(ts: int | None = None, place: str = "", tenant: str = "a", state: str = "") -> DwnItem:
    """An item of a tenant; with a time it is a message."""
    from schemas.envelope import Event  # noqa: PLC0415

    event = None if ts is None else Event("id", tenant, ts, "assert", None)
    return DwnItem(tenant, event, place=place, state=state)


def test_time_is_declared_when_every_log_was_read_to_its_end():
    """
    Nothing is declared before every log's end; an away server holds time back until it is back or
    given up; what comes below the declared time is a correction.

        a1 100   b1 90   ends   a 300   b away   a 400   b lost   b 200 (correction)
                         100    300              (300)   400
    """
    settings = settings_of(Config(), "127.0.0.1:9092")
    lateness = settings.lateness_ms
    time_ = DeclaredTime(settings, {"a": ("pa",), "b": ("pb",)}, {})
    time_.take(item(lateness + 100, "pa"))
    assert None is time_.declare()
    time_.take(item(lateness + 90, "pb", "b"))
    for place, tenant in (("pa", "a"), ("pb", "b")):
        time_.take(item(None, place, tenant, "caught_up"))
    assert 100 == time_.declare()
    time_.take(item(lateness + 300, "pa"))
    assert 300 == time_.declare()
    time_.take(item(None, "", "b", "away"))
    time_.take(item(lateness + 400, "pa"))
    assert (None, False) == (time_.declare(), time_.falls_idle())
    time_.take(item(None, "", "b", "lost"))
    assert 400 == time_.declare()
    late = item(200, "pb", "b")
    time_.take(late)
    assert (True, 400) == (late.event.correction, time_.declare())
    assert [True, False] == [time_.falls_idle(), time_.falls_idle()]
    again = DeclaredTime(settings, {"a": ("pa",)}, time_.cursor())
    time_.take(item(None, "pa", "a", "caught_up"))
    late = item(399, "pa")
    again.take(late)
    assert True is late.event.correction
