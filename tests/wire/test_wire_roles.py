"""Commands run with exactly the rights that ``streams topics acls`` prints for their role."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import pytest
from confluent_kafka import Producer

from streams.engine.rights import Right
from streams.topics import cursors, dead_letters, labels, redrives
from tests.cli.cli_support import Cli
from tests.cli.conftest import cli
from tests.cli.letters_support import Letters
from tests.kafka.world import Worker, until
from tests.wire.guarded import Guarded
from tests.wire.running import MODULE, Ended, Shop, bindings

pytestmark = pytest.mark.kafka

__all__ = ["cli"]
OWN = ("--module", MODULE)
V2 = ("--set", "run.name=v2", "--set", "partitions=3", "--set", "run.source_partitions=2")
Given = Callable[..., list[Right]]


@pytest.fixture(scope="module")
def shop(guarded: Guarded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """All topics of the main job and the module."""
    made = Shop(guarded, tmp_path_factory.mktemp("roles"), "roles")
    yield made
    made.close()
    guarded.take_all()


@pytest.fixture
def given(guarded: Guarded, cli: Cli, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Given:
    """Gives ``worker`` what is printed for a role, and no other right."""
    for name, value in shop.environment().items():
        if name.startswith("STREAMS_"):
            monkeypatch.setenv(name, value)

    def give(role: str, *words: str, options: tuple[str, ...] = ()) -> list[Right]:
        ended = cli(*options, "topics", "acls", role, *words, "-o", "ndjson")
        assert 0 == ended.code, ended.err
        found = [_right(row) for row in ended.lines()]
        guarded.take_all()
        guarded.allow(bindings(found))
        return found

    return give


def _right(row: dict[str, Any]) -> Right:
    assert "User:worker" == row["principal"]
    return Right(row["kind"], row["name"], row["operation"], row["pattern"] == "prefixed")


def done(shop: Shop, *words: str) -> str:
    """What a command prints that succeeds."""
    ended = _ended(shop, *words)
    assert 0 == ended.code, (words, ended.printed)
    return ended.printed


def _ended(shop: Shop, *words: str) -> Ended:
    return shop.run(*words, environment=shop.environment(), seconds=90)


def refused(shop: Shop, right: Right, *words: str) -> str:
    """What a command prints that ends with code 4, while a right is taken away."""
    shop.guarded.take(bindings([right]))
    ended = _ended(shop, *words)
    shop.guarded.allow(bindings([right]))
    assert 4 == ended.code, (right, ended.printed)
    return ended.printed


@pytest.fixture(scope="module")
def letters(shop: Shop) -> Letters:
    """One dead letter that is whole, one whose bytes are where it came from, and a late one."""
    found = Letters(shop.guarded.broker.bootstrap)
    reader = f"{shop.application}-{shop.selection.names[0]}"
    found.raw("wire.said", b"key", b"bytes", [], 0)
    found.dead("count_words", "wire.said", 0, reader=reader, partition=0)
    origin = {"topic": "wire.said", "partition": "0", "offset": "0", "reader": reader}
    why = [(name, text.encode()) for name, text in origin.items()]
    digest = ("dl.sha256", sha256(b"bytes").hexdigest().encode())
    found.raw("dead_letters", b"key", None, [*((f"dl.{n}", raw) for n, raw in why), digest])
    found.raw("late_records", b"key", b"x", [(f"late.{n}", raw) for n, raw in why])
    found.flush()
    return found


@pytest.mark.usefixtures("letters")
def test_a_reviewer_reads_letters(shop: Shop, given: Given) -> None:
    """It lists and shows both kinds; without a right on either topic it is told which."""
    given("reviewer")
    for command in ("dlq", "late"):
        done(shop, command, "ls")
        done(shop, command, "show", "0:0")
    right = Right("topic", dead_letters.name, "READ")
    assert "does not let us see topic dead_letters" in refused(shop, right, "dlq", "ls")
    right = Right("topic", redrives.name, "READ")
    assert f"error: we have no right to {right}" in refused(shop, right, "dlq", "ls")
    assert 4 == _ended(shop, "dlq", "redrive", "--all").code


@pytest.mark.usefixtures("letters")
def test_a_redriver_writes_letters_back(shop: Shop, given: Given) -> None:
    """Also where the ledger is not there yet, and where the bytes have to be read at their
    origin; whatever right is missing, nothing is written and code 4 says so."""
    shop.admin.client.delete_topics([redrives.name])[redrives.name].result(10)
    until("the ledger is gone", lambda: redrives.name not in shop.admin.partitions())
    rights = given("redriver", *OWN)
    again = ("dlq", "redrive", "--all")
    create = Right("topic", redrives.name, "CREATE")
    assert f"create or change topic {redrives.name}" in refused(shop, create, *again)
    (own,) = [r for r in rights if r.name.endswith(f"redrive-{dead_letters.name}")]
    assert "Transactional Id authorization failed" in refused(shop, own, *again)
    write = Right("topic", "wire.said", "WRITE")
    assert f"error: we have no right to {write}" in refused(shop, write, *again)
    for operation in ("READ", "DESCRIBE_CONFIGS"):
        (right,) = [r for r in rights if (r.name, r.operation) == ("wire.said", operation)]
        assert "uthorization failed" in refused(shop, right, *again)
    assert "2 written back" in done(shop, *again)
    assert "1 written back" in done(shop, "late", "redrive", "--all")


def test_a_recorder_records(shop: Shop, given: Given) -> None:
    """It reads the sources, sees what all runs share, and names what it may not."""
    rights = given("recorder")
    done(shop, "record", "found.ndjson")
    for name, operation in ((labels.name, "READ"), (cursors.name, "DESCRIBE")):
        right = next(r for r in rights if (r.name, r.operation) == (name, operation))
        words = f"error: we have no right to DESCRIBE on topic {name}"
        assert words in refused(shop, right, "record", "found.ndjson")


def test_an_aborter_ends_a_transaction(shop: Shop, given: Given) -> None:
    """One of a task of ours or one of somebody else's; an observer sees ours, and ends none."""
    ours = shop.settings(shop.wire).transactional_id(shop.selection.names[0], 0)
    for name, words in ((ours, OWN), ("billing-7", ("--name", "billing-7"))):
        producer = Producer(
            {"bootstrap.servers": shop.guarded.broker.bootstrap, "transactional.id": name}
        )
        producer.init_transactions(10)
        producer.begin_transaction()
        producer.produce(labels.name, b"x", b"x")
        assert 0 == producer.flush(10)
        if name == ours:
            given("observer", *OWN)
            printed = done(shop, "transactions", "ls", "-o", "ndjson")
            assert name in printed and f"{labels.name}/" in printed
            ended = _ended(shop, "transactions", "abort", name)
            assert (4, True) == (ended.code, "uthorization failed" in ended.printed), ended
        given("aborter", *words)
        printed = done(shop, "transactions", "ls", "-o", "ndjson")
        assert name in printed and labels.name not in printed
        assert "1 transaction aborted" in done(shop, "transactions", "abort", name)


