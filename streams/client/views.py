"""The views of a consumer: what its records become before they are yielded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from streams.client.errors import BadOption
from streams.client.net import Net
from streams.client.options import Settings
from streams.client.records import Record
from streams.client.settle import Settler


class View(Protocol):
    """Folds records into what is yielded."""

    def take(self, record: Record[Any], known: bool = False) -> Sequence[Record[Any]]:
        """What a record becomes; ``known``: it was yielded before."""

    def net(self) -> dict[str, Record[Any]]:
        """What is true, by id."""

    def counts(self) -> dict[str, int]:
        """What became of records that were not yielded."""

    def unresolved(self, topic: str, partition: int) -> int | None:
        """The offset of the first record that may still be yielded because of another one."""

    def drop(self, topic: str, partition: int) -> None:
        """Forget a partition."""


class Plain:
    """Every record as it is."""

    def take(self, record: Record[Any], known: bool = False) -> Sequence[Record[Any]]:
        """The record."""
        return (record,)

    def net(self) -> dict[str, Record[Any]]:
        """Nothing is remembered; raises BadOption."""
        raise BadOption("this consumer does not remember what is true", 'open it with view="net"')

    def counts(self) -> dict[str, int]:
        """Every record is yielded."""
        return {}

    def unresolved(self, topic: str, partition: int) -> int | None:
        """Nothing waits here."""
        return None

    def drop(self, topic: str, partition: int) -> None:
        """Nothing is remembered."""


def view_of(settings: Settings) -> View:
    """The view that the options ask for."""
    if settings.confirmations is not None:
        return Settler(settings.confirmations, settings.unanchored, settings.horizon_ms)
    return Net(settings.horizon_ms) if settings.view == "net" else Plain()
