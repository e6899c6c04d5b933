"""Java without a JDK: locked jars, a compiler that is one of them, and the runtime of a wheel."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tomllib
from pathlib import Path

import msgspec

from bench.harness.envs import BENCH, ENVS
from bench.harness.errors import BenchError
from bench.harness.progress import say
from streams.broker.jars import class_path
from streams.broker.java import environment, java_binary
from streams.broker.lock import Lock

LOCK_NAME = "jars.lock.toml"
LEVEL = "21"
FLAGS = ("-Xms512m", "-Xmx1g", "-XX:+UseSerialGC", "-Xlog:disable", "-Xlog:all=error:stderr")
"""Both compilers, other than for the broker: a contender is to be as fast as it can."""
_COMPILER = "org.eclipse.jdt.internal.compiler.batch.Main"


def lock_of(contender: str) -> Lock:
    """The jars that a contender needs, its compiler among them."""
    text = (BENCH / "contenders" / contender / LOCK_NAME).read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), Lock)


def command(contender: str, main: str) -> list[str]:
    """The command that runs a contender's ``main``, compiled when its source is new.

    Raises BenchError when it does not compile, BrokerError when there is no Java or no jar.
    """
    source, lock = BENCH / "contenders" / contender / f"{main}.java", lock_of(contender)
    home = ENVS / f"{contender}-java"
    jars = class_path(home, say, lock)
    path = os.pathsep.join(map(str, jars))
    stamp = hashlib.sha256(source.read_bytes() + path.encode()).hexdigest()[:16]
    classes = home / f"classes-{stamp}"
    if not classes.exists():
        _compile(source, classes, path)
    return [str(java_binary()), *FLAGS, "-cp", f"{classes}{os.pathsep}{path}", main]


def _compile(source: Path, classes: Path, path: str) -> None:
    fresh = classes.with_suffix(".new")
    argv = [str(java_binary()), "-cp", path, _COMPILER, f"-{LEVEL}", "-proc:none", "-nowarn"]
    done = subprocess.run(
        [*argv, "-cp", path, "-d", str(fresh), str(source)],
        check=False, capture_output=True, text=True, env=environment(),
    )  # fmt: skip
    if done.returncode:
        said = (done.stderr or done.stdout)[-1500:]
        raise BenchError(f"{source.name} does not compile: {said}", "correct it")
    fresh.rename(classes)
