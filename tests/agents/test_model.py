"""Scores: nothing before the first label, then by the snapshot of their event time, corrected."""

from __future__ import annotations

from schemas.events import Label
from streams import topics
from streams.agents.pipeline import topology
from streams.config import Config
from streams.testing import TopologyDriver
from tests.shapes import confirmed, name, tx

HOUR = 3_600_000
T = 1_700_000_000_000 - 1_700_000_000_000 % HOUR
CONFIG = Config(model_boundary_ms=HOUR)
#   hour 0: a, b, c and their labels    hour 1: d, e
#   |---a--b--c--labels---|  snapshot valid from T + 1 h  |---d---e---|


def story(driver: TopologyDriver, late_label: bool = False) -> None:
    """Transactions a to e, three labels, the watermark past the first hour."""
    for number, word in enumerate("abc"):
        body = tx(word, {f"to {word}": 1_000 * (number + 1)}, block="A", height=1)
        driver.send(topics.transactions, confirmed(body, T + number), writer="s")
    labels = [("a", True), ("b", False)] + ([] if late_label else [("c", False)])
    for word, illicit in labels:
        driver.produce(topics.labels, Label(name(word), illicit, "x"), ts=T + 10_000, writer="s")
    for number, word in enumerate("de"):
        body = tx(word, {f"to {word}": 9_000}, block="B", height=2)
        driver.send(topics.transactions, confirmed(body, T + HOUR + number), writer="s")
    for topic in topics.SOURCES:
        driver.declare(topic, T + HOUR + 60_000, "s")
    driver.checkpoint()
    driver.run()
    if late_label:
        driver.produce(
            topics.labels, Label(name("c"), False, "x"), ts=T + 10_000, writer="s", correction=True
        )
        driver.run()


def scores(driver: TopologyDriver) -> dict[str, float | None]:
    """Score by the word of the transaction."""
    words = {name(w): w for w in "abcde"}
    return {words[s.txid]: s.score for s in driver.net(topics.results).values()}


def test_before_the_first_label_a_score_is_null_with_its_reason() -> None:
    """No label, no score: the reason says so."""
    driver = TopologyDriver(topology(CONFIG), partitions=1)
    body = tx("a", block="A", height=1)
    driver.send(topics.transactions, confirmed(body, T), writer="s")
    (score,) = driver.net(topics.results).values()
    assert (None, "no label has been learned yet") == (score.score, score.reason)


def test_the_snapshot_of_the_event_s_time_scores_it() -> None:
    """Transactions of the first hour stay without a score, those after it have one."""
    driver = TopologyDriver(topology(CONFIG), partitions=2)
    story(driver)
    found = scores(driver)
    assert [None, None, None] == [found[w] for w in "abc"]
    assert all(found[w] is not None and 0 <= found[w] <= 1 for w in "de")  # type: ignore[operator]
    (snapshot,) = driver.net(topics.models).values()
    assert (T + HOUR, 3, 1) == (snapshot.valid_from_ts, snapshot.learned, snapshot.positives)


def test_a_label_that_comes_after_its_window_gives_what_it_would_have_given_in_time() -> None:
    """Learning again from before the window gives the same snapshot and the same scores."""
    in_time, late = (TopologyDriver(topology(CONFIG), partitions=2) for _ in range(2))
    story(in_time)
    story(late, late_label=True)
    assert in_time.net(topics.models) == late.net(topics.models)
    assert in_time.net(topics.results) == late.net(topics.results)
