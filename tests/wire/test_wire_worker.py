"""Workers come in by every way, stay in, and show nobody a secret."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import pytest

from tests.kafka.world import Worker, until
from tests.wire.endpoint import CLIENT, SECRET, Endpoint
from tests.wire.guarded import PASSWORD, REAUTH_MS, Guarded
from tests.wire.running import Shop

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def shop(guarded: Guarded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """An application whose users may do everything."""
    made = Shop(guarded, tmp_path_factory.mktemp("ways"), "ways")
    for principal in ("User:worker", "User:robot", "User:CN=alice"):
        guarded.allow_all(principal)
    yield made
    made.close()


def counts_on(shop: Shop, worker: Worker) -> None:
    """See that a worker takes what is written from now on, and commits what comes of it."""
    wanted = shop.counted().get("x", 0) + 1
    shop.say(["x"])
    until("it counts", lambda: worker.said("recovered") and shop.counted().get("x") == wanted)


def test_plain(shop: Shop) -> None:
    """PLAIN over TLS; a log with everything that the libraries have to say has no password."""
    environment = shop.environment(mechanism="PLAIN") | {"STREAMS_LOG_LEVEL": "debug"}
    worker = shop.start(environment)
    counts_on(shop, worker)
    assert 0 == worker.end()
    log = worker.log.read_text()
    assert "aiokafka" in log and "group_coordinator" in log
    assert PASSWORD not in log


def test_mutual_tls(shop: Shop) -> None:
    """A certificate is who we are; the password of its key is not shown."""
    certificate, key = shop.guarded.authority.sign("alice", password="pw of the key")
    own = {"certificate_location": str(certificate), "key_location": str(key)}
    way = {"protocol": "SSL", **own, "key_password": "pw of the key"}
    environment = shop.environment("mutual", **way, user="", password_file="")
    worker = shop.start(environment)
    counts_on(shop, worker)
    assert 0 == worker.end()
    assert "pw of the key" not in worker.log.read_text()


def test_tokens_of_an_endpoint_outlive_their_time(shop: Shop) -> None:
    """With tokens of six seconds, and a broker that asks again after four, a worker counts on
    for two lives of a token; no token is in its log."""
    with Endpoint(shop.guarded.issuer, seconds=6) as endpoint:
        way = {
            "mechanism": "OAUTHBEARER",
            "oauth_url": endpoint.url,
            "oauth_client_id": CLIENT,
            "oauth_client_secret": SECRET,
        }
        environment = shop.environment(**way, user="", password_file="")
        worker = shop.start(environment | {"STREAMS_LOG_LEVEL": "debug"})
        end = time.monotonic() + 3 * REAUTH_MS / 1000
        while time.monotonic() < end:
            counts_on(shop, worker)
        assert 0 == worker.end()
        log = worker.log.read_text()
        assert len(endpoint.asked) > 2
        assert "eyJ" not in log and SECRET not in log


def test_a_broker_that_is_away_is_waited_for_and_a_new_password_is_not(shop: Shop) -> None:
    """A worker outlives a broker that hangs; where its password holds no more it ends with code 4.

    ::

        broker  hangs 4 s ------ new password ----- asks again who it is
        worker  broker_away      broker_back        ends: wrong password
    """
    guarded = shop.guarded
    worker = shop.start(shop.environment(mechanism="SCRAM-SHA-256"))
    os.kill(guarded.broker.pid, SIGSTOP)
    try:
        until("it notices", lambda: worker.said("broker_away"))
        time.sleep(1)
        assert worker.process.poll() is None
    finally:
        os.kill(guarded.broker.pid, SIGCONT)
    until("it goes on", lambda: worker.said("broker_back"))
    guarded.user("worker", "an0ther")
    try:
        assert 4 == worker.process.wait(20)
    finally:
        guarded.user("worker")
    log = worker.log.read_text()
    assert "refuses user 'worker': wrong password or unknown user (SCRAM-SHA-256)" in log
    assert PASSWORD not in log


def test_commands_show_no_secret(shop: Shop) -> None:
    """Neither the settings nor a traceback has the password, right or wrong."""
    right, wrong = shop.environment(), shop.environment(password_file="", password="wr0ng-s3cret")
    for environment in (right, wrong):
        for words in (
            ("config", "show", "--origin", "-o", "json"),
            ("--debug", "consume", "wire.none", "--from-beginning", "--until-end"),
        ):
            printed = shop.run(*words, environment=environment).printed
            assert printed, words
            assert PASSWORD not in printed and "wr0ng-s3cret" not in printed, words


def test_arguments_are_no_place_for_secrets(shop: Shop, tmp_path: Path) -> None:
    """`--set` takes no secret, and says where to put it."""
    ended = shop.run("--set", "kafka.password=sEcret", "config", "show", environment={
        **shop.environment(), "HOME": str(tmp_path)})  # fmt: skip
    assert 6 == ended.code
    assert "STREAMS_KAFKA__PASSWORD_FILE" in ended.printed and "sEcret" not in ended.printed
