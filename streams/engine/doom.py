"""A worker that was told to come to grief: for tests of faults, by ``STREAMS_TEST_FAULT``.

The variable is a list, divided by commas, of ``ACTION@WHEN:STAGE[#N]``: do it ``before`` or
``after`` a stage (``streams.engine.stages``), the ``N``th time that this process comes there
(default 1; ``N+``: that time and each time after it).

=========  =====================================================================================
kill       SIGKILL to oneself
stop       SIGSTOP to oneself: the whole process stands still until it gets SIGCONT
hang       this thread waits for ever; ``hang=SECONDS``: so long, then goes on
raise      the stage fails, as Kafka or the disk let it fail
=========  =====================================================================================

>>> read("kill@before:commit#3, hang=0.5@after:outputs#2+")  # doctest: +NORMALIZE_WHITESPACE
[Fault(action='kill', seconds=None, when='before', stage=<Stage.COMMIT: 'commit'>, first=3,
       again=False),
 Fault(action='hang', seconds=0.5, when='after', stage=<Stage.OUTPUTS: 'outputs'>, first=2,
       again=True)]
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from itertools import count
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException

from streams.engine.mover import end_process
from streams.engine.selection import EXIT_TOPOLOGY
from streams.engine.stages import CHECKPOINT, TAKEOVER, Stage, When, watch
from streams.engine.stores import StateLost

VARIABLE = "STREAMS_TEST_FAULT"
HANGS = "hang"
FOREVER = 1e9
FALLIBLE = frozenset({*TAKEOVER[:3], *CHECKPOINT[2:9], Stage.ABORT})
"""The stages that Kafka or a disk can let fail."""
_ONE = re.compile(
    r"(?P<action>kill|stop|hang|raise)(?:=(?P<seconds>[0-9.]+))?"
    r"@(?P<when>before|after):(?P<stage>[a-z_]+)(?:#(?P<first>[1-9][0-9]*)(?P<again>\+?))?"
)


class BadFault(ValueError):
    """The variable cannot be understood; the message says what would be."""


class Fault(NamedTuple):
    """What is to happen, and where."""

    action: str
    seconds: float | None
    when: When
    stage: Stage
    first: int
    again: bool

    def due(self, number: int) -> bool:
        """Whether it is to happen at this time, counted from 1."""
        return number == self.first or (self.again and number > self.first)

    def happen(self) -> None:
        """Do it."""
        print(f"streams: {VARIABLE}: {self}\n", end="", file=sys.__stderr__, flush=True)
        if self.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.action == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif self.action == HANGS:
            time.sleep(FOREVER if self.seconds is None else self.seconds)
        elif self.stage in (Stage.RESTORE, Stage.KEEP):
            raise StateLost(f"{self}, as told")
        else:
            raise KafkaException(KafkaError(KafkaError._FAIL, f"{self}, as told"))

    def __str__(self) -> str:
        return f"{self.action} {self.when} {self.stage}"


def read(text: str) -> list[Fault]:
    """The faults that the variable names; raises BadFault."""
    return [_read_one(one.strip()) for one in text.split(",") if one.strip()]


def _read_one(text: str) -> Fault:
    found = _ONE.fullmatch(text)
    if found is None:
        raise BadFault(
            f"{VARIABLE}: {text!r} is no fault: write ACTION@WHEN:STAGE#N, as kill@before:commit#3"
        )
    if found["stage"] not in list(Stage):
        names = ", ".join(Stage)
        raise BadFault(f"{VARIABLE}: there is no stage {found['stage']!r}, there are {names}")
    stage, seconds = Stage(found["stage"]), found["seconds"]
    if found["action"] == "raise" and stage not in FALLIBLE:
        raise BadFault(f"{VARIABLE}: {stage} cannot fail, name one of {', '.join(FALLIBLE)}")
    if seconds is not None and found["action"] != HANGS:
        raise BadFault(f"{VARIABLE}: only hang takes seconds: {text!r}")
    when: When = "before" if found["when"] == "before" else "after"
    pause = None if seconds is None else float(seconds)
    first, again = int(found["first"] or 1), bool(found["again"])
    return Fault(found["action"], pause, when, stage, first, again)


def arm(text: str) -> None:
    """Have the faults happen in this process, and say so; ends it where they are not understood."""
    faults: list[tuple[Fault, count[int]]] = []
    try:
        faults += [(fault, count(1)) for fault in read(text)]
    except BadFault as error:
        end_process(EXIT_TOPOLOGY, str(error))

    def hook(when: When, stage: Stage) -> None:
        for fault, times in faults:
            if (fault.when, fault.stage) == (when, stage) and fault.due(next(times)):
                fault.happen()

    watch(hook)
    words = f"{VARIABLE}={text}: THIS WORKER WILL FAIL ON PURPOSE; unset it if this is no test"
    print(f"streams: {words}\n", end="", file=sys.__stderr__, flush=True)
