"""What steps are given to write with, to refuse and to leave out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from schemas.envelope import Event
from streams.engine.step import Step
from streams.topics import Topic

Route = Callable[[Topic, Event, dict[str, list[Event]]], None]
Fan = Callable[[str, Topic, Event, list[tuple[str | int, Any]], dict[str, list[Event]]], None]


class Refusal(NamedTuple):
    """Why a step refused a record."""

    step: str
    cause: str
    detail: str


class TaskEmit:
    """The ``Emit`` of a task; its owner says which step and which batch it stands for."""

    def __init__(self, route: Route, fan: Fan) -> None:
        self._route, self._fan = route, fan
        self.inbox: dict[str, Any] = {}
        self.step = "decode"
        self.entered: list[str] = []
        """The steps that had something of this batch."""
        self.refused: list[Refusal] = []
        self.rules: list[str] = []
        """Of each record that was filtered, the rule, behind the name of the step."""
        self.nothing: list[tuple[str, Event]] = []
        """What had no effect, and in which step."""
        self._writes: frozenset[str] = frozenset()
        self.inputs: Iterable[Any] = ()
        self._open: set[int] | None = None

    def begin(self, inputs: Iterable[Any], inbox: dict[str, Any]) -> None:
        """A batch follows: ``inputs`` are the events that came from Kafka."""
        self.inputs, self._open, self.inbox = inputs, None, inbox
        self.step, self.refused, self.rules = "decode", [], []
        self.nothing, self.entered = [], []

    def enter(self, step: Step) -> None:
        """``step`` runs now."""
        self.step = step.name
        self.entered.append(step.name)
        self._writes = frozenset(topic.name for topic in step.writes)

    def __call__(self, topic: Topic, event: Event) -> None:
        if topic.name not in self._writes:
            self._require(topic)
        self._route(topic, event, self.inbox)

    def derive(self, topic: Topic, cause: Event, rows: Iterable[tuple[str | int, Any]]) -> None:
        self._require(topic)
        found = list(rows)
        if found:
            self._fan(self.step, topic, cause, found, self.inbox)

    def _require(self, topic: Topic) -> None:
        if topic.name not in self._writes:
            raise ValueError(f"step {self.step} does not declare that it writes {topic.name}")

    def _judge(self, event: Any) -> None:
        """One disposition a record: an input of the task, and not yet refused or filtered."""
        if self._open is None:
            self._open = set(map(id, self.inputs))
        if id(event) not in self._open:
            raise ValueError(f"step {self.step} may only refuse or filter its input's events, once")
        self._open.remove(id(event))

    def refuse(self, event: Any, cause: str, detail: str) -> None:
        self._judge(event)
        self.refused.append(Refusal(self.step, cause, detail))

    def filtered(self, event: Any, rule: str) -> None:
        self._judge(event)
        self.rules.append(f"{self.step}: {rule}")

    def no_effect(self, events: Sequence[Event]) -> None:
        self.nothing += [(self.step, event) for event in events]
