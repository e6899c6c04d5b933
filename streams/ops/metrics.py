"""A worker's metrics for Prometheus, read from its tasks when it asks (docs/reference/metrics.md).

Counts of records belong to a task and travel with it in its checkpoints: when a partition moves,
its series end at one worker and go on at another with the same values.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from joins.clock import NEG_INF, POS_INF
from streams import __version__
from streams.engine.mover import Place
from streams.engine.runner import Runner
from streams.ops.holding import holding, no_effect, step_delays
from streams.ops.watching import Worker

DISPOSITIONS = ("used", "duplicates", "late", "dead_letters", "filtered")
TASK = ("sub_topology", "partition")
INPUT = ("sub_topology", "topic", "partition")
SUB = ("sub_topology",)


class Family(NamedTuple):
    """One metric: what it is called, counts and is told apart by."""

    name: str
    kind: str
    labels: tuple[str, ...]
    about: str


FAMILIES: tuple[Family, ...] = (
    Family("streams_records_read_total", "counter", INPUT, "Records taken from an input."),
    Family(
        "streams_records_total",
        "counter",
        (*INPUT, "disposition"),
        "What became of them: used, duplicates, late, dead_letters or filtered; the sum is what "
        "was read.",
    ),
    Family(
        "streams_late_total",
        "counter",
        (*INPUT, "op"),
        "Records that came too late, by op: a late retract leaves standing what it would have "
        "withdrawn.",
    ),
    Family(
        "streams_filtered_total",
        "counter",
        (*INPUT, "rule"),
        "The filtered ones by the rule that left them out, behind the name of its step.",
    ),
    Family(
        "streams_no_effect_total",
        "counter",
        (*TASK, "step", "op"),
        "Events that changed nothing: an assert that its source repeats, a retract of what is not "
        "live or no longer known.",
    ),
    Family(
        "streams_lag_records",
        "gauge",
        INPUT,
        "Offsets between a task and its input's end, which is asked for every 5 s.",
    ),
    Family(
        "streams_unstable_records",
        "gauge",
        INPUT,
        "Offsets at an input's end that transactions still open, of anybody, keep from its readers "
        "(high watermark less last stable offset); asked for every 5 s.",
    ),
    Family(
        "streams_input_held_seconds",
        "gauge",
        (*INPUT, "by"),
        "How long an input has stood at one open transaction, and its transactional id; absent "
        "below engine.held_ms.",
    ),
    Family(
        "streams_input_watermark_milliseconds",
        "gauge",
        INPUT,
        "Event time below which an input expects no more (ms since 1970); absent before the first.",
    ),
    Family(
        "streams_input_watermark_age_seconds",
        "gauge",
        INPUT,
        "How far that is behind the clock of the worker.",
    ),
    Family(
        "streams_input_holds_info",
        "gauge",
        (*INPUT, "by"),
        "1 for an input that holds the task's watermark back, and who holds it: the writer that "
        "has declared the least, or its own records.",
    ),
    Family(
        "streams_input_paused_info",
        "gauge",
        (*INPUT, "why"),
        "1 for an input that waits: it is ahead by more than max_skew, or too many results wait "
        "for a checkpoint (max_pending).",
    ),
    Family(
        "streams_watermark_milliseconds",
        "gauge",
        TASK,
        "The least of its inputs' watermarks: how far a task has come in event time (ms since "
        "1970); absent before the first.",
    ),
    Family(
        "streams_watermark_age_seconds",
        "gauge",
        TASK,
        "How far the watermark of a task is behind the clock of the worker.",
    ),
    Family(
        "streams_declared_watermark_milliseconds",
        "gauge",
        TASK,
        "What a task has declared in its outputs (ms since 1970); absent before the first.",
    ),
    Family(
        "streams_step_delay_seconds",
        "gauge",
        (*TASK, "step"),
        "How far below the task's watermark the step declares: its grace, and results that wait.",
    ),
    Family("streams_state_entries", "gauge", TASK, "Entries of a task's state."),
    Family(
        "streams_tasks",
        "gauge",
        ("state",),
        "Tasks of this worker: running, broken (a step fails on everything, so nothing is read), "
        "recovering, or parked (let go, kept for a while).",
    ),
    Family("streams_in_flight_records", "gauge", (), "Records fetched and not yet processed."),
    Family(
        "streams_checkpoint_seconds",
        "histogram",
        SUB,
        "How long committed checkpoints took; their count is the number of checkpoints.",
    ),
    Family(
        "streams_checkpoints_put_back_total",
        "counter",
        SUB,
        "Checkpoints that failed; what they held goes with the next one.",
    ),
    Family("streams_tasks_recovered_total", "counter", SUB, "Tasks recovered from changelogs."),
    Family(
        "streams_task_recovery_seconds_total", "counter", SUB, "Seconds spent in recovering them."
    ),
    Family("streams_broker_up", "gauge", (), "1 when the broker answered at the last look."),
    Family("streams_worker_ready", "gauge", (), "1 when /readyz says so."),
    Family(
        "streams_event_loop_tasks",
        "gauge",
        (),
        "Tasks of the worker's event loop, its own and its libraries'; it does not grow.",
    ),
    Family("streams_build_info", "gauge", ("version",), "Always 1; the version is its label."),
)
_BY_NAME = {family.name: family for family in FAMILIES}


class WorkerCollector:
    """Reads the worker at each scrape; runs on the event loop, so it sees no half a chunk."""

    def __init__(self, worker: Worker, ready: Any) -> None:
        self._worker, self._ready = worker, ready

    def collect(self) -> Iterator[Metric]:
        """All families; called by the registry."""
        tasks = sorted(self._worker.tasks.items())
        yield from self._inputs(tasks)
        yield from self._transactions(tasks)
        yield from self._input_times(tasks)
        yield from self._dispositions(tasks)
        yield from self._tasks(tasks)
        yield from self._task_times(tasks)
        yield from self._events()
        yield from self._worker_itself()

    def _inputs(self, tasks: list[tuple[Place, Runner]]) -> Iterator[Metric]:
        read, lag = map(_family, ("streams_records_read_total", "streams_lag_records"))
        for (sub, partition), runner in tasks:
            for topic, counts in runner.task.counts.items():
                labels = [sub, topic, str(partition)]
                read.add_metric(labels, counts.read)
                end = self._worker.ends.get(Place(topic, partition))
                if end is not None:  # not before the first look
                    lag.add_metric(labels, max(0, end - runner.task.position[topic]))
        yield from (read, lag)

    def _transactions(self, tasks: list[tuple[Place, Runner]]) -> Iterator[Metric]:
        names = ("streams_unstable_records", "streams_input_held_seconds")
        unstable, waits = map(_family, names)
        held = self._worker.held_inputs
        long = held.long()
        for (sub, partition), runner in tasks:
            for place in (Place(topic, partition) for topic in runner.task.position):
                labels = [sub, place.topic, str(partition)]
                if place in held.unstable:
                    unstable.add_metric(labels, held.unstable[place])
                if place in long:
                    waits.add_metric([*labels, held.by(place)], round(long[place], 1))
        yield from (unstable, waits)

    def _dispositions(self, tasks: list[tuple[Place, Runner]]) -> Iterator[Metric]:
        names = ("records", "filtered", "late", "no_effect")
        became, rules, late, void = (_family(f"streams_{name}_total") for name in names)
        for (sub, partition), runner in tasks:
            for topic, counts in runner.task.counts.items():
                labels = [sub, topic, str(partition)]
                for name in DISPOSITIONS:
                    became.add_metric([*labels, name], getattr(counts, name))
                for rule, count in counts.rules.items():
                    rules.add_metric([*labels, rule], count)
                late.add_metric([*labels, "assert"], counts.late - counts.late_retracts)
                late.add_metric([*labels, "retract"], counts.late_retracts)
            for step, op, count in no_effect(runner.task):
                void.add_metric([sub, str(partition), step, op], count)
        yield from (became, rules, late, void)

    def _input_times(self, tasks: list[tuple[Place, Runner]]) -> Iterator[Metric]:
        names = ("watermark_milliseconds", "watermark_age_seconds", "holds_info", "paused_info")
        marks, ages, holds, paused = (_family(f"streams_input_{name}") for name in names)
        now = time.time()
        for (sub, partition), runner in tasks:
            progress = runner.task.progress
            for topic in progress.timed:
                mark = progress.clock.partition_watermark(topic, partition)
                _add_time(marks, [sub, topic, str(partition)], mark)
                _add_age(ages, [sub, topic, str(partition)], mark, now)
            for topic, keeper in holding(progress).items():
                holds.add_metric([sub, topic, str(partition), keeper], 1)
            why = "max_pending" if runner.crowded else "max_skew"
            for topic in sorted(runner.paused):
                paused.add_metric([sub, topic, str(partition), why], 1)
        yield from (marks, ages, holds, paused)

    def _tasks(self, tasks: list[tuple[Place, Runner]]) -> Iterator[Metric]:
        entries = _family("streams_state_entries")
        for (sub, partition), runner in tasks:
            entries.add_metric([sub, str(partition)], len(runner.task.store))
        yield entries

    def _task_times(self, tasks: list[tuple[Place, Runner]]) -> Iterator[Metric]:
        marks, ages, declared, delays = map(
            _family,
            (
                "streams_watermark_milliseconds",
                "streams_watermark_age_seconds",
                "streams_declared_watermark_milliseconds",
                "streams_step_delay_seconds",
            ),
        )
        now = time.time()
        for (sub, partition), runner in tasks:
            labels, task = [sub, str(partition)], runner.task
            _add_time(marks, labels, task.progress.watermark)
            _add_age(ages, labels, task.progress.watermark, now)
            _add_time(declared, labels, task.declaring.published)
            for step, delay in step_delays(task):
                delays.add_metric([*labels, step], delay / 1000)
        yield from (marks, ages, declared, delays)

    def _events(self) -> Iterator[Metric]:
        watch = self._worker.watch
        took = _family("streams_checkpoint_seconds")
        for sub, durations in sorted(watch.checkpoints.items()):
            took.add_metric([sub], durations.cumulative(), durations.total)
        yield took
        for name, counts in (
            ("streams_checkpoints_put_back_total", watch.put_back),
            ("streams_tasks_recovered_total", watch.recovered),
            ("streams_task_recovery_seconds_total", watch.recovery_seconds),
        ):
            yield _filled(name, (([sub], counts[sub]) for sub in self._worker.selection.names))

    def _worker_itself(self) -> Iterator[Metric]:
        worker = self._worker
        running = worker.tasks.keys()
        states = (
            (["running"], len(running) - len(worker.broken)),
            (["broken"], len(worker.broken)),
            (["recovering"], len(worker.wanted - running)),
            (["parked"], worker.parked),
        )
        yield _filled("streams_tasks", states)
        yield _filled("streams_in_flight_records", [([], worker.in_flight)])
        yield _filled("streams_broker_up", [([], int(not worker.outage.away))])
        yield _filled("streams_worker_ready", [([], int(self._ready()))])
        yield _filled("streams_event_loop_tasks", [([], len(asyncio.all_tasks(worker.app.loop)))])
        yield _filled("streams_build_info", [([__version__], 1)])


_KINDS: dict[str, Any] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}


def _family(name: str) -> Any:
    known = _BY_NAME[name]
    return _KINDS[known.kind](name.removesuffix("_total"), known.about, labels=known.labels)


def _filled(name: str, rows: Iterable[tuple[list[str], float]]) -> Metric:
    family = _family(name)
    for labels, value in rows:
        family.add_metric(labels, value)
    made: Metric = family
    return made


def _add_time(family: Any, labels: list[str], ts: int) -> None:
    if NEG_INF < ts < POS_INF:
        family.add_metric(labels, ts)


def _add_age(family: Any, labels: list[str], ts: int, now: float) -> None:
    if NEG_INF < ts < POS_INF:
        family.add_metric(labels, round(now - ts / 1000, 3))


def registry(worker: Worker, ready: Any) -> CollectorRegistry:
    """A registry of this worker: ours, the process and the garbage collector."""
    found = CollectorRegistry()
    ProcessCollector(registry=found)
    PlatformCollector(registry=found)
    GCCollector(registry=found)
    collector: Any = WorkerCollector(worker, ready)
    found.register(collector)
    return found
