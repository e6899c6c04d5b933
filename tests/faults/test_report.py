"""The table of the suite."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tests.faults.arena import Outcome
from tests.faults.catalog import BY_NAME, FAULTS
from tests.faults.report import rows, write
from tests.faults.scripts import stages

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "faults.md"


def test_the_runs_of_a_fault_are_one_line() -> None:
    """Counts are sums, recovery is the median and the most, a run without an end is told."""
    first = Outcome(
        "a", 1, events=1000, lost=1, wrong=2, recovery_ms=[1000, 3000], stop_ms=400, rate=5008
    )
    second = Outcome("a", 2, events=1000, doubled=1, recovery_ms=[2000, -1], stop_ms=600, rate=4999)
    third = Outcome("b", 1, error="Failed: it did not end")
    expected = [
        "| a | 2 | 2,000 | 4,999 | 1 | 1 | 2 | 2.0 (3.0) | 0.6 |",
        "| b (**1 of 1 not judged**) | 1 | 0 | 0 | 0 | 0 | 0 | - | 0.0 |",
    ]
    assert expected == rows([first, second, third])
    assert [False, False, False] == [run.clean for run in (first, second, third)]


def test_a_run_of_less_load_is_exact_and_not_clean() -> None:
    """It says nothing of the load that the suite claims."""
    slow = Outcome("a", 1, events=1000, rate=4000, slow=True)
    assert (True, False) == (slow.exact, slow.clean)


def test_the_table_is_written_for_people_and_programs(tmp_path: Path) -> None:
    """As Markdown and as JSON."""
    outcome = Outcome("a", 1, events=10)
    write([outcome], tmp_path, 60)
    found = msgspec.json.decode((tmp_path / "faults.json").read_bytes(), type=list[Outcome])
    assert [outcome] == found
    assert "1 runs in 1.0 minutes." in (tmp_path / "faults.md").read_text()


def test_every_fault_is_described() -> None:
    """Each name of the catalog has a line in the page, and no name is there twice."""
    text = PAGE.read_text()
    assert [] == [name for name in BY_NAME if f"| `{name}` |" not in text]
    assert len(FAULTS) == len(BY_NAME)


def test_the_seeds_share_all_stages_of_a_checkpoint() -> None:
    """Five seeds kill before and after every stage, once each."""
    shares = [stages.points()[seed :: stages.SHARES] for seed in range(stages.SHARES)]
    assert sorted(stages.points()) == sorted(point for share in shares for point in share)
    words = [plan[stages.VARIABLE] for seed in range(1, 6) for plan in stages.plans(seed)]
    assert len(stages.points()) == len(words) == len(set(words))
