"""The command line on the guarded broker: what a user types, with all that it prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.kafka.world import ROOT, Worker
from tests.wire.guarded import PASSWORD, Guarded

MODULE = "tests.wire.counting"


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str
    seconds: float


class Shell:
    """Runs commands as one user, in a folder of its own; keeps everything that was printed."""

    def __init__(self, guarded: Guarded, folder: Path, application: str) -> None:
        self.guarded, self.folder, self.application = guarded, folder, application
        self.printed: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)

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
        named = {f"STREAMS_KAFKA__{name.upper()}": value for name, value in way.items() if value}
        return {
            **kept,
            **named,
            "PYTHONPATH": str(ROOT),
            "STREAMS_BROKER": self.guarded.addresses.get(listener, listener),
            "STREAMS_APPLICATION": self.application,
            "STREAMS_PARTITIONS": "2",
            "STREAMS_ENGINE__SESSION_TIMEOUT_MS": "2000",
            "STREAMS_ENGINE__CHECKPOINT_MS": "100",
        }

    def run(
        self, *words: str, seconds: float = 30, stdin: str = "", environment: Mapping[str, str]
    ) -> Ended:
        """Run ``streams`` to its end."""
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "streams", *words],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=dict(environment),
            timeout=seconds,
            check=False,
        )
        self.printed += [done.stdout, done.stderr]
        return Ended(done.returncode, done.stdout, done.stderr, time.monotonic() - began)

    def start(self, *words: str, environment: Mapping[str, str], name: str = "worker") -> Worker:
        """Start ``streams`` in the background."""
        argv = [sys.executable, "-m", "streams", *words]
        return Worker(argv, self.folder / f"{name}.log", dict(environment))

    def say(self, words: Sequence[str], first: int, environment: Mapping[str, str]) -> Ended:
        """Produce one event a word, numbered from ``first``."""
        lines = [
            json.dumps({"payload": {"word": word, "number": number}})
            for number, word in enumerate(words, first)
        ]
        argv = ("produce", "wire.said", "--module", MODULE)
        return self.run(*argv, stdin="\n".join(lines), environment=environment)

    def counts(self, environment: Mapping[str, str]) -> dict[str, int]:
        """What readers of committed records see by now."""
        argv = ("consume", "wire.counts", "--module", MODULE, "--from-beginning", "--until-end")
        ended = self.run(*argv, "-o", "ndjson", environment=environment)
        assert 0 == ended.code, ended.err
        rows = map(json.loads, ended.out.splitlines())
        return {row["payload"]["word"]: row["payload"]["count"] for row in rows}
