"""Topics that were deleted and made anew: positions in the old one mean nothing in the new one.

A position beyond the new topic's end is refused by the broker. One that the new topic already has
would be gone on from in silence, so each position record holds the ids that Kafka gave its topics.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, wait
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection, Uuid
from confluent_kafka.admin import AdminClient

from streams.engine.ends import MOVING
from streams.engine.groups import PATIENT_SECONDS
from streams.engine.settings import EngineSettings

ASK_SECONDS = 4
AGAIN_SECONDS = 0.5
LOOK_SECONDS = 0.1
SILENT_SECONDS = 20
"""For so long brokers that answer other questions may leave this one open (no controller)."""
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


def _answers(client: AdminClient) -> bool:
    try:
        client.list_topics("-", timeout=1)
    except KafkaException:
        return False
    return True


def _await(asked: Collection[Future[Any]], wanted: Callable[[], bool]) -> None:
    """Wait for answers, for as long as they are wanted and worth waiting for."""
    deadline = time.monotonic() + ASK_SECONDS
    while wanted() and time.monotonic() < deadline:
        if not wait(asked, LOOK_SECONDS).not_done:
            return


def topic_ids(
    settings: EngineSettings, names: Collection[str], wanted: Callable[[], bool]
) -> dict[str, str]:
    """Kafka's ids of these topics, as far as it tells them; asks until brokers answer."""
    kafka = {"bootstrap.servers": settings.bootstrap, **settings.kafka, "log_level": 2}
    client, left, found = AdminClient(kafka), set(names), dict[str, str]()
    answered: float | None = None
    while left and wanted():
        if answered is not None and time.monotonic() - answered > SILENT_SECONDS:
            break  # there are brokers, and none that knows of ids
        asked = client.describe_topics(
            TopicCollection(sorted(left)), request_timeout=PATIENT_SECONDS
        )
        _await(asked.values(), wanted)
        for name, future in asked.items():
            try:
                found[name] = str(future.result(0).topic_id)
            except TimeoutError:
                continue
            except KafkaException as error:
                if error.args[0].code() in PASSING:
                    continue
            left.discard(name)
        if left:
            answered = time.monotonic() if answered is None and _answers(client) else answered
            time.sleep(AGAIN_SECONDS)
    return {name: id for name, id in found.items() if id != NO_ID}
