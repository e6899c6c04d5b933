"""The model broker against what was measured on Apache Kafka: fencing, visibility, compaction."""

from __future__ import annotations

import pytest

from tests.simulation.broker import Broker, Concurrent, Content, Place, Refused

LOG = Place("log", 0)


def _broker(**committed: str) -> Broker:
    """A broker on which these entries were committed."""
    broker = Broker()
    assert 0 == broker.init("id")
    _write(broker, 0, 1, **committed)
    broker.end("id", 0, 1, commit=True)
    _arrive(broker)
    return broker


def _write(broker: Broker, epoch: int, serial: int, **entries: str) -> None:
    contents = [Content(k.encode(), v.encode() or None) for k, v in entries.items()]
    broker.produce("id", epoch, serial, LOG, contents)


def _arrive(broker: Broker) -> None:
    for transaction, place in list(broker.marking):
        broker.mark(transaction, place)


def _read(broker: Broker) -> dict[str, str]:
    found, _ = broker.log(LOG).read(0, 100)
    content = [e.content for e in found]
    return {(c.key or b"").decode(): (c.value or b"").decode() for c in content}


def test_what_is_undecided_holds_readers_back() -> None:
    """Neither the records of an open transaction are seen, nor what lies behind them."""
    broker = _broker(a="1")
    _write(broker, 0, 2, a="5")
    broker.log(LOG).append([Content(b"z", b"9")], None)
    assert ({"a": "1"}, 2) == (_read(broker), broker.log(LOG).stable)
    broker.end("id", 0, 2, commit=True)
    assert {"a": "1"} == _read(broker)
    _arrive(broker)
    assert ({"a": "5", "z": "9"}, 5) == (_read(broker), broker.log(LOG).stable)


def test_a_new_owner_aborts_and_fences_the_old_one() -> None:
    """What was open is gone, and the old owner can write and commit no more; also with new ids."""
    broker = _broker(a="1", b="1")
    _write(broker, 0, 2, a="5")
    with pytest.raises(Concurrent):
        broker.init("id")
    for request in (
        lambda: _write(broker, 0, 2, b="5"),
        lambda: _write(broker, 0, 3, b="5"),
        lambda: broker.end("id", 0, 2, commit=True),
    ):
        with pytest.raises(Refused):
            request()
    _arrive(broker)
    assert broker.init("id") > 0
    assert {"a": "1", "b": "1"} == _read(broker)


def test_a_late_record_does_not_join_the_next_transaction() -> None:
    """A request names its transaction; when that is over it is refused."""
    broker = _broker(a="1")
    with pytest.raises(Refused):
        _write(broker, 0, 1, a="late")


def test_the_same_end_is_answered_the_same() -> None:
    """Whoever lost the answer asks again; the opposite is refused."""
    broker = _broker(a="1")
    broker.end("id", 0, 1, commit=True)
    with pytest.raises(Refused):
        broker.end("id", 0, 1, commit=False)


def test_a_transaction_that_times_out_is_aborted_and_its_producer_fenced() -> None:
    """As if somebody had taken the id."""
    broker = _broker(a="1")
    _write(broker, 0, 2, a="5")
    assert ["id"] == broker.open
    broker.expire("id")
    _arrive(broker)
    with pytest.raises(Refused):
        broker.end("id", 0, 2, commit=True)
    assert {"a": "1"} == _read(broker)


def test_compaction_keeps_what_is_committed() -> None:
    """A torn or aborted record never takes the place of a committed one; a plain one does."""
    broker = _broker(a="1", b="1", c="1")
    _write(broker, 0, 2, a="5", b="")
    broker.log(LOG).clean(0)
    assert [0, 1, 2, 4, 5] == [e.offset for e in broker.log(LOG).entries]
    broker.end("id", 0, 2, commit=False)
    _arrive(broker)
    broker.log(LOG).clean(0)
    assert {"a": "1", "b": "1", "c": "1"} == _read(broker)
    broker.log(LOG).append([Content(b"a", b"torn")], None)
    broker.log(LOG).clean(0)
    assert {"a": "torn", "b": "1", "c": "1"} == _read(broker)


def test_a_deletion_is_kept_for_a_day() -> None:
    """Who reads within it hears of the deletion; afterwards nobody knows of the key."""
    broker, hour = _broker(a="1", b="1"), 3_600_000
    _write(broker, 0, 2, a="")
    broker.end("id", 0, 2, commit=True)
    _arrive(broker)
    for at, expected in ((0, {"a": "", "b": "1"}), (24, {"a": "", "b": "1"}), (25, {"b": "1"})):
        broker.log(LOG).clean(at * hour)
        assert expected == _read(broker)
