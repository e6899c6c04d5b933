"""The table of a run of the suite: printed, and written as JSON and Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.faults.arena import Outcome

HEAD = (
    "| fault | seeds | events | a second, least | lost | doubled | wrong "
    "| recovery, median (most) s | stop s |"
)


def line_of(outcome: Outcome) -> str:
    """One run, for whoever watches."""
    waits = [round(ms / 1000, 1) for ms in outcome.recovery_ms if ms >= 0]
    words = (
        f"{outcome.fault} seed {outcome.seed}: {outcome.events} events at {outcome.rate:g}/s, lost "
        f"{outcome.lost}, doubled {outcome.doubled}, wrong {outcome.wrong}; recovery {waits} s; "
        f"exits {outcome.exits}; {outcome.seconds:g} s"
    )
    return "\n  ".join([words, *outcome.notes, *([outcome.error] if outcome.error else [])])


def rows(outcomes: Sequence[Outcome]) -> list[str]:
    """The lines of the table, one a fault."""
    found = []
    for name in dict.fromkeys(outcome.fault for outcome in outcomes):
        runs = [outcome for outcome in outcomes if outcome.fault == name]
        waits = sorted(ms / 1000 for run in runs for ms in run.recovery_ms if ms >= 0)
        recovery = f"{waits[len(waits) // 2]:.1f} ({waits[-1]:.1f})" if waits else "-"
        sums = [sum(getattr(run, kind) for run in runs) for kind in ("lost", "doubled", "wrong")]
        broken = sum(bool(run.error) for run in runs)
        said = f"{name} (**{broken} of {len(runs)} not judged**)" if broken else name
        events = sum(run.events for run in runs)
        stop = max(run.stop_ms for run in runs) / 1000
        rate = min(run.rate for run in runs)
        cells = [said, len(runs), f"{events:,}", f"{rate:,.0f}", *sums, recovery, f"{stop:.1f}"]
        found.append("| " + " | ".join(map(str, cells)) + " |")
    return found


def table(outcomes: Sequence[Outcome], seconds: float) -> str:
    """The table in Markdown."""
    ruler = "|" + "---|" * (HEAD.count("|") - 1)
    said = f"{len(outcomes)} runs in {seconds / 60:.1f} minutes."
    return "\n".join([HEAD, ruler, *rows(outcomes), "", said, ""])


def write(outcomes: Sequence[Outcome], folder: Path, seconds: float) -> None:
    """Write ``faults.json`` and ``faults.md``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "faults.json").write_bytes(msgspec.json.format(msgspec.json.encode(outcomes)))
    (folder / "faults.md").write_text(table(outcomes, seconds))
