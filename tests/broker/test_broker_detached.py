"""The broker that outlives its command, and the record by which it is found."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from broker_support import child_environment, gone, topics

from streams.broker import (
    BrokerError,
    BrokerInfo,
    EmbeddedBroker,
    default_bootstrap,
    running,
    start_detached,
    state,
    stop_detached,
)

pytestmark = pytest.mark.kafka

START = """
import sys
from pathlib import Path
from streams.broker import start_detached
print(start_detached(home=Path(sys.argv[1])).bootstrap)
"""


@pytest.fixture
def clean(state_home: Path) -> Iterator[Path]:
    """The record's folder; whatever a test started is stopped."""
    yield state_home
    stop_detached()


@pytest.mark.usefixtures("clean")
def test_it_survives_its_command_and_stops_on_request(cache: Path) -> None:
    """Started by one process, found by another, stopped by it, and then nothing is left."""
    done = subprocess.run(
        [sys.executable, "-c", START, str(cache)],
        env=child_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    info = running()
    assert info is not None
    assert info.bootstrap == done.stdout.strip() == default_bootstrap()
    assert topics(info.bootstrap) == set()
    assert stop_detached() == info
    assert gone(info.pid)
    assert (running(), stop_detached(), default_bootstrap()) == (None, None, None)


def test_two_starts_at_once_give_one_broker(cache: Path, clean: Path) -> None:
    """Concurrent starts agree on one broker; a start that wants another one is refused."""
    found: list[BrokerInfo] = []
    both = [
        threading.Thread(target=lambda: found.append(start_detached(home=cache)), daemon=True)
        for _ in range(2)
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(60)
    assert len(found) == 2
    assert found[0] == found[1]
    assert found[0].data_dir == clean / "data"
    with pytest.raises(BrokerError, match=r"already runs.*streams broker stop"):
        start_detached(clean / "other", home=cache)


def test_a_stale_record_is_not_believed(state_home: Path, tmp_path: Path) -> None:
    """A record whose process id now belongs to another program is no running broker."""
    (tmp_path / "data" / "log").mkdir(parents=True)
    (tmp_path / "data" / "log" / ".lock").touch()
    stale = BrokerInfo(
        port=9,
        pid=os.getpid(),
        data_dir=tmp_path / "data",
        cluster_id="c",
        kafka="4.3.1",
        started_ms=0,
        detached=True,
    )
    state.write(state_home, stale)
    assert (running(), stop_detached()) == (None, None)


def test_a_broken_record_is_no_record(state_home: Path) -> None:
    """A record that cannot be read counts as none."""
    state_home.mkdir(parents=True)
    (state_home / "broker.json").write_text("{")
    assert running() is None


def test_the_variable_wins(state_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """STREAMS_BROKER names the broker whatever runs here."""
    monkeypatch.setenv("STREAMS_BROKER", "kafka.example:9092")
    assert default_bootstrap(state_home) == "kafka.example:9092"


@pytest.mark.usefixtures("clean")
def test_the_broker_of_a_program_is_not_stopped(cache: Path) -> None:
    """`streams broker stop` refuses to stop the broker of a running demo, and says what to do."""
    with EmbeddedBroker(home=cache, announce=True) as broker:
        with pytest.raises(BrokerError, match=r"belongs to a running program.*Ctrl-C"):
            stop_detached()
        assert broker.alive
