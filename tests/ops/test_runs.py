"""Runs of a topology as settings and records, without a broker."""

from __future__ import annotations

import msgspec
import pytest

from joins.clock import NEG_INF
from streams.config import Config, ConfigError, RunSettings
from streams.engine.settings import settings_of
from streams.ops.modules import select
from streams.ops.replaying import _behind
from streams.ops.runs import Known, NoRun, Run, applied, check_name, followed, known_of
from streams.topics import alerts, dead_letters

RUN = Run("v2", None, 6, 4, {"bitcoin.blocks": [0, 7]}, True, 0)


def test_a_run_brings_its_partitions_and_starts() -> None:
    """A task without a position begins there; dead letters keep the partitions they have."""
    settings = settings_of(applied(Config(), RUN), "")
    assert (6, "v2", "streams-v2") == (settings.partitions, settings.run, settings.application)
    starts = [settings.start_of("bitcoin.blocks", p) for p in range(3)]
    assert [0, 7, 0] == starts
    assert (6, 4) == (settings.count_of(alerts), settings.count_of(dead_letters))


def test_a_record_that_nobody_can_read_is_left_out_and_told() -> None:
    """Whoever wrote it: the other runs are there, and what has another key is nobody's."""
    raw = msgspec.json.encode(RUN)
    known, left_out = known_of([
        (b"run/v2", raw), (b"run/v3", raw), (b"run/v4", b"\xff"), (b"run/v5", b"[" * 50_000),
        (b"run/v6", raw.replace(b'"partitions":6', b'"partitions":1000000000')), (b"run/v4", None),
        (b"\xff", b"x"), (b"", b""), (b"current", b"v3"), (b"current/", b"v2\xff"),
    ])  # fmt: skip
    assert ({"v2": RUN}, ["v3", "v5", "v6"]) == (known.runs, left_out)
    assert {"": "v2\\xff"} == known.current
    with pytest.raises(NoRun, match=r"there is no run v2\\xff"):
        followed(Config(), known, None)


@pytest.mark.parametrize("name", ["", "V2", "2", "a.b", "a-b", "original", "x" * 32])
def test_names_that_cannot_be_are_refused(name: str) -> None:
    """A name becomes part of the names of topics."""
    with pytest.raises(NoRun, match="cannot be named"):
        check_name(name)


def test_the_current_run_is_followed_unless_one_is_named() -> None:
    """Each module has a current run of its own; `original` is what the code says."""
    known = Known({"v2": RUN}, {"": "v2"})
    assert "v2" == followed(Config(), known, None).run.name
    assert "" == followed(Config(), known, "my.steps").run.name
    original = Config(run=RunSettings("original"))
    assert "streams" == original.id
    assert Config() == followed(original, known, None)
    with pytest.raises(NoRun, match=r"there is no run v3.*v2"):
        followed(Config(run=RunSettings("v3")), known, None)
    with pytest.raises(NoRun, match="is not of these steps"):
        followed(Config(run=RunSettings("v2")), known, "my.steps")


def test_original_is_the_topology_of_the_code() -> None:
    """Also where a command does not ask the broker."""
    config = Config(run=RunSettings("original"))
    assert [s.name for s in select(Config()).run] == [s.name for s in select(config).run]
    assert "streams-by_txid-changelog" == settings_of(config, "").changelog("by_txid")


def test_starts_that_cannot_be_read_are_refused() -> None:
    """They are written by the replay; who writes them by hand is told how."""
    with pytest.raises(ConfigError, match="TOPIC/PARTITION=OFFSET"):
        settings_of(Config(run=RunSettings("v2", starts=["bitcoin.blocks=7"])), "")


def test_the_slowest_step_says_how_far_a_run_is_behind() -> None:
    """A step that has no time yet, where the other has, is not behind by a number.

    ::

        current   a 100   b 50   c none
        v2        a  90   b 50   c 10    -> 10;    b none -> not known
    """
    assert 10 == _behind({"a": 90, "b": 50, "c": 10}, {"a": 100, "b": 50, "c": NEG_INF})
    assert _behind({"a": 90, "b": NEG_INF}, {"a": 100, "b": 50}) is None
    assert 0 == _behind({"copy-x": 5, "a": 1}, {})
