"""Pure packages stay pure: a fresh process that imports them has no broker and no model."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("faust", "mode", "aiokafka", "confluent_kafka", "river")
PURE = ("schemas", "joins", "sinks", "streams.chain", "streams.features", "streams.patterns")
PROGRAM = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
if sys.argv[2] == "all":
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
print(*sorted({name.partition(".")[0] for name in sys.modules} & set(sys.argv[3:])))
"""


@pytest.mark.parametrize(
    ("package", "how"), [*((name, "all") for name in PURE), ("streams", "top")]
)
def test_importing_a_pure_package_loads_nothing_heavy(package: str, how: str) -> None:
    """Every module of it; of ``streams`` the package itself, whose names are loaded when used."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, package, how, *HEAVY],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert "" == done.stdout.strip()
