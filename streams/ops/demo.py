"""The demo: embedded Kafka, a worker, sinks and real input in one process tree."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from schemas.envelope import Event
from schemas.events import Alert, Decision
from schemas.wire import Codec
from sinks.base import Sink
from sinks.catalog import open_sink
from streams import topics
from streams.agents.pipeline import topology
from streams.broker import EmbeddedBroker, ports
from streams.broker.process import Child
from streams.client import Read
from streams.config import Config, load
from streams.engine.settings import EngineSettings, settings_of
from streams.ops.admin import Admin, OpsError
from streams.ops.archive import run_archive
from streams.ops.play import play_recording
from streams.ops.sinking import SinkDriver
from streams.ops.standing import Standing
from streams.ops.summary import Summary, summarise
from streams.registry import codec_for
from streams.sources.archive import Wanted
from streams.sources.recording import read_head

SETTLE_SECONDS = 120
STOP_SECONDS = 15
BLOCK = "413567.raw.xz"
RECORDING = "demo.ndjson"
SECRET = "STREAMS_SCHEMA_REGISTRY_USER_INFO"
WAY = "STREAMS_KAFKA__"
"""Of settings that say the way to a Kafka, which is not the demo's."""


class Progress(msgspec.Struct):
    """What the screen shows; updated from several threads, read by one."""

    phase: str = "starting"
    played: int = 0
    read: int = 0
    lag: int = 0
    rows: dict[str, int] = {}
    alerts: dict[str, Alert] = {}
    """The live alerts, by event id."""
    decisions: dict[str, Decision] = {}
    """The live decisions, by event id."""
    news: list[Alert | Decision] = []
    """Every alert and decision as it came, corrected ones again."""
    started: float = 0.0
    first_alert: float | None = None

    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.started

    def take(self, event: Event) -> None:
        """Note an alert or a decision, or that one no longer holds."""
        value = event.value
        if not isinstance(value, Alert | Decision):
            return
        live: dict[str, Any] = self.alerts if isinstance(value, Alert) else self.decisions
        if event.op == "retract":
            live.pop(event.id, None)
            return
        if isinstance(value, Alert) and self.first_alert is None:
            self.first_alert = self.seconds()
        live[event.id] = value
        self.news.append(value)


