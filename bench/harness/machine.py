"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import tomllib
from pathlib import Path

from bench.harness.cores import Cores

_LOCK = Path(__file__).parents[2] / "streams" / "broker" / "kafka.lock.toml"


def describe(cores: Cores) -> dict[str, str | int]:
    """CPU, cores, kernel, Python, Kafka, and how the cores are shared out."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count() or 1,
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "kafka": _kafka(),
        "pinning": str(cores),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _kafka() -> str:
    found = tomllib.loads(_LOCK.read_text(encoding="utf-8"))
    return str(found.get("kafka") or found.get("version"))
