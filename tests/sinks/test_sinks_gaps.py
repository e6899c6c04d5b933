"""Records that were gone before a sink read them, and topics that are not what they were."""

from __future__ import annotations

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from sink_world import PARTITIONS, TOPICS, Changes, make_topics
from test_sinks_driver import driver

from sinks.memory import MemorySink
from tests.postgres import until


def test_what_was_deleted_before_it_was_read_is_said_and_counted(
    sink_broker: str, changes: Changes
) -> None:
    """The sink goes on with what is left: nobody can write what is gone.

    ::

        records   |--- read ---|--- deleted ---|--- left ---|
        sink      |------------| stopped       |------------|
    """
    sink, said = MemorySink(), list[str]()
    changes.write(200)
    made = driver(sink_broker, sink)
    assert made.caught_up(60), made.error
    made.stop()
    before, stood = changes.written, dict(sink.positions())
    changes.write(200)
    gone = sum(first - stood.get(place, 0) for place, first in deleted(sink_broker).items())
    between = changes.written
    changes.write(200)
    made = driver(sink_broker, sink, say=said.append)
    assert made.caught_up(60), made.error
    made.stop()
    assert (changes.written - between, gone, 1) == (made.written, made.unread, len(said))
    assert gone >= between - before
    assert "deleted before they were read here" in said[0]


def test_a_topic_that_was_made_anew_is_not_taken_for_the_old_one(
    sink_broker: str, changes: Changes
) -> None:
    """The target stands behind its end: rows have the offsets of the old one as versions."""
    sink = MemorySink()
    while not changes.written:
        changes.write(200)
    made = driver(sink_broker, sink)
    assert made.caught_up(60), made.error
    made.stop()
    make_topics(sink_broker)
    changes.write(5)
    made = driver(sink_broker, sink)
    until("it ends", lambda: made.error is not None)
    made.stop()
    assert "the topic was made anew" in str(made.error)
    assert "empty the target" in str(made.error)


def deleted(bootstrap: str) -> dict[tuple[str, int], int]:
    """Delete all records that there are; where each partition begins now."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    every = [TopicPartition(name, p, -1) for name in TOPICS for p in range(PARTITIONS)]
    found = admin.delete_records(every)
    return {
        (tp.topic, tp.partition): future.result(30).low_watermark for tp, future in found.items()
    }
