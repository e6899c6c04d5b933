"""The broker that belongs to a process: real Kafka, real clients."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from broker_support import (
    Writer,
    child_environment,
    committed,
    create,
    gone,
    read_all,
    settled,
    topics,
    transaction,
    until,
)
from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AdminClient

from streams.broker import BrokerError, EmbeddedBroker, PortTaken, default_bootstrap, running
from streams.broker.scratch import sweep

pytestmark = pytest.mark.kafka

PROGRAM = """
import sys
from pathlib import Path
from streams.broker import EmbeddedBroker
broker = EmbeddedBroker(home=Path(sys.argv[1]))
try:
    broker.start()
    print(broker.pid, broker.data_dir, flush=True)
    sys.stdin.read()
except KeyboardInterrupt:
    print("interrupted, broker alive:", broker.alive, flush=True)
    broker.stop()
"""


@pytest.fixture(scope="module")
def broker(cache: Path) -> Iterator[EmbeddedBroker]:
    """One running broker for the tests that do not stop it."""
    with EmbeddedBroker(home=cache, extra={"group.min.session.timeout.ms": "1000"}) as running_one:
        yield running_one


def started(cache: Path, **options: bool) -> tuple[subprocess.Popen[str], int, Path]:
    """Run PROGRAM; return it, its broker's process id and data directory."""
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(cache)],
        env=child_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )
    assert child.stdout is not None
    pid, _, folder = child.stdout.readline().strip().partition(" ")
    return child, int(pid), Path(folder)


def test_a_transaction_is_read_whole_or_not_at_all(broker: EmbeddedBroker) -> None:
    """A group that reads committed sees what was committed and nothing of what was aborted."""
    create(broker.bootstrap, "tx")
    transaction(broker.bootstrap, "tx", [b"lost"], commit=False)
    transaction(broker.bootstrap, "tx", [b"a", b"b"])
    assert committed(broker.bootstrap, "tx", 2) == [b"a", b"b"]


def test_a_dead_letter_of_16_mib_passes(broker: EmbeddedBroker) -> None:
    """A value of 16 MiB can be written to and read from a topic that allows it."""
    value = os.urandom(16 << 20)
    create(broker.bootstrap, "big", **{"max.message.bytes": str(17 << 20)})
    transaction(broker.bootstrap, "big", [value])
    assert committed(broker.bootstrap, "big", 1) == [value]


def test_topics_are_never_made_by_accident(broker: EmbeddedBroker) -> None:
    """A misspelt topic is an error, not a new topic."""
    reports: list[KafkaError | None] = []
    producer = Producer({"bootstrap.servers": broker.bootstrap, "message.timeout.ms": 500})
    producer.produce("mispelt", b"x", on_delivery=lambda error, message: reports.append(error))
    producer.flush(10)
    assert [error is None for error in reports] == [False]
    assert "mispelt" not in topics(broker.bootstrap)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_only_loopback_listens(broker: EmbeddedBroker) -> None:
    """Every listening socket of the process is bound to 127.0.0.1."""
    links = (link for link in Path(f"/proc/{broker.pid}/fd").iterdir() if link.is_symlink())
    own = {os.readlink(link) for link in links}
    hosts = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{broker.pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in own:
                hosts.add(fields[1].rpartition(":")[0])
    assert hosts <= {"0100007F", "0000000000000000FFFF00000100007F"}
    assert hosts


def test_start_is_repeatable_and_stop_leaves_nothing(cache: Path) -> None:
    """Starting twice is starting once; after a stop the process and its directory are gone."""
    broker = EmbeddedBroker(home=cache)
    first = broker.start()
    assert broker.start() == first
    pid, folder = broker.pid, broker.data_dir
    broker.stop()
    broker.stop()
    assert gone(pid)
    assert not folder.exists()
    with pytest.raises(BrokerError, match="not running"):
        broker.pid  # noqa: B018


def test_committed_data_survives_a_stop_and_a_crash(cache: Path, tmp_path: Path) -> None:
    """What was acknowledged is read, with nothing left hanging, after a stop and after SIGKILL.

    start ─ commits in flight ─ stop ─ start ─ commits in flight ─ kill -9 ─ start ─ read committed
    """
    with EmbeddedBroker(home=cache, data_dir=tmp_path / "data") as broker:
        address = broker.bootstrap
        names = [f"kept-{n}" for n in range(4)]
        for name in names:
            create(address, name)
        for end in (broker.stop, broker.kill):
            writers = [Writer(address, name) for name in names]
            until(lambda group=writers: all(len(w.acknowledged) > 5 for w in group), "commits")
            end()
            for writer in writers:
                writer.join()
            assert broker.start() == address
            for writer in writers:
                until(lambda topic=writer.topic: settled(address, topic), "no marker is missing")
                values = read_all(address, writer.topic)
                assert set(writer.acknowledged) <= set(values)


@pytest.mark.usefixtures("offline")
def test_a_directory_in_use_is_refused(cache: Path, broker: EmbeddedBroker) -> None:
    """A second broker on the same data directory is refused by name, and the first lives on."""
    second = EmbeddedBroker(home=cache, data_dir=broker.data_dir)
    with pytest.raises(BrokerError, match=rf"in use by another broker \(process {broker.pid}\)"):
        second.start()
    assert broker.alive


def test_a_taken_port_is_refused(cache: Path) -> None:
    """A port that somebody else listens on is a typed error before anything is started."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"127.0.0.1:{port}.*choose another port, or 0"):
            EmbeddedBroker(home=cache, port=port).start()


def test_a_broker_that_dies_at_start_shows_why(cache: Path) -> None:
    """A wrong property ends in an error that carries Kafka's own words, quickly."""
    broker = EmbeddedBroker(home=cache, extra={"log.segment.bytes": "no number"})
    with pytest.raises(BrokerError, match=r"(?s)exit code 1.*log\.segment\.bytes"):
        broker.start()
    broker.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="needs the kernel's parent-death signal")
def test_a_killed_program_takes_its_broker_along(cache: Path, broker: EmbeddedBroker) -> None:
    """Even kill -9 of the program leaves no broker behind; its directory goes with the next start.

    What lives is left alone: the directory of the module's broker stays.
    """
    program, pid, folder = started(cache)
    program.kill()
    program.wait()
    until(lambda: gone(pid), "the broker ends with its program")
    assert folder.exists()
    sweep()
    assert not folder.exists()
    assert broker.data_dir.exists()


def test_ctrl_c_reaches_the_program_before_the_broker(cache: Path) -> None:
    """Ctrl-C goes to the whole terminal group, yet the broker waits for its program to stop it."""
    program, pid, folder = started(cache, start_new_session=True)
    assert program.stdout is not None
    os.killpg(program.pid, signal.SIGINT)
    assert program.stdout.readline() == "interrupted, broker alive: True\n"
    assert program.wait(30) == 0
    assert gone(pid)
    assert not folder.exists()


def test_an_announced_broker_is_the_default(cache: Path, state_home: Path) -> None:
    """While the demo runs, other commands find its broker; afterwards they find none."""
    assert default_bootstrap() is None
    with EmbeddedBroker(home=cache, announce=True) as broker:
        info = running(state_home)
        assert info is not None
        assert (info.pid, info.detached) == (broker.pid, False)
        assert default_bootstrap() == broker.bootstrap
        cluster = AdminClient({"bootstrap.servers": broker.bootstrap}).list_topics(timeout=10)
        assert cluster.cluster_id == info.cluster_id
    assert default_bootstrap() is None
