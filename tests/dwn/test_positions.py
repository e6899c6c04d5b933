"""Positions of logs that somebody else wrote: the log is read anew, the time is not guessed."""

from __future__ import annotations

from typing import Any

import pytest

from streams.config import Config
from streams.engine.settings import settings_of
from streams.ops.dwn import DeclaredTime
from streams.sources.dwn_log import Position, position_of
from streams.sources.errors import SourceError


def test_a_position_comes_back() -> None:
    """As it was stored."""
    position = Position('{"messageCid":"bafy"}', ("a", "b"))
    assert position == position_of(position.text())


@pytest.mark.parametrize(
    "text", ["", "7", "[" * 50_000, '{"after": 1}', '{"after": "hello"}', '{"after": "[1]"}',
             '{"done": ["\\ud800"]}', "\ufffd"],
)  # fmt: skip
def test_a_position_that_nobody_can_read_is_the_beginning(text: str) -> None:
    """What comes twice has the same ids; a cursor that is none would be refused for ever."""
    assert Position() == position_of(text)


@pytest.mark.parametrize("stored", [{"newest": "x"}, {"declared": [1]}, {"newest": 10**17}])
def test_a_time_that_nobody_can_read_is_named(stored: dict[str, Any]) -> None:
    """A lower one would call no event a correction that is one."""
    with pytest.raises(SourceError, match="own state cannot be read"):
        DeclaredTime(settings_of(Config(), ""), {}, stored)
