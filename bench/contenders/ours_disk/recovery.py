"""Ours with its state in RocksDB on local disk, in an environment that has it."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

ours = Path(__file__).parents[1] / "ours"
sys.path.insert(0, str(ours))
runpy.run_path(str(ours / "recovery.py"), run_name="__main__")