def test_a_replayer_takes_a_run_from_its_plan_to_its_end(shop: Shop, given: Given) -> None:
    """Into another partition count; readers, sinks and workers of the run then have its topics."""
    shop.say(["a", "b", "a"])
    rights = given("replayer", *OWN, options=V2)
    done(shop, "replay", "plan", "v2", "--partitions", "3", *OWN)
    begin = ("replay", "start", "v2", "--partitions", "3", *OWN)
    create = Right("topic", "roles-runs", "CREATE")
    assert "create or change topic roles-runs" in refused(shop, create, *begin)
    create = Right("topic", "v2.wire.counts", "CREATE")
    assert "create or change topic v2.wire.counts" in refused(shop, create, *begin)
    (group,) = [r for r in rights if (r.kind, r.operation) == ("group", "READ")]
    assert f"we have no right to {group}" in refused(shop, group, *begin)
    done(shop, *begin)
    assert "true" in done(shop, "replay", "status", "--json")
    write = Right("topic", "roles-runs", "WRITE")
    switch = ("replay", "switch", "v2", "--yes", *OWN)
    assert "write to roles-runs" in refused(shop, write, *switch)
    done(shop, *switch)
    _read_of_the_run(shop, given)
    _work_of_the_run(shop, given)
    given("replayer", *OWN, options=V2)
    done(shop, "replay", "switch", "original", "--yes", *OWN)
    delete = Right("topic", "v2.wire.counts", "DELETE")
    drop = ("replay", "drop", "v2", "--yes", *OWN)
    assert "delete topic v2.wire.counts" in refused(shop, delete, *drop)
    done(shop, *drop)
    assert [] == [name for name in shop.admin.partitions() if "v2" in name]


def _read_of_the_run(shop: Shop, given: Given) -> None:
    """What is printed for the original does not do for the current run."""
    read = ("consume", "wire.counts", "--from-beginning", "--until-end", *OWN)
    given("reader", "--topic", "wire.counts", *OWN)
    assert 0 != _ended(shop, *read).code
    given("reader", "--topic", "wire.counts", *OWN, options=V2)
    assert "count" in done(shop, *read)
    sink = ("sink", "ndjson", "-o", "directory=o", "--topic", "wire.counts", "--until-end", *OWN)
    given("sink", "--name", "ndjson", "--topic", "v2.wire.counts", *OWN)
    assert "0 records written" not in done(shop, *sink)


def _work_of_the_run(shop: Shop, given: Given) -> None:
    given("worker", *OWN, options=V2)
    worker = Worker(
        [sys.executable, "-m", "streams", "worker", *OWN],
        shop.folder / "v2.log",
        dict(shop.environment()),
    )
    shop.started.append(worker)
    until("its five tasks are there", lambda: worker.log.read_text().count("task_recovered") == 5)
    assert 0 == worker.end()


def test_a_run_of_the_main_job_needs_no_other_topic(shop: Shop, given: Given) -> None:
    """It is begun as a backfill, worked on with the rights of its worker alone, and dropped; then
    the original is, by its own replayer."""
    run = ("--set", "run.name=v3")
    given("replayer", options=run)
    back = ("backfill", "v3", "--from-offset", "bitcoin.blocks=0", "--no-worker")
    done(shop, *back)
    given("worker", options=run)
    worker = Worker(
        [sys.executable, "-m", "streams", *run, "worker"],
        shop.folder / "v3.log",
        dict(shop.environment()),
    )
    shop.started.append(worker)
    until("a task is there", lambda: worker.said("task_recovered"))
    assert 0 == worker.end()
    given("replayer", options=run)
    done(shop, *back[:-1])
    done(shop, "replay", "switch", "v3", "--yes")
    given("replayer", options=("--set", "run.name=original"))
    done(shop, "replay", "drop", "original", "--yes")
    assert "alerts" not in shop.admin.partitions()
