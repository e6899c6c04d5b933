"""The servers of docker-compose.yml as processes, with the environment and commands of that file.

No engine is needed: Kafka's image is configured by a class of Kafka itself, the registry's by its
environment. Only addresses, ports and folders are those of the test.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.broker import ports
from streams.broker.jars import class_path
from streams.broker.java import FLAGS, environment, java_binary
from streams.broker.paths import cache_home
from streams.broker.process import Child
from tests.deploy import compose

START_S = 180.0
_LOG4J = "Configuration:\n  Properties: {}\n  Appenders: {}\n  Loggers: {Root: {level: WARN}}\n"


def until(what: str, ready: Callable[[], bool], seconds: float = START_S) -> None:
    """Wait for a condition; fail with its name when it does not come."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, f"did not happen within {seconds} s: {what}"
        time.sleep(0.2)


def free(count: int) -> list[int]:
    """Ports that are free now."""
    found: set[int] = set()
    while len(found) < count:
        found.update(ports.choose(0))
    return sorted(found)[:count]


def asked(command: Sequence[str], **variables: str) -> subprocess.CompletedProcess[str]:
    """A health check, run to its end."""
    return subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


def java(main: str, *words: str) -> list[str]:
    """A command line of one of Kafka's classes."""
    jars = os.pathsep.join(str(jar) for jar in class_path(cache_home()))
    return [str(java_binary()), *FLAGS, "-cp", jars, main, *words]


class Kafka:
    """The broker of service ``kafka``: its image's own start, on loopback."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        inside, controller, outside = free(3)
        self.inside, self.outside = f"127.0.0.1:{inside}", f"127.0.0.1:{outside}"
        self.variables = {
            name: self._here(value, controller)
            for name, value in compose.environment("kafka").items()
        }
        self.child: Child | None = None

    def _here(self, text: str, controller: int) -> str:
        changes = {
            "://kafka:9092": f"://{self.inside}", "://:9092": f"://{self.inside}",
            "://:9094": f"://{self.outside}", "127.0.0.1:9094": self.outside,
            "://:9093": f"://127.0.0.1:{controller}", "kafka:9093": f"127.0.0.1:{controller}",
            "/var/lib/kafka/data": str(self.folder / "data"),
        }  # fmt: skip
        for old, new in changes.items():
            text = text.replace(old, new)
        return text

    def set_up(self) -> Path:
        """What the image does before it starts: properties from the environment, format."""
        for name in ("default", "mounted", "final"):
            (self.folder / name).mkdir()
        (self.folder / "default" / "server.properties").write_text("")
        for name in ("log4j2.yaml", "tools-log4j2.yaml"):
            (self.folder / "default" / name).write_text(_LOG4J)
        options = [
            word
            for name, letter in (("default", "D"), ("mounted", "M"), ("final", "F"))
            for word in (f"-{letter}", str(self.folder / name))
        ]
        subprocess.run(
            java("kafka.docker.KafkaDockerWrapper", "setup", *options),
            env={**environment(), **self.variables}, check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        return self.folder / "final" / "server.properties"

    def start(self) -> None:
        """Start it with those properties, and wait until it answers."""
        argv = java("kafka.Kafka", str(self.set_up()))
        self.child = Child(argv, self.folder / "kafka.log", tied=True)
        until("Kafka answers", self.answers)

    def answers(self) -> bool:
        """Whether it answers at the listener that the health check asks.

        The check's script is in the image; its class is in no jar of ours.
        """
        try:
            AdminClient({"bootstrap.servers": self.inside, "log_level": 0}).list_topics(timeout=2)
        except KafkaException:
            return False
        return True

    def end(self) -> None:
        """Stop it."""
        if self.child is not None:
            self.child.terminate(20)


class Registry:
    """The registry of service ``registry``, over that Kafka."""

    def __init__(self, home: Path, folder: Path, bootstrap: str) -> None:
        self.home, self.folder = home, folder
        self.port, self.management = free(2)
        own = compose.environment("registry")
        self.variables = {n: v.replace("kafka:9092", bootstrap) for n, v in own.items()}
        self.child: Child | None = None

    @property
    def url(self) -> str:
        """Where our services look for it, with this port."""
        text = compose.environment("worker")["STREAMS_SCHEMA_REGISTRY"]
        return text.replace("registry:8080", f"127.0.0.1:{self.port}")

    def start(self) -> None:
        """Start it, and wait until its health check is content."""
        listen = {
            "quarkus.http.host": "127.0.0.1", "quarkus.http.port": str(self.port),
            "quarkus.management.host": "127.0.0.1",
            "quarkus.management.port": str(self.management),
        }  # fmt: skip
        options = [f"-D{name}={value}" for name, value in listen.items()]
        jar = str(self.home / "quarkus-run.jar")
        argv = [str(java_binary()), "-Xmx256m", "-XX:+UseSerialGC", *options, "-jar", jar]
        self.child = Child(argv, self.folder / "registry.log", tied=True, extra=self.variables)
        until("the registry is healthy", lambda: self.healthy().returncode == 0)

    def healthy(self) -> subprocess.CompletedProcess[str]:
        """The health check, at this management port."""
        words = compose.check("registry")
        return asked([word.replace("/9000", f"/{self.management}") for word in words])

    def end(self) -> None:
        """Stop it."""
        if self.child is not None:
            self.child.terminate(20)
            self.child = None


def here(words: Sequence[str], changes: Mapping[str, str]) -> list[str]:
    """A command with the addresses and folders of the test."""
    found = list(words)
    for old, new in changes.items():
        found = [word.replace(old, new) for word in found]
    return found
