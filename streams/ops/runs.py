"""Which runs of a topology there are, and which one readers are to take for the truth.

A compacted topic of the application holds one record a run, and the name of the current one of the
main job and of each module. It is made when the first replay begins; without it there is one run,
the original, whose topics have the names of the code.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from msgspec import Meta

from streams.config import ORIGINAL, Config, RunSettings
from streams.engine.guard import as_bytes
from streams.engine.mover import READ
from streams.engine.rights import Right, guarded, missing
from streams.ops.admin import Admin, OpsError, Planned
from streams.wire.errors import REMEDY, NoRight, groupless, no_right

_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
MOST_PARTITIONS = 100_000
"""Of a topic; a record that says more is none of ours."""
_SHOWN = 80
"""Characters of a name that is none."""
READ_SECONDS, WRITE_SECONDS = 15.0, 15.0
Record = tuple[bytes, bytes | None]
"""Key and value."""
SAYS = "says which run is the current one"


class NoRun(OpsError):
    """There is no run of this name, or none may have it."""


class Run(msgspec.Struct, frozen=True):
    """What a run is, from its first start on."""

    name: Annotated[str, Meta(pattern=rf"\A{_NAME.pattern}\Z")]
    module: Annotated[str, Meta(pattern=r"\A[A-Za-z_][A-Za-z0-9_.]{0,200}\Z")] | None
    """Whose steps it runs, a module that Python can import; None: the main job's."""
    partitions: Annotated[int, Meta(ge=1, le=MOST_PARTITIONS)]
    source_partitions: Annotated[int, Meta(ge=0, le=MOST_PARTITIONS)]
    """Of the sources, where they have another count; else 0."""
    starts: dict[str, list[Annotated[int, Meta(ge=0)]]]
    """By source, the offset of each partition at which it began."""
    partial: bool
    """Whether anything lies before that."""
    created_ms: Annotated[int, Meta(ge=0, lt=253_402_300_800_000)]


class Known(msgspec.Struct):
    """All runs of an application."""

    runs: dict[str, Run] = {}
    current: dict[str, str] = {}
    """By module (empty: the main job), the run that readers are to take."""

    def current_of(self, module: str | None) -> str:
        """The name of the current run."""
        return self.current.get(module or "", ORIGINAL)

    def run(self, name: str, module: str | None) -> Run:
        """The run of this name; raises NoRun."""
        found = self.runs.get(name)
        if found is None:
            some = ", ".join(sorted(self.runs)) or "none yet"
            raise NoRun(f"there is no run {name}", f"`streams replay status` lists them ({some})")
        if found.module != module:
            whose = f"--module {found.module}" if found.module else "no --module"
            raise NoRun(f"run {name} is not of these steps", f"use it with {whose}")
        return found


def check_name(name: str) -> None:
    """Raise NoRun where a new run may not be named so."""
    if name == ORIGINAL or not _NAME.fullmatch(name):
        raise NoRun(
            f"a run cannot be named {name!r}",
            "use up to 31 small letters, digits and _, a letter first, such as v2",
        )


def topic_of(application: str) -> str:
    """The topic that holds the runs of an application.

    >>> topic_of("streams")
    'streams-runs'
    """
    return f"{application}-runs"


def known_of(records: Iterable[Record]) -> tuple[Known, list[str]]:
    """What these records come to, and the names of runs that nobody can read.

    Records under keys of another form are nobody's.
    """
    known, left_out = Known({}, {}), dict[str, None]()
    for key, value in records:
        kind, sign, name = key.decode(errors="backslashreplace").partition("/")
        if kind == "current" and sign and value is not None:
            known.current[name] = value.decode(errors="backslashreplace")[:_SHOWN]
        elif kind == "run" and sign:
            run = None if value is None else _run_of(value, name)
            known.runs.pop(name, None)
            left_out.pop(name, None)
            if run is not None:
                known.runs[name] = run
            elif value is not None:
                left_out[name] = None
    return known, list(left_out)


