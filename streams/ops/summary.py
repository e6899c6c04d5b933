"""What a run did: inputs and their dispositions, outputs, time (``summary.json``)."""

from __future__ import annotations

import msgspec

from schemas.wire import Codec
from streams import topics
from streams.client import fold, read_topics
from streams.engine.guard import Counts
from streams.ops.standing import Standing


class Summary(msgspec.Struct, frozen=True):
    """The figures of a run; every input has exactly one disposition."""

    inputs: int
    dead_letters: int
    late: int
    duplicates: int
    filtered: int
    used: int
    balanced: bool
    outputs: dict[str, int]
    alerts: int
    decisions: int
    seconds: float
    first_alert_seconds: float | None
    events_per_second: float


def count_inputs(bootstrap: str, codec: Codec) -> int:
    """Records in the source topics, read one by one."""
    found = read_topics(bootstrap, [topic.name for topic in topics.SOURCES], codec)
    return sum(map(len, found.values()))


def live_rows(bootstrap: str, codec: Codec) -> dict[str, int]:
    """Live rows of the net set of each derived topic."""
    found = read_topics(bootstrap, [topic.name for topic in topics.DERIVED], codec)
    return {name: len(fold(reads)) for name, reads in found.items()}


def summarise(
    standing: Standing,
    seconds: float,
    first_alert_seconds: float | None,
    codec: Codec | None = None,
) -> Summary:
    """Count independently what went in and what the checkpoints say became of it."""
    codec, bootstrap = codec or Codec(), standing.settings.bootstrap
    inputs = count_inputs(bootstrap, codec)
    counts = standing.counts()
    total = Counts()
    for topic in topics.SOURCES:
        total += counts.get(topic.name, Counts())
    outputs = live_rows(bootstrap, codec)
    return Summary(
        inputs=inputs,
        dead_letters=total.dead_letters,
        late=total.late,
        duplicates=total.duplicates,
        filtered=total.filtered,
        used=total.used,
        balanced=total.balanced and total.read == inputs,
        outputs=outputs,
        alerts=outputs[topics.alerts.name],
        decisions=outputs[topics.decisions.name],
        seconds=round(seconds, 3),
        first_alert_seconds=None if first_alert_seconds is None else round(first_alert_seconds, 3),
        events_per_second=round(inputs / seconds, 1) if seconds > 0 else 0.0,
    )
