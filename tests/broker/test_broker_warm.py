"""The AOT cache: faster when good, harmless when bad."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from broker_support import child_environment, gone, until

from streams.broker import EmbeddedBroker, aot, warm_up
from streams.broker.filelocks import holder
from streams.broker.jars import class_path

pytestmark = pytest.mark.kafka


@pytest.fixture
def cache_file(own_home: Path) -> Path:
    """Where the cache of this home belongs."""
    path = aot.cache_file(own_home, class_path(own_home))
    path.parent.mkdir()
    return path


def test_a_damaged_cache_is_deleted(cache_file: Path, tmp_path: Path) -> None:
    """A cache that is not byte for byte what was recorded is not used and goes away."""
    made = tmp_path / "made"
    made.write_bytes(b"cache")
    aot.record(made, cache_file)
    assert aot.usable(cache_file)
    cache_file.write_bytes(b"cachf")
    assert not aot.usable(cache_file)
    assert not cache_file.exists()


def test_a_cache_java_cannot_use_does_not_stop_a_start(
    own_home: Path, cache_file: Path, tmp_path: Path
) -> None:
    """A cache of another Java, though recorded, costs nothing but its benefit."""
    made = tmp_path / "made"
    made.write_bytes(b"not of this Java" * 1000)
    aot.record(made, cache_file)
    with EmbeddedBroker(home=own_home) as broker:
        assert broker.alive


def test_warming_up_makes_a_cache_that_starts_use(own_home: Path) -> None:
    """A warm-up in the background writes the cache once; the next start runs with it."""
    argv = [sys.executable, "-m", "streams.broker.background", str(own_home), "0"]
    subprocess.run(argv, env=child_environment(), check=True, capture_output=True)
    cache = aot.cache_file(own_home, class_path(own_home))
    made = cache.stat().st_mtime_ns
    assert warm_up(own_home)
    assert cache.stat().st_mtime_ns == made
    assert not (own_home / "warming").exists()
    with EmbeddedBroker(home=own_home) as broker:
        command = Path(f"/proc/{broker.pid}/cmdline")
        if not command.exists():
            pytest.skip("no /proc to read the command line from")
        assert f"-XX:AOTCache={cache}" in command.read_text().split("\0")


def test_a_warm_up_ends_when_asked_to(own_home: Path) -> None:
    """Stopped in the middle of its work it leaves no process, no cache and no folder behind."""
    argv = [sys.executable, "-m", "streams.broker.background", str(own_home), "0"]
    program = subprocess.Popen(argv, env=child_environment())
    lock = own_home / "warming" / "data" / "log" / ".lock"
    until(lambda: holder(lock) is not None, "the warm-up runs a broker")
    pid = holder(lock)
    assert pid is not None
    program.terminate()
    assert program.wait(10) == 0
    assert gone(pid)
    assert not (own_home / "warming").exists()
    assert list((own_home / "aot").glob("*.aot")) == []
