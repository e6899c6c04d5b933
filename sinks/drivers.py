"""Optional libraries: loaded when a sink is opened, so that its settings can be read without."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from sinks.base import MissingDriver


def need(module: str, extra: str) -> ModuleType:
    """Import ``module``; raises MissingDriver with the line that installs it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingDriver(
            f"the library {module!r} is not installed ({error})",
            f"install it: pip install 'streams[{extra}]'",
        ) from error


def duckdb_driver() -> ModuleType:
    """Return DuckDB; raises MissingDriver."""
    return need("duckdb", extra="duckdb")


def arrow_driver() -> ModuleType:
    """Return Arrow with its Parquet part; raises MissingDriver."""
    need("pyarrow.parquet", extra="parquet")
    return need("pyarrow", extra="parquet")
