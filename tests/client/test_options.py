"""Options that cannot work are refused before a broker is asked, with the remedy."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from streams import topics
from streams.client import BadOption, Consumer

NOWHERE = "127.0.0.1:1"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"start": 5}, r"Offset\(n\), Time\(ms\)"),
        ({"start": "now"}, r"is no place to start"),
        ({"start": datetime(2026, 1, 1)}, "add tzinfo=UTC"),
        ({"until": "now"}, "write 'end' or None"),
        ({"view": "live"}, "write 'events' or 'net'"),
        ({"commit": "never"}, "write 'auto' or 'manual'"),
        ({"malformed": "raise"}, "write 'skip' or 'yield'"),
        ({"confirmations": 0}, "1 means: in a block"),
        ({"unanchored": True}, "add confirmations=n"),
        ({"horizon_ms": 5}, 'add view="net"'),
        ({"kafka": {"group.id": "x"}}, "use group="),
        ({"kafka": {"isolation.level": "read_uncommitted"}}, "uncommitted records are no facts"),
        ({"kafka": {"no.such.setting": 1}}, "librdkafka refuses a setting"),
    ],
)
def test_an_impossible_option_names_its_remedy(options: dict[str, Any], words: str) -> None:
    """Cause and remedy in one line each."""
    with pytest.raises(BadOption, match=words) as caught:
        Consumer(NOWHERE, topics.alerts, **options)
    assert caught.value.cause and caught.value.remedy


def test_an_option_that_does_not_exist_is_a_type_error() -> None:
    """As with any Python function."""
    with pytest.raises(TypeError, match="begin"):
        Consumer(NOWHERE, topics.alerts, begin="end")  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "no topic is named"),
        ((topics.facts,), "passed in memory"),
        (("dead_letters",), "original bytes"),
    ],
)
def test_topics_that_cannot_be_consumed_are_named(names: tuple[Any, ...], words: str) -> None:
    """None at all, one that is never stored, one of other records' bytes."""
    with pytest.raises(BadOption, match=words):
        Consumer(NOWHERE, *names)
