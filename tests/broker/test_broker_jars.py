"""The jars: verified before each start, refused when altered, fetched safely."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from broker_support import Repository, child_environment

from streams.broker.errors import BrokerError
from streams.broker.jars import class_path
from streams.broker.lock import load_lock

LOCK = load_lock()
NAMES = sorted(jar.name for jar in LOCK.jars)
KAFKA = "kafka_2.13-4.3.1.jar"


def on_disk(home: Path) -> dict[str, str]:
    """Digest of every file in the jar folder."""
    files = (home / "jars").iterdir()
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_the_lock_names_one_kafka_and_no_address() -> None:
    """The committed lock holds Kafka 4.3.1 in full, each jar once, and says nothing of origins."""
    text = (Path(__file__).parents[2] / "streams/broker/kafka.lock.toml").read_text()
    assert LOCK.kafka == "4.3.1"
    assert {j.version for j in LOCK.jars if j.group == "org.apache.kafka"} == {"4.3.1"}
    assert len(set(NAMES)) == len(LOCK.jars) == 46
    assert all(len(jar.sha256) == 64 for jar in LOCK.jars)
    assert "://" not in text


@pytest.mark.usefixtures("offline")
def test_jars_in_place_need_no_network(own_home: Path) -> None:
    """With everything in place a start fetches nothing, says nothing and writes nothing."""
    said: list[str] = []
    before = on_disk(own_home)
    path = class_path(own_home, said.append)
    assert [file.name for file in path] == [jar.name for jar in LOCK.jars]
    assert (said, on_disk(own_home)) == ([], before)


@pytest.mark.usefixtures("offline")
def test_an_extra_jar_never_reaches_the_class_path(own_home: Path) -> None:
    """A file that the lock does not name is not put on the class path."""
    (own_home / "jars" / "evil-1.0.jar").write_bytes(b"PK")
    assert sorted(file.name for file in class_path(own_home)) == NAMES


def test_an_altered_jar_is_refused_and_fetched_again(
    own_home: Path, repository: Repository
) -> None:
    """One changed byte is noticed, named, and the jar alone is fetched again."""
    jar = own_home / "jars" / KAFKA
    jar.write_bytes(jar.read_bytes()[:-1] + b"?")
    said: list[str] = []
    class_path(own_home, said.append)
    assert on_disk(own_home) == {jar.name: jar.sha256 for jar in LOCK.jars}
    assert repository.served == [KAFKA]
    assert f"refused {KAFKA}: altered" in said[0]
    assert "fetching it again" in said[0]


def test_a_half_fetched_jar_is_refused_and_fetched_again(
    own_home: Path, repository: Repository
) -> None:
    """A truncated file is called half-fetched and replaced."""
    jar = own_home / "jars" / KAFKA
    jar.write_bytes(jar.read_bytes()[:1000])
    said: list[str] = []
    class_path(own_home, said.append)
    assert f"refused {KAFKA}: half-fetched (1,000 of" in said[0]
    assert on_disk(own_home)[KAFKA] == hashlib.sha256(jar.read_bytes()).hexdigest()
    assert repository.served == [KAFKA]


def test_a_first_set_up_reports_each_jar(tmp_path: Path, repository: Repository) -> None:
    """From an empty home every jar is fetched once, with one line of progress each."""
    said: list[str] = []
    class_path(tmp_path, said.append)
    assert sorted(on_disk(tmp_path)) == sorted(repository.served) == NAMES
    assert said[0] == "fetching Kafka 4.3.1: 46 jars, 45.0 MB; needed once"
    assert [line.split()[0] for line in said[1:]] == [f"[{n}/46]" for n in range(1, 47)]
    assert not (tmp_path / "fetching").exists()


def test_what_is_served_altered_is_refused(tmp_path: Path, repository: Repository) -> None:
    """A repository that serves other bytes than locked cannot get them in place."""
    repository.altered = {KAFKA}
    with pytest.raises(BrokerError, match=rf"refused {KAFKA}.*what was served.*locked is"):
        class_path(tmp_path)
    assert KAFKA not in on_disk(tmp_path)


@pytest.mark.usefixtures("offline")
def test_without_network_a_first_set_up_says_what_to_do(tmp_path: Path) -> None:
    """No network at the first fetch is a typed error with a cause and a remedy."""
    with pytest.raises(BrokerError) as caught:
        class_path(tmp_path)
    assert "could not fetch" in caught.value.cause
    assert "the first start needs the network once" in caught.value.remedy
    assert on_disk(tmp_path) == {}


def test_two_set_ups_at_once_fetch_each_jar_once(tmp_path: Path, repository: Repository) -> None:
    """A second set-up waits for the first, and then finds everything in place."""
    said: list[str] = []
    both = [
        threading.Thread(target=class_path, args=(tmp_path, said.append), daemon=True)
        for _ in range(2)
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(60)
    assert sorted(repository.served) == NAMES
    assert sorted(on_disk(tmp_path)) == NAMES


def test_ctrl_c_in_the_middle_leaves_only_whole_jars(
    tmp_path: Path, repository: Repository
) -> None:
    """An interrupted set-up ends at once, leaves verified jars only, and is continued later.

    served 1..10 ── the rest hangs halfway ── Ctrl-C ── server heals ── next set-up: the other 36
    """
    repository.hang_after = 10
    script = (
        "from pathlib import Path; import sys\n"
        "from streams.broker.jars import class_path\n"
        "class_path(Path(sys.argv[1]), lambda line: print(line, flush=True))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert child.stdout is not None
    while not child.stdout.readline().startswith("[10/46]"):
        assert child.poll() is None
    child.send_signal(signal.SIGINT)
    child.wait(5)
    digests = {jar.name: jar.sha256 for jar in LOCK.jars}
    whole = on_disk(tmp_path)
    assert len(whole) == 10
    assert whole.items() <= digests.items()
    repository.hang_after = None
    repository.served.clear()
    class_path(tmp_path)
    assert on_disk(tmp_path) == digests
    assert len(repository.served) == 36
