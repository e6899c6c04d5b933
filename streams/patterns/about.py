"""What a person reads about a pattern: the words of its page in the documentation."""

from __future__ import annotations

import msgspec


class About(msgspec.Struct, frozen=True):
    """A pattern in words; its limits are described in its config."""

    definition: str
    """What has to be true, and what is left out on purpose."""
    severity: str
    """Which severity a match has, and when."""
    source: str
    """Where the definition is from."""
