"""What steps are given to write with, to refuse and to leave out."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from schemas.envelope import Event
from streams.engine.guard import Message
from streams.engine.step import Step
from streams.topics import Topic

Route = Callable[[Topic, Event, dict[str, list[Event]]], None]


class Refusal(NamedTuple):
    """Why a step refused a record."""

    step: str
    cause: str
    detail: str


class TaskEmit:
    """The ``Emit`` of a task; its owner says which step and which batch it stands for."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self.inbox: dict[str, list[Event]] = {}
        self.step = "decode"
        self.refused: dict[int, Refusal] = {}
        """By ``id`` of the message."""
        self.filtered_count = 0
        self._writes: frozenset[str] = frozenset()
        self._origins: dict[int, Message] = {}

    def begin(self, origins: dict[int, Message], inbox: dict[str, list[Event]]) -> None:
        """A batch of input events follows; ``origins`` has their messages by ``id``."""
        self._origins, self.inbox = origins, inbox
        self.step, self.refused, self.filtered_count = "decode", {}, 0

    def enter(self, step: Step) -> None:
        """``step`` runs now."""
        self.step = step.name
        self._writes = frozenset(topic.name for topic in step.writes)

    def __call__(self, topic: Topic, event: Event) -> None:
        if topic.name not in self._writes:
            raise ValueError(f"step {self.step} does not declare that it writes {topic.name}")
        self._route(topic, event, self.inbox)

    def _origin(self, event: Event) -> Message:
        message = self._origins.pop(id(event), None)
        if message is None:
            raise ValueError(f"step {self.step} may only refuse or filter its input's events, once")
        return message

    def refuse(self, event: Event, cause: str, detail: str) -> None:
        self.refused[id(self._origin(event))] = Refusal(self.step, cause, detail)

    def filtered(self, event: Event, rule: str) -> None:
        self._origin(event)
        self.filtered_count += 1
