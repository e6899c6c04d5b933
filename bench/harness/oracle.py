"""A contender whose result is wrong has no rate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.harness.errors import WrongResult


def read_counts(path: Path) -> dict[str, int]:
    """The counts that a contender wrote: one ``key count`` a line."""
    pairs = (line.rsplit(" ", 1) for line in path.read_text().splitlines())
    return {key: int(count) for key, count in pairs}


def require_equal(contender: str, truth: Mapping[Any, Any], found: Mapping[Any, Any]) -> None:
    """Raise WrongResult unless both are equal, key by key; it names the first differences."""
    keys = truth.keys() | found.keys()
    wrong = sorted(str(key) for key in keys if truth.get(key) != found.get(key))
    if not wrong:
        return
    by_name = {str(key): key for key in keys}
    first = [
        f"{name}: {_short(found.get(by_name[name]))} instead of {_short(truth.get(by_name[name]))}"
        for name in wrong[:3]
    ]
    raise WrongResult(
        f"{contender}: {len(wrong)} of {len(keys)} keys are wrong ({'; '.join(first)})",
        "its rate would mean nothing; look at its log, or leave it out with --only",
    )


def _short(value: Any) -> str:
    return "nothing" if value is None else str(value)[:100]
