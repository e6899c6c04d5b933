"""librdkafka's clients and errors: which pass, which end a program, and what to do about them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException

from streams.client.errors import BadOption, ClientError, NoTopic, Unavailable
from streams.client.options import LOG
from streams.wire.approach import refusal

R = TypeVar("R")
_NAMES = {
    "kafka.protocol": "security.protocol",
    "kafka.mechanism": "sasl.mechanism",
    "kafka.user": "sasl.username",
    "STREAMS_KAFKA__PASSWORD(_FILE)": "sasl.password",
    "kafka.ca_location": "ssl.ca.location",
    "kafka.certificate_location": "ssl.certificate.location",
    "kafka.key_location": "ssl.key.location",
    "kafka.key_password": "ssl.key.password",
    "kafka.check_hostname=false": "ssl.endpoint.identification.algorithm=none",
}
"""What the settings are called in ``kafka={...}``."""
_OURS = re.compile("|".join(map(re.escape, _NAMES)))
AGAIN_SECONDS = 0.1
FIRST_SECONDS, ATTEMPT_SECONDS = 1.0, 5.0
"""The first answer comes soon, or there is no way in; then a broker may be slow."""
NEW_SECONDS = 10.0

REFUSED = (
    KafkaError._AUTHENTICATION,
    KafkaError._SSL,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
)
GONE = (
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
)
_AWAY = (
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TRANSPORT,
    KafkaError._RESOLVE,
    KafkaError._TIMED_OUT,
    KafkaError._TIMED_OUT_QUEUE,
    KafkaError.REQUEST_TIMED_OUT,
)
_MOVING = (
    KafkaError._WAIT_COORD,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.NOT_COORDINATOR,
    KafkaError.BROKER_NOT_AVAILABLE,
)
"""A topic was just created, or a broker went and another one takes over."""


def passes(error: KafkaError) -> bool:
    """Whether librdkafka goes on by itself."""
    code = error.code()
    own = code in (*_AWAY, *_MOVING, KafkaError._MAX_POLL_EXCEEDED)
    return own or error.retriable()


def patiently(
    ask: Callable[[float], R], bootstrap: str, timeout: float, kafka: Mapping[str, Any]
) -> R:
    """Ask the broker, each time for some seconds, until it answers; raises Unavailable.

    A broker that is away is logged and waited for until ``timeout``, a topic that this client has
    not heard of yet for ten seconds; raises NoTopic then. One that refuses us by what ``kafka``
    says of TLS and SASL is not waited for.
    """
    began, asked, said = time.monotonic(), 0, False
    while True:
        try:
            asked += 1
            return ask(min(FIRST_SECONDS if asked == 1 else ATTEMPT_SECONDS, timeout))
        except KafkaException as error:
            code = error.args[0].code()
            patience = min(timeout, NEW_SECONDS) if code in GONE else timeout
            passing = code in (*_MOVING, *_AWAY, *GONE)
            if not passing or time.monotonic() - began > patience:
                raise explained(error, bootstrap) from error
            if code in _AWAY and asked == 1:
                require(bootstrap, kafka)
            elif code in _AWAY and not said:
                LOG.warning("%s; waiting up to %s s", explained(error, bootstrap), timeout)
                said = True
        time.sleep(AGAIN_SECONDS)


def require(bootstrap: str, kafka: Mapping[str, Any]) -> None:
    """Raise Unavailable where the broker refuses us, or we do not trust it."""
    found = refusal({**kafka, "bootstrap.servers": bootstrap})
    if found is not None:
        remedy = _OURS.sub(lambda name: _NAMES[name.group()], found.remedy)
        raise Unavailable(_OURS.sub(lambda name: _NAMES[name.group()], found.cause), remedy)


def explained(error: KafkaException, bootstrap: str) -> ClientError:
    """An error of librdkafka with its remedy."""
    problem = error.args[0]
    if problem.code() in REFUSED:
        return Unavailable(
            f"the broker at {bootstrap} refuses us ({problem.str()})",
            "check security.protocol, sasl.* and ssl.* in kafka={...}, and the rights of the user",
        )
    if problem.code() in _AWAY:
        return Unavailable(
            f"no Kafka broker answers at {bootstrap} ({problem.str()})",
            "check the address and the TLS and SASL settings, and that the broker runs",
        )
    if problem.code() in GONE:
        return NoTopic(
            f"a topic is no longer at {bootstrap} ({problem.str()})",
            "see who deleted it; `streams topics apply` creates ours",
        )
    return Unavailable(f"Kafka says {problem.name()}: {problem.str()}", "see the broker's log")


def client_of(make: Callable[..., Any], config: Mapping[str, Any]) -> Any:
    """A librdkafka client that logs to ``streams.client``; raises BadOption for a wrong setting."""
    try:
        return make({"error_cb": _told, **config}, logger=LOG)
    except KafkaException as error:
        raise BadOption(
            f"librdkafka refuses a setting: {error.args[0].str()}", "correct kafka={...}"
        ) from error


def _told(error: KafkaError) -> None:
    LOG.warning("Kafka: %s", error.str())