def _run_of(value: bytes, name: str) -> Run | None:
    try:
        found = msgspec.json.decode(value, type=Run)
    except (ValueError, RecursionError):
        return None
    return found if found.name == name else None


class Runs:
    """Reads and writes that topic."""

    def __init__(self, admin: Admin, application: str) -> None:
        self.admin, self.topic = admin, topic_of(application)
        self._kafka = {"bootstrap.servers": admin.settings.bootstrap, **admin.settings.kafka}

    def read(self, surely: bool = False) -> Known:
        """All runs; raises OpsError, KafkaException.

        ``surely``: raises NoRight where there may be some that we may not see.
        """
        if self.topic not in self.admin.partitions():
            self._look_for_right(surely)
            return Known({}, {})
        known, left_out = known_of(self._records())
        for name in left_out:
            print(
                f"streams: the record of run {name[:_SHOWN]!r} in {self.topic} cannot be read, "
                "and is left out: see who else may write there",
                file=sys.stderr,
            )
        return known

    def _look_for_right(self, surely: bool) -> None:
        """What we may not see is not listed: say so, since it may be there."""
        settings = self.admin.settings
        if not guarded(settings.kafka):
            return
        lacking = missing(self.admin.client, [Right("topic", self.topic, "READ")])
        if lacking and surely:
            raise NoRight(f"we have no right to {lacking[0]}, which {SAYS}", REMEDY)
        if lacking:
            print(
                f"streams: we have no right to {lacking[0]}, which {SAYS}: taken as if there were "
                "none (`streams topics acls` prints what each role needs)",
                file=sys.stderr,
            )

    def _records(self) -> list[Record]:
        consumer = Consumer({**READ, **self._kafka, "auto.offset.reset": "earliest"})
        found: list[Record] = []
        deadline = time.monotonic() + READ_SECONDS
        try:
            consumer.assign([TopicPartition(self.topic, 0, 0)])
            while time.monotonic() < deadline:
                for message in consumer.consume(500, 0.1):
                    error = message.error()
                    if error is None:
                        found.append((as_bytes(message.key()) or b"", message.value()))
                    elif error.code() == KafkaError._PARTITION_EOF:
                        return found
                    elif not (error.retriable() or groupless(error)):
                        raise KafkaException(error)
        finally:
            consumer.close()
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))

    def record(self, run: Run) -> None:
        """Remember a run."""
        self._write(f"run/{run.name}", msgspec.json.encode(run))

    def forget(self, name: str) -> None:
        """There is no such run any more."""
        self._write(f"run/{name}", None)

    def switch(self, name: str, module: str | None) -> None:
        """From now on this is the current run."""
        self._write(f"current/{module or ''}", name.encode())

    def _write(self, key: str, value: bytes | None) -> None:
        if self.topic not in self.admin.partitions():
            settings = {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"}
            self.admin.create([Planned(self.topic, 1, settings, "missing")])
        refused: list[KafkaError] = []

        def told(error: KafkaError | None, message: Any) -> None:
            if error is not None:
                refused.append(error)

        producer = Producer({**self._kafka, "enable.idempotence": True, "log_level": 2})
        producer.produce(self.topic, value, key.encode(), on_delivery=told)
        left = producer.flush(WRITE_SECONDS)
        for error in refused:
            if (lacking := no_right(error, f"write to {self.topic}")) is not None:
                raise lacking
        if left or refused:
            raise OpsError(f"{self.topic} cannot be written", "see that the broker runs; try again")


def applied(config: Config, run: Run) -> Config:
    """The configuration of a run: its name, partitions and starts."""
    starts = [f"{t}/{p}={o}" for t, offsets in run.starts.items() for p, o in enumerate(offsets)]
    settings = RunSettings(run.name, run.source_partitions, starts)
    return msgspec.structs.replace(config, partitions=run.partitions, run=settings)


def followed(config: Config, known: Known, module: str | None) -> Config:
    """The configuration of the run that it names, else of the current one; raises NoRun."""
    name = config.run.name or known.current_of(module)
    if name == ORIGINAL:
        return msgspec.structs.replace(config, run=RunSettings())
    return applied(config, known.run(name, module))
