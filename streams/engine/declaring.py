"""What a task has declared of time, and what there is to declare."""

from __future__ import annotations

from typing import Any

from joins.clock import NEG_INF

Stood = tuple[int, bool, bool]
"""What had been declared at one moment."""


class Declaring:
    """The watermark and the idleness of one task, as its readers know them."""

    def __init__(self) -> None:
        self.published = NEG_INF
        """The greatest watermark that was declared (ms)."""
        self.idle = False
        """Whether it was declared that the task is idle."""
        self.again = False
        """Whether what is declared by the state may not have reached its readers."""
        self.quiet = False
        """Whether nothing is to be declared for a while."""

    @property
    def stands(self) -> Stood:
        """To go back to where the checkpoint fails."""
        return self.published, self.idle, self.again

    def put_back(self, stood: Stood) -> None:
        """A checkpoint failed: what it was to declare is news again."""
        self.published, self.idle, self.again = stood

    def news(self, bound: int, idle: bool) -> list[int | None]:
        """What there is to declare: how far the task came, then that it is idle, or is no more."""
        if self.quiet:
            return []
        news: list[int | None] = []
        if bound > self.published or self.again or (self.idle and not idle):
            news.append(max(bound, self.published))
        if idle and (news or not self.idle):  # whoever declares is no longer idle
            news.append(None)
        return news

    def take(self, bound: int, idle: bool) -> list[int | None]:
        """The same, and it is no news any more."""
        news = self.news(bound, idle)
        self.again = self.again and not news
        for said in news:
            self.idle = said is None
            self.published = self.published if said is None else said
        return news

    def load(self, position: dict[str, Any]) -> None:
        """Stand where a position record stands."""
        self.published, self.idle = position["published"], position["said_idle"]
        # at least once a watermark is written after its state is committed, or not at all
        repeats = position.get("delivery") == "at_least_once"
        self.again = repeats and self.published > NEG_INF
