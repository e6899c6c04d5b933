"""What can end a command: one line of cause, one of remedy, and an exit code from one table."""

from __future__ import annotations

import sys
from enum import IntEnum
from typing import NamedTuple


class ExitCode(IntEnum):
    """The exit codes; ``docs/exit-codes.md`` shows the same table. 3 to 5 are the engine's."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    FENCED = 3
    BROKER = 4
    BROKEN_CHAIN = 5
    CONFIG = 6
    TOPICS = 7
    INPUT = 8
    INCOMPATIBLE = 9
    UNHEALTHY = 10
    REGISTRY = 11
    SINK = 12
    STALLED = 13
    INTERRUPTED = 130
    PIPE_CLOSED = 141
    HELD = 155


MEANING: dict[ExitCode, str] = {
    ExitCode.OK: "done",
    ExitCode.UNEXPECTED: "an error that nobody foresaw: run again with `--debug` and report it",
    ExitCode.USAGE: "a wrong option, argument, command or topic name",
    ExitCode.FENCED: "another process has taken over the partitions of the worker, which its "
    "supervisor restarts, the name of the source, or the redrive",
    ExitCode.BROKER: "no Kafka broker is named or answers, it refuses us (password, certificate, "
    "right), or it failed while we used it",
    ExitCode.BROKEN_CHAIN: "the worker found a gap in its changelog, or an input that no longer "
    "has what it is to read, lost its local state, or a step failed on a timer: it will not go on",
    ExitCode.CONFIG: "a setting is wrong, another topology runs in this group, or state is there "
    "of another version of a step",
    ExitCode.TOPICS: "topics are missing, or have the wrong partition count, settings under which "
    "something could be lost, or records where another partitioner put them; or no topic lacks a "
    "copy (`topics copies`)",
    ExitCode.INPUT: "input was refused: a bad line, file or record, or a letter that cannot be "
    "written back",
    ExitCode.INCOMPATIBLE: "schemas are not compatible with the last release, or an id is missing",
    ExitCode.UNHEALTHY: "`streams doctor` found something that must be repaired, or a run has not "
    "caught up, so there is no switch to it",
    ExitCode.REGISTRY: "the schema registry does not answer or gives no access, and its ids are "
    "not kept here",
    ExitCode.SINK: "a sink's target refused us, or was away for longer than `--give-up-after`",
    ExitCode.STALLED: "the worker made no progress though its broker answers, a part of it failed, "
    "or it did not stop in time: its supervisor restarts it",
    ExitCode.INTERRUPTED: "stopped by Ctrl-C",
    ExitCode.PIPE_CLOSED: "the reader of our output went away, as `head` does",
    ExitCode.HELD: "a step of the worker kept the interpreter for itself, so the kernel ended it "
    "(SIGPROF); the traceback names the line: its supervisor restarts it",
}


class UserError(Exception):
    """A command cannot do what was asked; ``cause`` and ``remedy`` are one line each."""

    def __init__(self, cause: str, remedy: str, code: int = ExitCode.USAGE) -> None:
        super().__init__(f"{cause}: {remedy}")
        self.cause, self.remedy, self.code = cause, remedy, ExitCode(code)


class Failure(NamedTuple):
    """What is printed of an error, and how the process ends."""

    cause: str
    remedy: str
    code: ExitCode


_TYPED = {
    ("streams.cli.errors", "UserError"): ExitCode.USAGE,
    ("streams.wire.errors", "BadWire"): ExitCode.CONFIG,
    ("streams.wire.errors", "WireError"): ExitCode.BROKER,
    ("streams.ops.target", "NoBroker"): ExitCode.BROKER,
    ("streams.ops.target", "BadAddress"): ExitCode.USAGE,
    ("streams.ops.letters", "NoRecord"): ExitCode.USAGE,
    ("streams.ops.admin", "OpsError"): ExitCode.TOPICS,
    ("streams.client.errors", "BadOption"): ExitCode.USAGE,
    ("streams.client.errors", "NoTopic"): ExitCode.TOPICS,
    ("streams.client.errors", "Refused"): ExitCode.INPUT,
    ("streams.client.errors", "ClientError"): ExitCode.BROKER,
    ("streams.broker.errors", "BrokerError"): ExitCode.BROKER,
    ("streams.sources.errors", "SourceError"): ExitCode.INPUT,
    ("sinks.base", "SinkError"): ExitCode.SINK,
    ("streams.config", "ConfigError"): ExitCode.CONFIG,
    ("streams.registry.errors", "Incompatible"): ExitCode.INCOMPATIBLE,
    ("streams.registry.errors", "RegistryError"): ExitCode.REGISTRY,
    ("streams.engine.placing", "WrongPlace"): ExitCode.TOPICS,
    ("streams.engine.durability", "NotKept"): ExitCode.TOPICS,
    ("streams.engine.topology", "TopologyError"): ExitCode.CONFIG,
    ("confluent_kafka", "KafkaException"): ExitCode.BROKER,
}
"""Errors of other packages, the special before the general; a class whose module was never imported
cannot have been raised."""


def foreseen() -> tuple[type[BaseException], ...]:
    """The error classes that ``explain`` knows, of the modules that are loaded by now."""
    found = [
        getattr(sys.modules[module], name)
        for module, name in _TYPED
        if hasattr(sys.modules.get(module), name)
    ]
    return (*found, FileNotFoundError, PermissionError, IsADirectoryError)


def explain(error: BaseException) -> Failure:
    """Cause, remedy and exit code of an error of one of the ``foreseen`` classes."""
    if isinstance(error, OSError):
        words = f"cannot use {error.filename}: {error.strerror}"
        return Failure(words, "check the path and its permissions", ExitCode.USAGE)
    cause, remedy = getattr(error, "cause", None), getattr(error, "remedy", None)
    if isinstance(cause, str) and isinstance(remedy, str):
        return Failure(cause, remedy, getattr(error, "code", None) or _code(error, cause))
    return Failure(*_words(error), _code(error, str(error)))


def _code(error: BaseException, cause: str) -> ExitCode:
    if cause.startswith("no Kafka broker answers"):
        return ExitCode.BROKER
    for (module, name), code in _TYPED.items():
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None and isinstance(error, kind):
            return code
    return ExitCode.UNEXPECTED


def _words(error: BaseException) -> tuple[str, str]:
    if type(error).__name__ == "KafkaException":
        from streams.wire.errors import no_right  # noqa: PLC0415

        problem = error.args[0]
        refused = no_right(error, "do this")
        if refused is not None:
            return f"Kafka: {problem.str()}", refused.remedy
        words = problem.str() if hasattr(problem, "str") else str(problem)
        return f"Kafka: {words}", "see that the broker runs: `streams doctor`"
    cause, _, remedy = str(error).partition(": ")
    return (cause, remedy) if remedy else (str(error), "`streams config show --origin` lists all")
