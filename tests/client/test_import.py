"""What a program gets that only wants the client: no Faust, soon, and typed."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("user_program.py")
QUICK_MS = 100
NEVER = ("faust", "mode", "aiokafka", "river", "duckdb", "pyarrow", "typer", "rich", "aiohttp")


def in_fresh_process(code: str) -> str:
    """What a new interpreter prints."""
    argv = [sys.executable, "-c", code]
    return subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    "imports",
    [
        "import streams.client",
        "from streams.client import Consumer, Producer, AsyncConsumer, AsyncProducer, Settler",
        "from streams import Batch, Emit, Rows, Step, Topic, derived, event_type, topics",
    ],
)
def test_the_names_of_users_load_no_faust(imports: str) -> None:
    """Neither the client nor what steps are made of loads Faust, aiokafka or the pipeline's."""
    code = f"{imports}\nimport sys\nprint(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    assert set() == set(NEVER) & set(in_fresh_process(code).split())


def test_the_import_is_quick() -> None:
    """Names are loaded when they are used: the import itself takes few milliseconds."""
    code = (
        "import time; began = time.perf_counter(); import streams.client; "
        "print((time.perf_counter() - began) * 1000)"
    )
    assert min(float(in_fresh_process(code)) for _ in range(3)) < QUICK_MS


@pytest.mark.parametrize("package", ["streams", "streams.client"])
def test_every_name_is_there(package: str) -> None:
    """All that a package promises can be imported, and nothing else."""
    module = import_module(package)
    assert [] == [name for name in module.__all__ if getattr(module, name, None) is None]
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = module.Nothing


def mypy(*arguments: str) -> tuple[str, int]:
    """What mypy says."""
    api = pytest.importorskip("mypy.api")
    out, err, code = api.run(["--strict", *arguments])
    return out + err, code


def test_a_users_program_type_checks() -> None:
    """Values, unions, views and options are known to mypy --strict without a cast."""
    out, code = mypy(str(PROGRAM))
    assert 0 == code, out


def test_a_users_mistakes_are_found(tmp_path: Path) -> None:
    """A field that an alert does not have, an option that does not exist, a wrong literal."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "from streams import topics\n"
        "from streams.client import Consumer\n"
        'for record in Consumer("b", topics.alerts):\n'
        "    record.value.amount_sat\n"
        'Consumer("b", topics.alerts, begin="end")\n'
        'Consumer("b", topics.alerts, until="never")\n'
    )
    out, _ = mypy(str(wrong))
    lines = {line.split(":")[1] for line in out.splitlines() if ": error:" in line}
    assert {"4", "5", "6"} == lines
