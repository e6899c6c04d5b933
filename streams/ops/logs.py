"""Logs of a worker: events of the engine and lines of the libraries, one form, standard error.

Every line has ``timestamp`` (UTC), ``level``, ``logger`` and ``event``; where they apply,
``sub_topology``, ``topic``, ``partition``, ``offset`` and ``txid``. Known secrets never get out.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TextIO

import structlog

from streams.config import Config, is_secret
from streams.engine.runner import Report

Format = Literal["auto", "console", "json"]
HIDDEN = "[hidden]"
LIBRARIES = (
    "aiokafka", "faust", "mode", "kafka", "asyncio", "aiohttp", "streams.engine", "streams.ops"
)  # fmt: skip
"""Loggers that say more than is wanted; ours of the engine and ops are those of Faust's services,
what we have to say goes to ``streams``."""
TELLING = "aiokafka.conn"
"""Its debug lines have every request in them, and so what SASL sends: passwords and tokens."""
LEVELS = {
    "task_skew": "info",
    "checkpoint": "debug",
    "standby": "debug",
    "standby_lost": "warning",
    "checkpoint_put_back": "warning",
    "misplaced": "warning",
    "begins_late": "warning",
    "topic_ids_unknown": "warning",
    "durability": "warning",
    "held_by_transaction": "warning",
    "breaker_open": "error",
    "breaker_closed": "warning",
}
"""Levels of the engine's events; what is not named is ``info``."""
_USER_IN_URL = re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")


def as_json(chosen: Format, stream: TextIO) -> bool:
    """Whether to write JSON: ``auto`` does, unless a person watches."""
    return chosen == "json" or (chosen == "auto" and not stream.isatty())


def set_up(
    chosen: Format,
    level: str,
    secrets: Iterable[str] = (),
    filters: Iterable[logging.Filter] = (),
    stream: TextIO | None = None,
) -> None:
    """Let everything that logs in this process log this way; may be called again."""
    # Faust may redirect sys.stderr into its own log
    target: TextIO = stream or sys.__stderr__ or sys.stderr
    handler = logging.StreamHandler(target)
    handler.setFormatter(_formatter(as_json(chosen, target), target.isatty(), secrets))
    for each in filters:
        handler.addFilter(each)
    logging.root.handlers = [handler]
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.root.setLevel(number)
    for name in LIBRARIES:
        library = number if level == "debug" else max(number, logging.WARNING)
        logging.getLogger(name).setLevel(library)
    logging.getLogger(TELLING).setLevel(max(number, logging.WARNING))
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def _shared() -> list[Any]:
    return [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_by_name,
    ]


def _formatter(json: bool, colors: bool, secrets: Iterable[str]) -> logging.Formatter:
    last: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if json:
        last += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        last += [structlog.dev.ConsoleRenderer(colors=colors, sort_keys=False)]
    return _Hiding(secrets, foreign_pre_chain=_shared(), processors=last)


class _Hiding(structlog.stdlib.ProcessorFormatter):
    """The last hand on a line: what is secret is not in it, wherever it came from."""

    def __init__(self, secrets: Iterable[str], **more: Any) -> None:
        super().__init__(**more)
        found = sorted({text for text in secrets if text}, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, found))) if found else None

    def format(self, record: logging.LogRecord) -> str:
        line = _USER_IN_URL.sub(HIDDEN, super().format(record))
        return line if self._secrets is None else self._secrets.sub(HIDDEN, line)


def hide_by_name(logger: Any, method: str, facts: Any) -> Any:
    """Hide values whose name says that they are secret.

    >>> hide_by_name(None, "info", {"event": "x", "sasl.password": "p"})
    {'event': 'x', 'sasl.password': '[hidden]'}
    """
    return {k: HIDDEN if is_secret(str(k)) else v for k, v in facts.items()}


def secrets_of(config: Config, kafka: Mapping[str, Any] | None = None) -> list[str]:
    """What must not be logged: values of settings whose names say so, and the parts of pairs."""
    user_info = config.schema_registry_user_info or ""
    wire = (config.kafka.password, config.kafka.key_password, config.kafka.oauth_client_secret)
    named = [str(v) for k, v in (kafka or {}).items() if is_secret(k)]
    found = (user_info, user_info.partition(":")[2], *named, *wire)
    return [text for text in found if text]


def reporter(name: str = "streams") -> Report:
    """A report of the engine that logs; the task's name becomes the names that are fixed."""
    log = structlog.stdlib.get_logger(name)

    def report(event: str, facts: dict[str, Any]) -> None:
        log.log(_number(event), event, **named(facts))

    return report


def _number(event: str) -> int:
    return logging.getLevelNamesMapping()[LEVELS.get(event, "info").upper()]


def named(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts under the fixed names.

    >>> named({"task": "by_txid/2", "entries": 7})
    {'sub_topology': 'by_txid', 'partition': 2, 'entries': 7}
    """
    found = dict(facts)
    task = found.pop("task", None)
    if task is None:
        return found
    sub, _, partition = str(task).rpartition("/")
    return {"sub_topology": sub, "partition": int(partition), **found}
