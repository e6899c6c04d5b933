"""Somebody's own step: how often each word is said, one source and one result."""

from __future__ import annotations

from typing import Any

from schemas.events import Value
from streams import Rows, Step, Topic, event_type


class Said(Value, frozen=True):
    """A word was said."""

    word: str
    number: int


class Count(Value, frozen=True):
    """How often a word was said."""

    word: str
    count: int


event_type("wire.said.v1", Said, lambda v: v.word, lambda v: (v.word, str(v.number)))
event_type("wire.count.v1", Count, lambda v: v.word)
said: Topic[Said] = Topic(
    "wire.said", "word", "words", "wire.said.v1", source=True, declared=False
)  # fmt: skip
counts: Topic[Count] = Topic("wire.counts", "word", "how often", "wire.count.v1")


def count_words(batch: Any, state: Any, emit: Any) -> None:
    """Count."""
    rows = Rows("count_words", state, emit)
    for event in batch:
        key = ("count", event.key)
        count = (state.get(key) or 0) + 1
        state.put(key, count)
        rows.set(counts, event.key, Count(event.key, count), 0, event)


step = Step("count_words", (said,), (counts,), count_words)
