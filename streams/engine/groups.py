"""Questions about consumer groups, which librdkafka must never give up by itself.

An answer that comes after it gave such a question up ends the process by an assertion
(``rd_kafka_enq_once_del_source_return``). So it is given more time than any broker that lives is
silent, and whoever asks stops waiting earlier: ``future.result(seconds)``.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

from confluent_kafka.admin import AdminClient

PATIENT_SECONDS = 300
"""Of librdkafka, for any question whose answer we stop waiting for ourselves."""


def describe(client: AdminClient, names: Iterable[str], **more: Any) -> dict[str, Future[Any]]:
    """A description of each group, to come; nothing where no group is named."""
    asked = sorted(names)
    if not asked:
        return {}
    return client.describe_consumer_groups(asked, request_timeout=PATIENT_SECONDS, **more)


def names_of(client: AdminClient, seconds: float) -> list[str]:
    """The names of the groups that we may see; raises KafkaException, TimeoutError."""
    answer = client.list_consumer_groups(request_timeout=PATIENT_SECONDS)
    return [group.group_id for group in answer.result(seconds).valid]
