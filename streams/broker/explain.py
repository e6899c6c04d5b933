"""Why a broker did not start, read from the end of its log."""

from __future__ import annotations

from pathlib import Path

from streams.broker.errors import OTHER_BROKER, BrokerError, PortTaken

_TAIL_BYTES = 64_000
_TAIL_LINES = 12

_KNOWN = (
    (
        "Failed to acquire lock on file",
        "another broker is alive in its data directory",
        "stop that one, or choose another data directory",
    ),
    ("No space left on device", "the disk is full", "free some space"),
    (
        "insufficient memory for the Java Runtime",
        "there is not enough memory for Java",
        "free some 600 MB",
    ),
    ("OutOfMemoryError", "Kafka ran out of memory", "give it more, such as jvm=('-Xmx2g',)"),
)


def explain_death(code: int, log: Path) -> BrokerError:
    """The error for a broker whose process ended before it was ready."""
    text = _end(log)
    if "Address already in use" in text:
        return PortTaken("the port is taken by another program", _last(text))
    for pattern, cause, remedy in _KNOWN:
        if pattern in text:
            return BrokerError(f"the broker did not start: {cause}", remedy, _last(text))
    return BrokerError(
        f"the broker ended with exit code {code} before it was ready",
        f"read the last lines of {log} below, {OTHER_BROKER}",
        _last(text),
    )


def explain_silence(timeout_s: float, log: Path) -> BrokerError:
    """The error for a broker that runs but does not answer."""
    return BrokerError(
        f"the broker did not answer within {timeout_s:g} s",
        "is the machine very busy? try again with a longer timeout; the last lines of "
        f"{log} are below",
        _last(_end(log)),
    )


def _end(log: Path) -> str:
    try:
        return log.read_bytes()[-_TAIL_BYTES:].decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _last(text: str) -> str:
    """The last lines that say something: no frames of a Java stack trace."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("\tat ")]
    return "\n".join(lines[-_TAIL_LINES:])
