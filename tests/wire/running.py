"""Commands and workers on the guarded broker, and the tests' own hands, which may do everything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from schemas.wire import Codec
from streams.client import fold, read_all
from streams.config import Config
from streams.engine.own_types import teach
from streams.engine.rights import Right, of_worker
from streams.engine.selection import Selection
from streams.engine.settings import EngineSettings, settings_of
from streams.ops.admin import Admin
from streams.ops.modules import select
from streams.ops.own_topics import apply, shares
from streams.ops.produce import open_sender, produce, records
from streams.ops.runs import Known
from streams.tuning import EngineTuning
from streams.wire.settings import WireSettings
from tests.kafka.world import ROOT, Worker, until
from tests.wire.counting import counts, said
from tests.wire.guarded import PASSWORD, Guarded

MODULE = "tests.wire.counting"


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    printed: str
    seconds: float


class Shop:
    """An application of the module's steps with fresh topics; ``environment`` says the way in."""

    def __init__(self, guarded: Guarded, folder: Path, application: str) -> None:
        self.guarded, self.folder, self.application = guarded, folder, application
        self.codec, self.sent, self.started = teach(Codec()), 0, list[Worker]()
        self.config = Config(
            application=application,
            partitions=2,
            engine=EngineTuning(session_timeout_ms=2000, checkpoint_ms=100),
        )
        self.admin = Admin(settings_of(self.config, guarded.broker.bootstrap))
        present = self.admin.partitions()
        if present:
            for future in self.admin.client.delete_topics(list(present)).values():
                future.result(10)
            until("no topics", lambda: not self.admin.partitions())
        apply(self.admin, shares(self.config, Known(), guarded.broker.bootstrap, [MODULE]))

    @property
    def selection(self) -> Selection:
        """What a worker of the module runs."""
        return select(self.config, MODULE)

    def settings(self, wire: WireSettings, listener: str = "sasl_ssl") -> EngineSettings:
        """The engine's settings for a way in."""
        config = Config(application=self.application, partitions=2, kafka=wire)
        return settings_of(config, self.guarded.addresses[listener])

    @property
    def wire(self) -> WireSettings:
        """The way in of ``worker``."""
        ca = str(self.guarded.authority.ca)
        return WireSettings("SASL_SSL", user="worker", password=PASSWORD, ca_location=ca)

    def environment(self, listener: str = "sasl_ssl", **wire: str) -> dict[str, str]:
        """Ours without what the tester has set, and the way in."""
        kept = {n: v for n, v in os.environ.items() if not n.startswith("STREAMS_")}
        secret = self.folder / "password"
        secret.write_text(PASSWORD + "\n")
        secret.chmod(0o600)
        way = {
            "protocol": "SASL_SSL",
            "ca_location": str(self.guarded.authority.ca),
            "user": "worker",
            "password_file": str(secret),
            **wire,
        }
        named = {f"STREAMS_KAFKA__{name.upper()}": value for name, value in way.items()}
        own = {
            "PYTHONPATH": str(ROOT),
            "STREAMS_BROKER": self.guarded.addresses.get(listener, listener),
            "STREAMS_APPLICATION": self.application,
            "STREAMS_PARTITIONS": "2",
            "STREAMS_ENGINE__SESSION_TIMEOUT_MS": "2000",
            "STREAMS_ENGINE__CHECKPOINT_MS": "100",
        }
        return {**kept, **named, **own}

    def run(self, *words: str, environment: Mapping[str, str], seconds: float = 30) -> Ended:
        """Run ``streams`` to its end."""
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "streams", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            env=dict(environment),
            timeout=seconds,
            check=False,
        )
        return Ended(done.returncode, done.stdout, time.monotonic() - began)

    def start(self, environment: Mapping[str, str], *words: str) -> Worker:
        """Start a worker and wait until it has its tasks."""
        argv = [sys.executable, "-m", "streams", *words, "worker", "--module", MODULE]
        log = self.folder / f"worker-{len(self.started)}.log"
        worker = Worker(argv, log, dict(environment))
        self.started.append(worker)
        until("a task is recovered", lambda: worker.said("task_recovered"))
        until("both are", lambda: log.read_text().count("task_recovered") == 2)
        return worker

    def say(self, words: Sequence[str]) -> None:
        """Write an event a word."""
        lines = [
            json.dumps({"payload": {"word": word, "number": number}}).encode()
            for number, word in enumerate(words, self.sent)
        ]
        self.sent += len(words)
        sender = open_sender(self.guarded.broker.bootstrap, said)
        found = records(lines, said, self.codec, lambda: time.time_ns() // 1_000_000)
        assert len(words) == produce(found, sender).produced

    def counted(self) -> dict[str, int]:
        """What readers of committed records see by now."""
        reads = read_all(self.guarded.broker.bootstrap, counts.name, self.codec)
        return {value.word: value.count for value in fold(reads).values()}

    def close(self) -> None:
        """End what was started."""
        for worker in self.started:
            worker.clean_up()


def bindings(rights: Iterable[Right], principal: str = "User:worker") -> list[AclBinding]:
    """The rights as Kafka's client takes them."""
    return [
        AclBinding(
            ResourceType[right.kind.upper().replace(" ", "_")],
            right.name,
            ResourcePatternType.PREFIXED if right.prefixed else ResourcePatternType.LITERAL,
            principal,
            "*",
            AclOperation[right.operation],
            AclPermissionType.ALLOW,
        )
        for right in rights
    ]


def worker_rights(shop: Shop) -> list[Right]:
    """What a worker of the module needs."""
    return of_worker(shop.selection, shop.settings(WireSettings()))
