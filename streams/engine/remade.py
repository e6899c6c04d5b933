"""Topics that were deleted and made anew: positions in the old one mean nothing in the new one.

A position beyond the new topic's end is refused by the broker. One that the new topic already has
would be gone on from in silence, so each position record holds the ids that Kafka gave its topics.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping

from confluent_kafka import KafkaError, KafkaException, TopicCollection, Uuid
from confluent_kafka.admin import AdminClient

from streams.engine.ends import MOVING
from streams.engine.settings import EngineSettings

ASK_SECONDS = 4
PATIENT_SECONDS = 60
"""librdkafka itself is not to give a question up, as in ``precheck``."""
AGAIN_SECONDS = 0.5
PASSING = MOVING | {
    KafkaError._TRANSPORT,
    KafkaError._TIMED_OUT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.BROKER_NOT_AVAILABLE,
}
NO_ID = str(Uuid(0, 0))
"""What a broker says that knows no ids (Apache Kafka before 2.8)."""


class Remade(RuntimeError):
    """A topic is another one than that in which the task stands."""


def agreed(
    known: Mapping[str, str], found: Mapping[str, str], positions: Mapping[str, int]
) -> dict[str, str]:
    """The ids of topics by name, the known ones where nothing was found; raises Remade.

    >>> agreed({"a": "x"}, {"b": "y"}, {})
    {'a': 'x', 'b': 'y'}
    """
    for name in sorted(known.keys() & found.keys()):
        if known[name] != found[name]:
            raise Remade(
                f"topic {name} was deleted and made anew (its id was {known[name]}, it is "
                f"{found[name]}), so our position {positions.get(name, 0)} in it means nothing any "
                "more. Make the results anew (docs/how-to/recover.md)"
            )
    return {**known, **found}


def topic_ids(
    settings: EngineSettings, names: Collection[str], wanted: Callable[[], bool]
) -> dict[str, str]:
    """Kafka's ids of these topics, as far as it tells them; asks until a broker answers."""
    kafka = {"bootstrap.servers": settings.bootstrap, **settings.kafka, "log_level": 2}
    client, left, found = AdminClient(kafka), set(names), dict[str, str]()
    while left and wanted():
        asked = client.describe_topics(
            TopicCollection(sorted(left)), request_timeout=PATIENT_SECONDS
        )
        for name, future in asked.items():
            try:
                found[name] = str(future.result(ASK_SECONDS).topic_id)
            except TimeoutError:
                continue
            except KafkaException as error:
                if error.args[0].code() in PASSING:
                    continue
            left.discard(name)
        time.sleep(AGAIN_SECONDS if left else 0)
    return {name: id for name, id in found.items() if id != NO_ID}