class Demo:
    """One run: ``run`` plays everything and counts, ``close`` leaves nothing behind."""

    def __init__(
        self, config: Config, output: Path, progress: Progress, say: Callable[[str], None]
    ) -> None:
        self.config, self.output, self.progress, self.say = config, output, progress, say
        self.settings_file = output / "streams.toml"
        self.port, _ = ports.choose(0)
        self.broker = EmbeddedBroker(port=self.port, progress=say, announce=True, warm=True)
        self.worker: Child | None = None
        self.driver: SinkDriver | None = None
        self.codec = Codec()

    def run(self) -> Summary:
        """Start everything, play the input, wait until it is through, count."""
        self._configure()
        self.progress.started = time.monotonic()
        self._start_worker()  # it loads while Kafka starts, and waits for it
        bootstrap = self.broker.start()
        settings = settings_of(self.config, bootstrap)
        main = topology(self.config)
        self.say("creating topics")
        Admin(settings).apply(main)
        self.driver = SinkDriver(bootstrap, topics.DERIVED, self._sinks(), self._seen, self.codec)
        self.driver.start()
        self._play(settings)
        standing = Standing(main, settings)
        try:
            self._settle(standing)
            seconds = self.progress.seconds()
            self.progress.phase = "counting"
            summary = summarise(standing, seconds, self.progress.first_alert, self.codec)
        finally:
            standing.close()
        path = self.output / "summary.json"
        path.write_bytes(msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")
        return summary

    def _configure(self) -> None:
        self.output.mkdir(parents=True, exist_ok=True)
        story = read_head(as_path(RECORDING)).settings
        secret = self.config.schema_registry_user_info
        self.settings_file.write_text(tomli_w.dumps(_shareable(with_story(self.config, story))))
        told = load(path=self.settings_file, environment={}).config
        self.config = msgspec.structs.replace(told, schema_registry_user_info=secret)
        self.codec = codec_for(self.config, self.say)

    def _start_worker(self) -> None:
        self.say("starting the worker")
        address = f"127.0.0.1:{self.port}"
        argv = [sys.executable, "-m", "streams", "--broker", address]
        argv += ["--config", str(self.settings_file), "worker", "--wait", "300"]
        secret = self.config.schema_registry_user_info
        extra = dict.fromkeys((n for n in os.environ if n.startswith(WAY)), "")
        extra |= {SECRET: secret} if secret is not None else {}
        self.worker = Child(argv, self.output / "worker.log", tied=True, extra=extra)

    def _sinks(self) -> Sequence[Sink]:
        return (
            open_sink("duckdb", {"path": str(self.output / "results.duckdb")}),
            open_sink("parquet", {"directory": str(self.output)}),
        )

    def _play(self, settings: EngineSettings) -> None:
        self.progress.phase = "playing mainnet block 413567"
        archive = [as_path(BLOCK)]
        wanted = Wanted(network="main", table=False)
        self._count(run_archive(settings, archive, wanted=wanted, codec=self.codec).events)
        self.progress.phase = "playing the regtest recording"
        play_recording(settings, as_path(RECORDING), played=self._count, codec=self.codec)

    def _count(self, events: int) -> None:
        self.progress.played += events

    def _seen(self, reads: list[Read]) -> None:
        progress = self.progress
        for read in reads:
            progress.rows[read.topic] = progress.rows.get(read.topic, 0) + 1
            if read.event is not None:
                progress.take(read.event)
        progress.read += len(reads)

    def _settle(self, standing: Standing) -> None:
        """Wait until every input has been read to its end, twice in a row, and sunk."""
        self.progress.phase = "waiting until everything is through"
        deadline, calm = time.monotonic() + SETTLE_SECONDS, 0
        while calm < 2:
            self._check_alive(deadline)
            self.progress.lag = sum(b.lag for b in standing.behind())
            calm = calm + 1 if self.progress.lag == 0 else 0
            time.sleep(0.6)
        assert self.driver is not None
        if not self.driver.caught_up(SETTLE_SECONDS):
            raise OpsError("the sinks did not catch up", "see the error above, and try again")

    def _check_alive(self, deadline: float) -> None:
        if self.worker is not None and self.worker.exit_code() is not None:
            log = self.output / "worker.log"
            tail = log.read_text(errors="replace").strip().splitlines()[-1:] or ["no output"]
            raise OpsError(f"the worker ended: {tail[0][:300]}", f"see {log}")
        if self.driver is not None and self.driver.error is not None:
            raise OpsError(f"a sink failed: {self.driver.error}", "see the sink's remedy")
        if time.monotonic() > deadline:
            raise OpsError(
                f"{self.progress.lag} records are still unread after {SETTLE_SECONDS} s",
                f"see {self.output / 'worker.log'}",
            )

    def close(self) -> None:
        """Stop sinks, worker and broker, in this order; raises SinkError of the last write."""
        failed = None
        if self.driver is not None:
            known = self.driver.error
            self.driver.stop()
            failed = self.driver.error if known is None else None
        if self.worker is not None:
            self.worker.terminate(STOP_SECONDS)
        self.broker.stop()
        if failed is not None:
            raise failed


def with_story(config: Config, story: dict[str, Any]) -> dict[str, Any]:
    """The configuration as plain data, with the addresses that the recording is about."""
    plain: dict[str, Any] = msgspec.to_builtins(config)
    for section, settings in story.items():
        plain[section] = {**plain.get(section, {}), **settings}
    kept: dict[str, Any] = _without_none(plain)
    return kept


def _shareable(plain: dict[str, Any]) -> dict[str, Any]:
    """Without secrets, as the file lies among the results; the environment tells the worker.

    The way to Kafka is left out too: the demo has a broker of its own.
    """
    return {n: v for n, v in plain.items() if n not in ("schema_registry_user_info", "kafka")}


def _without_none(plain: Any) -> Any:
    """TOML has no null: a setting that is None is left out."""
    if isinstance(plain, dict):
        return {name: _without_none(v) for name, v in plain.items() if v is not None}
    if isinstance(plain, list):
        return [_without_none(v) for v in plain]
    return plain


def as_path(name: str) -> Path:
    """A file that ships with the package."""
    return Path(str(files("streams") / "data" / name))
