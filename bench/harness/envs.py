"""One environment a contender, pinned by hashes: nobody's versions depend on anybody else's."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from bench.harness.errors import BenchError
from bench.harness.progress import say

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "bench"
ENVS = BENCH / ".envs"
PROJECT = ("ours", "ours_disk", "stock_faust")
"""Contenders that run on the project's own lock file, with the project itself installed."""
VERSION = (3, 11)
VARIANT = ":"
"""Between the name of a contender and that of one of its variants."""


def home_of(name: str) -> str:
    """The contender that a name is of: its variants share files and environment.

    >>> home_of("quix"), home_of("quix:at_least_once")
    ('quix', 'quix')
    """
    return name.partition(VARIANT)[0]


def variant_of(name: str) -> str:
    """Which variant a name is of; empty: the contender as it is.

    >>> variant_of("quix"), variant_of("quix:at_least_once")
    ('', 'at_least_once')
    """
    return name.partition(VARIANT)[2]


def plain_of(name: str) -> str:
    """A name as topics and folders may have it.

    >>> plain_of("quix:at_least_once")
    'quix-at_least_once'
    """
    return name.replace(VARIANT, "-")


def python_of(contender: str) -> Path:
    """The interpreter of a contender's environment, which is made when it is missing or old."""
    contender = home_of(contender)
    folder = ENVS / contender
    stamp, wanted = folder / ".made-from", _fingerprint(contender)
    if not stamp.exists() or stamp.read_text() != wanted:
        say(f"setting up the environment of {contender} (once)")
        _make(contender, folder)
        stamp.write_text(wanted)
    return folder / "bin" / "python"


def locks(contender: str) -> list[Path]:
    """The lock files that a contender's environment is made from."""
    contender = home_of(contender)
    homes = (BENCH / "contenders" / contender, BENCH / contender)
    own = [home / "requirements.lock" for home in homes if (home / "requirements.lock").exists()]
    shared = [ROOT / "requirements" / name for name in ("run.lock", "build.lock")]
    return [*(shared if contender in PROJECT else ()), *own]


def _fingerprint(contender: str) -> str:
    content = b"".join(path.read_bytes() for path in locks(contender))
    return f"{hashlib.sha256(content).hexdigest()} {VERSION[0]}.{VERSION[1]}\n"


def _make(contender: str, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _run([_base(), "-m", "venv", str(folder)], contender)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    pip.append("--disable-pip-version-check")
    for lock in locks(contender):
        _run([*pip, "--require-hashes", "-r", str(lock)], contender)
    if contender in PROJECT:
        _run([*pip, "--no-deps", "--no-build-isolation", "-e", str(ROOT)], contender)


def _base() -> str:
    if sys.version_info[:2] == VERSION:
        return sys.executable
    found = shutil.which("python3.11")
    if found is None:
        raise BenchError(
            "the contenders are pinned for Python 3.11, and there is none on the PATH",
            "install it, or run the bench with it: make PYTHON=python3.11 bench NAME=...",
        )
    return found


def _run(argv: list[str], contender: str) -> None:
    done = subprocess.run(argv, stdout=sys.stderr, stderr=sys.stderr, check=False)
    if done.returncode:
        raise BenchError(
            f"the environment of {contender} cannot be made (exit {done.returncode})",
            "see the message above; leave this contender out with --only",
        )
