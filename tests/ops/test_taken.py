"""A transaction that the broker refuses: written again for a while, given up when asked to stop."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.ops import taken
from streams.ops.taken import until_taken


class Write:
    """Is refused so many times."""

    def __init__(self, refusals: int) -> None:
        self.left, self.calls = refusals, 0

    def __call__(self) -> None:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taken, "AGAIN_SECONDS", 0.0)


def test_a_refused_write_is_written_again_until_it_is_taken() -> None:
    """Each refusal is one more attempt, and nothing is written after the one that was taken."""
    write = Write(3)
    until_taken(write, 60, lambda: False)
    assert 4 == write.calls


@pytest.mark.parametrize(("seconds", "stop", "calls"), [(0.0, False, 2), (60.0, True, 1)])
def test_patience_ends_with_its_time_and_with_a_stop(
    seconds: float, stop: bool, calls: int
) -> None:
    """The last refusal is raised: the position is not behind what was not written."""
    write = Write(3)
    with pytest.raises(KafkaException):
        until_taken(write, seconds, lambda: stop)
    assert calls == write.calls


def test_an_attempt_may_wait_for_longer_than_patience_lasts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a broker that was away for 65 s refuses once it is back is written again.

    attempt   |---- 65 s: away ----x  |taken
    patience                       |---- 60 s
    """
    write, now = Write(1), [0.0]
    monkeypatch.setattr(taken.time, "monotonic", lambda: now[0])

    def waits() -> None:
        now[0] += 65
        write()

    until_taken(waits, 60, lambda: False)
    assert 2 == write.calls
