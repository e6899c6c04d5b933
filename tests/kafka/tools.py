"""Kafka's own tools, as programs of their usual names: so that what a remedy says can be pasted."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from streams.broker.jars import class_path
from streams.broker.java import command, environment
from streams.broker.lock import Jar, Lock, load_lock
from streams.broker.paths import cache_home
from tests.caching import cache
from tests.kafka.stories import ROOT

TOOLS = Jar(
    "org.apache.kafka", "kafka-tools", "4.3.1", 698_668,
    "62f3c5dd7aa3442d4c5bc6a95f86e2502178ea09de8e27f74d9563bf955e253c",
)  # fmt: skip
"""Fetched into the tests' cache by the first use: the embedded broker does without."""
MAINS = {
    "kafka-configs.sh": "kafka.admin.ConfigCommand",
    "kafka-reassign-partitions.sh": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
}
_LINE = re.compile(r"\(((?:kafka-configs\.sh|streams) [^)]*)\)")


def lines(remedy: str) -> list[str]:
    """The commands that a remedy names, in their order.

    >>> lines("set a=b (kafka-configs.sh --alter), then see (or hear) it (streams lag > x && y)")
    ['kafka-configs.sh --alter', 'streams lag > x && y']
    """
    return _LINE.findall(remedy)


class Shell:
    """A folder in which lines are run, with Kafka's tools and ``streams`` on the path."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        """Raises BrokerError where the tools are not here and cannot be fetched."""
        self.folder, programs = folder, folder / "bin"
        self.variables = {"PATH": f"{programs}:{os.defpath}", "PYTHONPATH": str(ROOT), **variables}
        lock = load_lock()
        more = class_path(cache(), lock=Lock(lock.kafka, (TOOLS,)))
        jars = [*class_path(cache_home(), lock=lock), *more]
        words = {name: command(jars, main) for name, main in MAINS.items()}
        programs.mkdir(parents=True)
        for name, argv in {**words, "streams": [sys.executable, "-m", "streams"]}.items():
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec {shlex.join(argv)} "$@"\n')
            program.chmod(0o755)

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run one line, as somebody who pasted it."""
        return subprocess.run(
            ["sh", "-c", line], cwd=self.folder, env={**environment(), **self.variables},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def heed(self, remedy: str) -> None:
        """Run every line that a remedy names; each must work."""
        assert lines(remedy), f"nothing to run: {remedy}"
        for line in lines(remedy):
            ended = self.run(line)
            assert 0 == ended.returncode, f"{line}: {ended.stdout}{ended.stderr}"
