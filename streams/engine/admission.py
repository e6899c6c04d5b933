"""Which records of an input are events that take effect: readable, in time, and not said before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeGuard

from joins.outcome import Late
from schemas.envelope import Event
from schemas.errors import SchemaError
from schemas.wire import Codec
from streams.engine.guard import Message, read_all
from streams.engine.intake import Intake
from streams.engine.progress import Progress
from streams.engine.reading import Elsewhere, carries_writer, reader
from streams.engine.topology import SubTopology
from streams.topics import Topic

if TYPE_CHECKING:
    from streams.engine.stores import Scope


class Verdicts(Protocol):
    """Told of every record that is left out, and why."""

    reader: str
    """Who it is to those who write a letter back: application and sub-topology."""

    def dead(
        self, topic: Topic, message: Message, step: str, cause: str, detail: str
    ) -> None: ...  # fmt: skip
    def late(self, topic: Topic, message: Message, late: Late) -> None: ...
    def repeated(self, topic: Topic, event: Event) -> None: ...
    def elsewhere(self, topic: Topic) -> None: ...


class Admission:
    """Admits the records of a task's inputs, in offset order; lateness is tested before effect."""

    def __init__(
        self,
        sub: SubTopology,
        codec: Codec,
        intake: Intake,
        progress: Progress,
        scopes: Mapping[str, Scope],
        verdicts: Verdicts,
    ) -> None:
        self._steps, self._scopes = sub.steps, scopes
        self._intake, self._progress, self._verdicts = intake, progress, verdicts
        own = verdicts.reader.encode()
        typed = [topic for topic in sub.inputs if topic.event_type is not None]
        self._readers = {topic.name: reader(topic, codec, own) for topic in typed}
        self.own_ids = _own_ids(sub)
        """Sources whose readers all tell repetitions by themselves, and how many these are."""

    def admit(self, topic: Topic, messages: Sequence[Message]) -> Iterator[Event]:
        """The events of a batch that take effect; ``Verdicts`` hear of the others."""
        read = read_all(self._readers[topic.name], messages)
        if self._all_in_time(read, topic):
            self._progress.seen(topic, max(event.ts for event in read))
            return self._with_effect(topic, zip(read, messages, strict=True))
        return self._with_effect(topic, self._in_time(topic, read, messages))

    def _all_in_time(self, read: list[Event | SchemaError], topic: Topic) -> TypeGuard[list[Event]]:
        """Whether no record is bad, late or of the future, in whatever order; else ask for each."""
        times, cap = [], self._progress.future_cap(topic)
        for event in read:
            if type(event) is not Event or event.ts - (event.ingest_ts or event.ts) > cap:
                return False
            times.append(event.ts)
        return self._progress.none_late(topic, times)

    def _in_time(
        self, topic: Topic, read: list[Event | SchemaError], messages: Sequence[Message]
    ) -> Iterator[tuple[Event, Message]]:
        """The events that are in time, one after the other; what is not goes where it belongs."""
        for event, message in zip(read, messages, strict=True):
            if isinstance(event, Elsewhere):
                self._verdicts.elsewhere(topic)
                continue
            if isinstance(event, SchemaError):
                self._verdicts.dead(topic, message, "decode", event.cause, str(event))
                continue
            again = self._was_retracted(topic, event)
            written = carries_writer(message)
            late = self._progress.late(topic, event, retracted=again, written=written)
            if late is not None:
                self._verdicts.late(topic, message, late)
                continue
            ahead = self._progress.ahead_of_arrival(topic, event, written)
            if ahead is not None:
                said = f"{ahead} ms ahead of its arrival"
                self._verdicts.dead(topic, message, "clock", "future", said)
                continue
            self._progress.seen(topic, event.ts)
            yield event, message

    def _was_retracted(self, topic: Topic, event: Event) -> bool:
        if topic.source and topic.name not in self.own_ids:
            return self._intake.was_retracted(topic.name, event.id)
        return any(
            step.retracted(topic, event, self._scopes[step.name])
            for step in self._steps
            if topic in step.reads and step.retracted is not None
        )

    def _with_effect(self, topic: Topic, pairs: Iterable[tuple[Event, Message]]) -> Iterator[Event]:
        """The events that change anything: a source may say a thing twice."""
        if not topic.source or topic.name in self.own_ids:
            yield from (event for event, _ in pairs)
            return
        effect, name = self._intake.effect, topic.name
        for event, message in pairs:
            if effect(name, event, message.value()):
                yield event
            else:
                self._verdicts.repeated(topic, event)


def _own_ids(sub: SubTopology) -> dict[str, int]:
    found: dict[str, int] = {}
    for topic in sub.inputs:
        readers = [step for step in sub.steps if topic in step.reads]
        if topic.source and all(step.retracted is not None for step in readers):
            found[topic.name] = len(readers)
    return found
