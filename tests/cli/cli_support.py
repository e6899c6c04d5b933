"""The command line as a user calls it: arguments in; output, errors and exit code out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner

from streams.broker import BrokerError
from streams.cli.main import app


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def lines(self) -> list[Any]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


Cli = Callable[..., Ended]


def apply_topics(bootstrap: str) -> None:
    """What ``streams topics apply`` does."""
    result = CliRunner().invoke(app, ["topics", "apply", "--broker", bootstrap])
    if result.exit_code:
        raise BrokerError(result.stderr, "see the broker's log")
