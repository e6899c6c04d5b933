"""``streams sink`` as processes: killed, doubled, refused, and how they end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from sink_cases import PostgresTarget
from sink_world import TOPICS, Changes, SinkProcess, Writing, letters, members
from webhook_receiver import SECRET, Receiver, always, fine

from sinks.ndjson import net_set
from tests.postgres import query, until

CHOSEN = [word for topic in TOPICS for word in ("--topic", topic)]


def test_a_row_that_postgres_refuses(sink_broker: str, changes: Changes, tmp_path: Path) -> None:
    """A constraint of the operator's leaves out exactly the rows that break it."""
    target = PostgresTarget(tmp_path)
    options = ["-o", f"uri={target.uri}", "-o", f"schema={target.schema}", "--until-end"]
    changes.write(50)
    while not changes.live["alerts"]:
        changes.write(50)
    assert 0 == SinkProcess(sink_broker, tmp_path, "postgres", *options, *CHOSEN).process.wait(60)
    table = f'"{target.schema}".alerts'
    query(target.uri, f"delete from {table} where severity = 'high'", "select 1")
    query(target.uri, f"alter table {table} add check (severity <> 'high')", "select 1")
    before = changes.written
    while changes.written < before + 400:
        changes.write(50)
    running = SinkProcess(sink_broker, tmp_path, "postgres", *options, *CHOSEN)
    assert 0 == running.process.wait(60), running.told()
    found = list(letters(sink_broker))
    assert found and "refused, which are dead letters now" in running.told()
    assert {"23514"} == {said["dl.detail"].partition("answers ")[2][:5] for _, said in found}
    high = [r.event for r, _ in found if r.event is not None]
    assert all(e.value.severity == "high" for e in high)
    rows = {r["event_id"]: r["severity"] for r in target.query("alerts_live")}
    live = {i: v["severity"] for i, v in changes.live["alerts"].items() if v["severity"] != "high"}
    assert live == {i: s for i, s in rows.items() if i in live}


def test_every_partition_that_a_topic_has_is_carried(
    sink_broker: str, changes: Changes, tmp_path: Path
) -> None:
    """A sink started without the settings file of the workers, with another count: all arrives."""
    while len(changes.live["alerts"]) < 20:
        changes.write(50)
    words = ("ndjson", "-o", f"directory={tmp_path}", "--until-end", *CHOSEN)
    running = SinkProcess(sink_broker, tmp_path, *words, STREAMS_PARTITIONS="1")
    assert 0 == running.process.wait(60), running.told()
    files = {name: net_set(tmp_path / "ndjson" / f"{name}.ndjson") for name in TOPICS}
    assert {n: set(live) for n, live in changes.live.items()} == {
        n: set(f) for n, f in files.items()
    }


def test_a_webhook_receiver_that_is_gone_and_a_sink_that_is_killed(
    sink_broker: str, changes: Changes, tmp_path: Path
) -> None:
    """The receiver ends with the net set; repeats have the ids of what they repeat.

    receiver   takes        gone 3 s      back, every 7th request fails
    sink       writes  kill -9, new  waits             kill -9, new       end
    """
    receiver = Receiver()
    options = ["-o", f"url={receiver.url}", "-o", "secret=env:HOOK", "-o", "retry_seconds=0.5"]

    def sink() -> SinkProcess:
        return SinkProcess(sink_broker, tmp_path, "webhook", *options, *CHOSEN, HOOK=SECRET)

    writing = Writing(changes, 1200, pause=0.1)
    running = sink()
    writing.start()
    try:
        until("requests arrive", lambda: len(receiver.taken) > 50)
        running.kill()
        running = sink()
        taken = len(receiver.taken)
        until("more arrive", lambda: len(receiver.taken) > taken + 50)
        receiver.stop()
        until("it says so", lambda: "reading is paused" in running.told())
        time.sleep(3)

        async def seventh(got: Any, number: int) -> Any:
            return await (always(503) if number % 7 == 0 else fine)(got, number)

        receiver.answer = seventh
        receiver.start()
        until("it goes on", lambda: "it works again" in running.told())
        old = members(sink_broker, "webhook")
        running.kill()
        running = sink()
        until("it has begun", lambda: members(sink_broker, "webhook") not in ([], old))
        writing.join(60)
        wanted = {id: v for live in changes.live.values() for id, v in live.items()}
        until("all is there", lambda: receiver.live() == wanted, 60)
        assert 0 == running.end(), running.told()
    finally:
        running.kill()
        receiver.close()
    assert all(got.verified for got in receiver.requests)
    bodies: dict[str, Any] = {}
    for got in receiver.requests:
        assert got.body == bodies.setdefault(got.id, got.body)
    assert len(receiver.taken) < 2 * len(bodies)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["postgres", "-o", "uri=postgresql://postgres@127.0.0.1:1/x", "--give-up-after", "1"],
         12, "cannot be reached"),
        (["postgres", "-o", "uri=env:NOWHERE"], 12, "the environment has no 'NOWHERE'"),
        (["webhook", "-o", "url=http://127.0.0.1:1/", "-o", "secret=plain"], 12, "written out"),
    ],
)  # fmt: skip
def test_how_it_ends(
    sink_broker: str, changes: Changes, tmp_path: Path, words: list[str], code: int, told: str
) -> None:
    """An error ends it with cause, remedy and exit code, without a traceback."""
    changes.write(10)
    running = SinkProcess(sink_broker, tmp_path, *words, *CHOSEN)
    assert code == running.process.wait(60), running.told()
    text = running.told()
    assert (True, True, False) == (told in text, "remedy: " in text, "Traceback" in text)


def test_two_processes_share_the_work(sink_broker: str, changes: Changes, tmp_path: Path) -> None:
    """Two of one group write to one PostgreSQL schema; one is killed, and nothing is missing."""
    target = PostgresTarget(tmp_path)
    words = ["postgres", "-o", f"uri={target.uri}", "-o", f"schema={target.schema}", *CHOSEN]
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    writing = Writing(changes, 2000)
    running = [SinkProcess(sink_broker, folder, *words) for folder in folders]
    writing.start()
    try:
        until("rows arrive", lambda: len(target.query("_positions")) == 8, 60)
        running[0].kill()
        writing.join(60)
        wanted = {name: set(live) for name, live in changes.live.items()}
        until("all is there", lambda: wanted == _rows(target), 60)
        assert 0 == running[1].end(), running[1].told()
    finally:
        for one in running:
            one.kill()


def _rows(target: PostgresTarget) -> dict[str, set[str]]:
    return {
        name: {row["event_id"] for row in target.query(name.replace(".", "_") + "_live")}
        for name in TOPICS
    }
