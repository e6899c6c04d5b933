"""The names of metrics: documented, used in alerts, and by Prometheus' conventions."""

from __future__ import annotations

import re

import pytest

from streams.ops.metrics import FAMILIES
from tests.kafka.world import ROOT

REFERENCE = ROOT / "docs" / "reference" / "metrics.md"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
UNITS = ("_total", "_seconds", "_milliseconds", "_records", "_entries", "_tasks", "_info",
         "_up", "_ready")  # fmt: skip


def documented() -> list[tuple[str, str, str, str]]:
    """Name, kind, labels and meaning of each row of the reference."""
    rows = re.findall(r"^\| `(streams_\w+)` \| (\w+) \| (.*?) \| (.*?) \|$",
                      REFERENCE.read_text(), re.MULTILINE)  # fmt: skip
    return [tuple(row) for row in rows]


def test_the_reference_is_the_table_of_the_code() -> None:
    """Every metric has its row, with kind, labels and meaning as the code has them."""
    expected = [
        (f.name, f.kind, ", ".join(f"`{label}`" for label in f.labels) or "-", f.about)
        for f in FAMILIES
    ]
    assert expected == documented()


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_names_end_with_their_unit(family: object) -> None:
    """Counters end in _total, everything else in what it counts or measures."""
    name, kind = family.name, family.kind  # type: ignore[attr-defined]
    assert name.endswith(UNITS)
    assert (kind == "counter") == name.endswith("_total")


def test_alerts_name_only_what_is_there() -> None:
    """Every metric in an alert's expression exists, and every alert says what to do."""
    text = ALERTS.read_text()
    known = {family.name for family in FAMILIES} | {
        f"{f.name}{end}" for f in FAMILIES if f.kind == "histogram"
        for end in ("_bucket", "_count", "_sum")
    }  # fmt: skip
    named = set(re.findall(r"\bstreams_\w+", text))
    assert named
    assert set() == named - known
    alerts = text.count("- alert:")
    assert (alerts, alerts, alerts) == tuple(
        text.count(k) for k in ("expr:", "summary:", "remedy:")
    )


def test_alert_labels_exist() -> None:
    """What an alert's words and groupings name is a label of one of its metrics."""
    labels = {label for family in FAMILIES for label in family.labels} | {"instance", "job"}
    text = ALERTS.read_text()
    named = set(re.findall(r"\$labels\.(\w+)", text))
    grouped = {name.strip() for found in re.findall(r"by \(([^)]*)\)", text)
               for name in found.split(",")}  # fmt: skip
    assert set() == (named | grouped) - labels - {"le"}
