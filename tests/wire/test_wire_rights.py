"""A worker runs with exactly the rights that the topology says, and names each that is missing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streams.engine.durability import HIDDEN, look
from streams.engine.rights import TO_SEE, Right, check_rights
from streams.wire.errors import NoRight
from tests.kafka.world import until
from tests.wire.guarded import Guarded
from tests.wire.running import MODULE, Shop, bindings, worker_rights

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def shop(guarded: Guarded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """An application whose user has exactly the rights of a worker."""
    made = Shop(guarded, tmp_path_factory.mktemp("rights"), "least")
    guarded.take_all()
    guarded.allow(bindings(worker_rights(made)))
    yield made
    made.close()
    guarded.take_all()


def told(shop: Shop) -> str:
    """What is said of the rights of ``worker``, nothing when all are there."""
    try:
        check_rights(shop.selection, shop.settings(shop.wire))
    except NoRight as error:
        return error.cause
    return ""


def test_the_least_rights_carry_a_worker(shop: Shop) -> None:
    """With no right but these, over SASL_SSL and SCRAM, events become committed counts."""
    worker = shop.start(shop.environment())
    shop.say(["a", "b", "a"])
    until("counts are committed", lambda: shop.counted() == {"a": 2, "b": 1})
    assert 0 == worker.end()
    assert "checkpoint_put_back" not in worker.log.read_text()


def test_each_right_is_needed_and_named(guarded: Guarded, shop: Shop) -> None:
    """Without any single right on a topic or its group a worker does not begin, and says which."""
    assert "" == told(shop)
    named = [r for r in worker_rights(shop) if not r.prefixed and r.operation != TO_SEE]
    assert {"topic", "group"} == {right.kind for right in named}
    for right in named:
        guarded.take(bindings([right]))
        assert f"we have no right to {right} (1 rights" in told(shop)
        guarded.allow(bindings([right]))


def test_settings_that_it_may_not_see_are_told(guarded: Guarded, shop: Shop) -> None:
    """Whether its topics are safe is a right of its own: without it a worker runs, and says so."""
    assert [] == [f for f in look(shop.selection, shop.settings(shop.wire)) if f.cause == HIDDEN]
    rights = [right for right in worker_rights(shop) if right.operation == TO_SEE]
    guarded.take(bindings(rights))
    found = look(shop.selection, shop.settings(shop.wire))
    guarded.allow(bindings(rights))
    (finding,) = [f for f in found if f.cause == HIDDEN]
    assert sorted(right.name for right in rights) == finding.topic.split(", ")


def test_the_transactional_id_is_named(guarded: Guarded, shop: Shop) -> None:
    """Who may not take its transactional id ends in seconds with code 4, and names the id."""
    right = next(r for r in worker_rights(shop) if r.kind == "transactional id")
    guarded.take(bindings([right]))
    words = ("worker", "--module", MODULE)
    ended = shop.run(*words, environment=shop.environment(), seconds=20)
    guarded.allow(bindings([right]))
    assert 4 == ended.code
    assert f"(transactional id {right.name}" in ended.printed
    assert "a right on the transactional id is missing" in ended.printed


def test_a_right_taken_away_ends_a_running_worker(guarded: Guarded, shop: Shop) -> None:
    """A worker that may no longer write its results ends with code 4, names the topic, and keeps
    nothing half done: the next one goes on where it stood."""
    worker = shop.start(shop.environment())
    right = Right("topic", "wire.counts", "WRITE")
    guarded.take(bindings([right]))
    before = shop.counted()
    shop.say(["c", "c"])
    assert 4 == worker.process.wait(20)
    assert f"streams: we have no right to {right}" in worker.log.read_text()
    assert before == shop.counted()
    guarded.allow(bindings([right]))
    again = shop.start(shop.environment())
    until("nothing is lost or doubled", lambda: shop.counted() == {**before, "c": 2})
    assert 0 == again.end()


def test_a_user_without_rights_is_told_all_of_them(guarded: Guarded, shop: Shop) -> None:
    """Topics that a user may not see are not called missing; the command to ask is named."""
    guarded.user("nobody")
    environment = shop.environment(user="nobody")
    ended = shop.run("worker", "--module", MODULE, environment=environment)
    assert 4 == ended.code
    assert "we have no right to" in ended.printed and "(8 rights are missing" in ended.printed
    assert "streams topics acls worker" in ended.printed
    ended = shop.run("topics", "apply", environment=environment)
    assert 4 == ended.code
    assert "we have no right to READ on topic least-runs" in ended.printed
    guarded.allow(bindings([Right("topic", "least-runs", "READ")], "User:nobody"))
    ended = shop.run("topics", "apply", environment=environment)
    assert 4 == ended.code
    assert "Kafka does not let us create or change topic" in ended.printed
