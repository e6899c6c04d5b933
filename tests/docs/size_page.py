"""The model of a cluster: what was measured, from bench/RESULTS.md, and the arithmetic on it."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from bench.harness.table import number
from tests.docs.bench_page import RESULTS, section

UNKNOWN = "?"
"""In place of a figure that no bench has measured yet, and of all that follows from it."""


class Chosen(NamedTuple):
    """What the reader has to say."""

    name: str
    value: float
    unit: str
    about: str


class Measured(NamedTuple):
    """A figure of a bench: its row and column in bench/RESULTS.md."""

    name: str
    unit: str
    bench: str
    case: str
    column: str
    about: str
    contender: str = "ours"


class Line(NamedTuple):
    """A step of the arithmetic; names stand for what is above."""

    name: str
    expression: str
    unit: str


CHOSEN = (
    Chosen("rate", 1_000_000, "events/s", "that come in, all of them counted by key"),
    Chosen("partitions", 64, "", "of each topic"),
    Chosen("steps", 2, "", "sub-topologies: a keyed count, then an interval join"),
    Chosen("results", 0.1, "", "results of the count by event, which go into the join"),
    Chosen("pairs", 0.1, "", "results of the join by event"),
    Chosen("event_bytes", 300, "bytes", "key, value and headers of an event"),
    Chosen("result_bytes", 300, "bytes", "the same of a result"),
    Chosen("keys", 10_000_000, "", "that are counted"),
    Chosen("open_s", 20, "s", "for which the join keeps an event"),
    Chosen("checkpoint_s", 0.3, "s", "the interval, with `engine.checkpoint_ms = 300`"),
    Chosen("brokers", 3, "", ""),
    Chosen("replicas", 3, "", "of each partition"),
    Chosen("busy", 0.6, "", "of a core that is to be used when nothing is wrong"),
)
MEASURED = (
    Measured("count_us", "µs", "keyed_count", "100000", "cpu_us_per_event", "CPU of the count"),
    Measured("join_us", "µs", "joins", "interval_inner", "cpu_us_per_event", "CPU of the join"),
    Measured("spread", "", "scale", "100000", "4_by_1", "more CPU with four workers than with one"),
    Measured(
        "commit_ms", "ms", "commits", "7", "p50_ms", "a transaction on 7 partitions",
        "bare_confluent",
    ),
    Measured("key_bytes", "bytes", "memory", "keys", "bytes_each", "memory of a key"),
    Measured("open_bytes", "bytes", "memory", "joins", "bytes_each", "memory of an open entry"),
    Measured("key_log", "bytes", "memory", "keys", "changelog_bytes", "changelog of a key"),
    Measured("open_log", "bytes", "memory", "joins", "changelog_bytes", "changelog of an entry"),
    Measured("failover_s", "s", "recovery", "1000000", "failover_s", "500,000 keys taken over"),
    Measured("noticed_s", "s", "recovery", "1000000", "noticed_s", "of that, until it is noticed"),
)  # fmt: skip
LINES: Mapping[str, tuple[Line, ...]] = {
    "CPU": (
        Line("count_cores", "rate * count_us / 1e6", "cores"),
        Line("join_cores", "rate * results * join_us / 1e6", "cores"),
        Line("cores", "(count_cores + join_cores) * spread / busy", "cores"),
        Line("workers", "ceil(cores)", "workers, a core each"),
    ),
    "Tasks": (
        Line("tasks", "steps * partitions", "tasks"),
        Line("tasks_each", "tasks / workers", "tasks a worker"),
        Line("events_each", "rate / partitions", "events/s a partition"),
    ),
    "Network of the brokers": (
        Line("in_mb", "rate * event_bytes / 1e6", "MB/s of events"),
        Line("out_mb", "rate * (results + pairs) * result_bytes / 1e6", "MB/s of results"),
        Line("log_mb", "rate * (key_log + results * open_log) / 1e6", "MB/s of changelog, at most"),
        Line("written_mb", "(in_mb + out_mb + log_mb) * replicas / brokers", "MB/s a broker"),
    ),
    "Transactions": (
        Line("transactions", "tasks / checkpoint_s / brokers", "a second and broker"),
        Line("under_way", "tasks / checkpoint_s * commit_ms / 1000", "at a time"),
    ),
    "Memory": (
        Line("open_entries", "rate * results * open_s", "open entries"),
        Line("memory_gb", "(keys * key_bytes + open_entries * open_bytes) / 1e9", "GB"),
        Line("memory_each_gb", "memory_gb / workers", "GB a worker"),
    ),
    "Changelog and recovery": (
        Line("log_gb", "(keys * key_log + open_entries * open_log) / 1e9", "GB, once compacted"),
        Line("keys_each", "keys / workers", "keys a worker"),
        Line("read_s", "(failover_s - noticed_s) * keys_each / 500000", "s to read them"),
        Line("recovery_s", "noticed_s + read_s", "s until its results come again"),
    ),
}
_OPERATORS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def evaluate(expression: str, known: Mapping[str, float]) -> float:
    """The value of a line: numbers, names, + - * / and ``ceil``.

    >>> evaluate("ceil(a * 2.5 - 1)", {"a": 1})
    2
    """
    return _value(ast.parse(expression, mode="eval").body, known)


def _value(node: ast.expr, known: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.Name(id=name):
            return known[name]
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_value(left, known), _value(right, known))
        case ast.Call(func=ast.Name(id="ceil"), args=[only]):
            return math.ceil(_value(only, known))
    raise ValueError(f"no arithmetic: {ast.unparse(node)}")


def lookup(text: str, one: Measured) -> float | None:
    """The median that bench/RESULTS.md has; None where there is none."""
    found = section(text, one.bench)
    for row in found.rows if found else ():
        if (row["case"], row["contender"]) == (one.case, one.contender):
            cell = row.get(one.column, "").partition(" ")[0].replace(",", "")
            return float(cell) if cell else None
    return None


def page(path: Path = RESULTS) -> dict[str, str]:
    """The generated parts of the page."""
    text = path.read_text(encoding="utf-8")
    measured = {one.name: lookup(text, one) for one in MEASURED}
    known = {name: value for name, value in measured.items() if value is not None}
    return {
        "chosen": _chosen(),
        "measured": _measured(known),
        "arithmetic": arithmetic(known | {one.name: one.value for one in CHOSEN}),
    }


def _chosen() -> str:
    rows = [[f"`{c.name}`", f"{c.value:,}", c.unit, c.about] for c in CHOSEN]
    return _table(["Name", "Value", "Unit", "What"], rows)


def _measured(known: Mapping[str, float]) -> str:
    rows = [
        [f"`{m.name}`", _shown(known, m.name), m.unit, m.about, f"`{m.bench}`", _place(m)]
        for m in MEASURED
    ]
    return _table(["Name", "Value", "Unit", "What", "Bench", "Row and column"], rows)


def _shown(known: Mapping[str, float], name: str) -> str:
    return f"{known[name]:,}" if name in known else UNKNOWN


def _place(one: Measured) -> str:
    return f"{one.case}, {one.contender}: `{one.column}`"


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def arithmetic(known: Mapping[str, float]) -> str:
    """The lines with their values, by heading; each uses the values that are shown."""
    shown = dict(known)
    blocks = []
    for heading, lines in LINES.items():
        found = []
        for line in lines:
            text = _worked_out(line.expression, shown)
            if text != UNKNOWN:
                shown[line.name] = float(text.replace(",", ""))
            found.append(f"{line.name} = {line.expression} = {text} {line.unit}")
        blocks.append(f"### {heading}\n\n```text\n" + "\n".join(found) + "\n```")
    return "\n\n".join(blocks)


def _worked_out(expression: str, known: Mapping[str, float]) -> str:
    try:
        value = evaluate(expression, known)
    except KeyError:
        return UNKNOWN
    return number(value) if value >= 1 else f"{value:.3g}"


def shown_inputs(text: str) -> dict[str, float]:
    """The inputs that a page shows: first and second column of its tables."""
    rows = re.findall(r"^\| `(\w+)` \| ([\d.,]+) \|", text, re.MULTILINE)
    return {name: float(value.replace(",", "")) for name, value in rows}


def shown_lines(text: str) -> list[tuple[str, str, str]]:
    """Name, expression and value of each line of arithmetic that a page shows."""
    return re.findall(r"^(\w+) = (.+) = ([\d.,]+) \S.*$", text, re.MULTILINE)
