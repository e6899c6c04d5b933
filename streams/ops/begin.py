"""Whether a worker may begin: topics, group and state, waiting for what may still come right."""

from __future__ import annotations

import time
from functools import partial

from streams.engine.placing import check_places
from streams.engine.precheck import WrongGroup, check_group, check_state
from streams.engine.rights import check_rights
from streams.engine.selection import Selection
from streams.engine.storing import check_store
from streams.ops.admin import Admin
from streams.ops.own_topics import check, needs_all, prepare

AGAIN_SECONDS = 0.5
SPREAD_SECONDS = 10.0
"""How long brokers may take to hear of a topic that one of them has listed already."""


def until_it_may(
    admin: Admin, selection: Selection, seconds: float, create_topics: bool = False
) -> None:
    """Wait at most ``seconds`` for the broker, the topics, and for members that are in the way.

    Raises OpsError for topics, WireError where the broker refuses us, NoRight, WrongGroup,
    WrongState, WrongPlace, NoStore, or KafkaException.
    """
    check_store(admin.settings)
    deadline = time.monotonic() + seconds
    admin.wait(partial(_rights, admin, selection), seconds)
    if needs_all(selection, admin.settings):
        admin.wait(partial(admin.check, selection.topology), seconds)
    else:
        admin.wait(partial(prepare, admin, selection, create_topics), seconds)
        admin.wait(partial(check, admin, selection), max(seconds, SPREAD_SECONDS))
    _wait_for_group(admin, selection, deadline)
    check_state(selection, admin.settings)
    check_places(selection.run, admin.settings)


def _rights(admin: Admin, selection: Selection) -> None:
    if admin.settings.kafka:
        admin.partitions()  # a broker that is away is waited for
        check_rights(selection, admin.settings)


def _wait_for_group(admin: Admin, selection: Selection, deadline: float) -> None:
    while True:
        try:
            check_group(selection, admin.settings)
            return
        except WrongGroup:
            if time.monotonic() >= deadline:
                raise
        time.sleep(AGAIN_SECONDS)
