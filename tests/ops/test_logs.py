"""Logs: one form for everything, fixed names, no secrets, no floods."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from streams.config import Config
from streams.ops.logs import as_json, reporter, secrets_of, set_up
from streams.ops.outage import Flood, Outage

SECRET = "correct-horse"
REBALANCE = "Heartbeat failed for group streams because it is rebalancing"
MOVED = "Marking the coordinator dead (node 1)"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers, logging.root.level = handlers, level


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """What was logged, as objects."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_events_and_libraries_have_one_form() -> None:
    """Every line is an object with time, level, logger and event; the task has its fixed names."""
    stream = io.StringIO()
    set_up("json", "info", stream=stream)
    reporter()("task_recovered", {"task": "by_txid/3", "entries": 7})
    logging.getLogger("aiokafka.consumer").warning("offset %d is gone", 5)
    ours, theirs = lines(stream)
    assert {"timestamp", "level", "logger", "event"} <= ours.keys() & theirs.keys()
    assert ("by_txid", 3, 7) == (ours["sub_topology"], ours["partition"], ours["entries"])
    assert ("offset 5 is gone", "warning") == (theirs["event"], theirs["level"])


def test_an_exception_is_one_line() -> None:
    """A traceback is a field of its line, so that a reader of lines is not lost."""
    stream = io.StringIO()
    set_up("json", "info", stream=stream)
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("faust").exception("it failed")
    (line,) = lines(stream)
    assert "ValueError: two" in line["exception"]


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["ours", "theirs", "warned"]),
        ("info", ["ours", "warned"]),
        ("warn", ["warned"]),
        ("error", []),
    ],
)
def test_levels(level: str, expected: list[str]) -> None:
    """Libraries say warnings and errors only, unless everything is asked for."""
    stream = io.StringIO()
    set_up("json", level, stream=stream)
    logging.getLogger("streams").info("ours")
    logging.getLogger("mode.services").info("theirs")
    logging.getLogger("aiokafka").warning("warned")
    assert expected == [line["event"] for line in lines(stream)]


def test_secrets_are_hidden_wherever_they_come_from() -> None:
    """Values of settings, parts of a pair, users in addresses, and fields with telling names."""
    config = Config(schema_registry_user_info=f"me:{SECRET}")
    stream = io.StringIO()
    set_up("json", "info", secrets_of(config, {"sasl.password": "hunter2"}), stream=stream)
    log = logging.getLogger("aiokafka")
    log.error("login with %s failed at http://bob:alice@host/", SECRET)
    log.error("and %s", "hunter2")
    reporter()("registry", {"password": "x1y2z3", "url": "https://a:b@c"})
    try:
        raise RuntimeError(f"bad {SECRET}")
    except RuntimeError:
        log.exception("crash")
    text = stream.getvalue()
    found = [word for word in (SECRET, "hunter2", "alice", "x1y2z3", "a:b@") if word in text]
    assert [] == found


def test_a_terminal_gets_lines_for_people() -> None:
    """Without a choice, a terminal gets a console's form and a file JSON."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert (False, True) == (as_json("auto", Terminal()), as_json("auto", io.StringIO()))
    stream = io.StringIO()
    set_up("console", "info", stream=stream)
    reporter()("assigned", {"partitions": 8})
    assert "assigned" in stream.getvalue() and "partitions=8" in stream.getvalue()


def test_an_outage_is_two_lines() -> None:
    """What aiokafka repeats while the broker is away is left out, counted, and said at the end.

    ::

        broker    |---x                   |------
        aiokafka      ! ! ! ! ! ! ! ! ! !
        log           away                back
    """
    now = [100.0]
    outage = Outage(lambda: now[0])
    stream = io.StringIO()
    set_up("json", "info", filters=[Flood(outage)], stream=stream)
    log = logging.getLogger("aiokafka.conn")
    log.warning(REBALANCE)
    for _ in range(50):
        log.error("Unable connect to node with id 1: refused")
        log.warning("something else that follows from it")
    outage.missed("the probe noticed too")
    now[0] += 12.5
    outage.answered()
    outage.answered()
    log.warning(MOVED)
    found = lines(stream)
    assert [REBALANCE, "broker_away", "broker_back", MOVED] == [line["event"] for line in found]
    assert (12.5, 100) == (found[2]["away_s"], found[2]["lines_left_out"])
    assert "refused" in found[1]["detail"]
