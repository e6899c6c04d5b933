"""``produce`` and ``consume``: lines in, lines out, nothing lost, nothing wrong let in."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer

from schemas.catalog import BY_NAME
from schemas.envelope import Event
from schemas.events import Alert, Label, Tip
from schemas.headers import to_headers
from schemas.ids import digest_id
from schemas.jsonform import from_line, to_line
from schemas.wire import Codec
from streams.client import fold, read_all
from streams.engine.murmur2 import partition_of
from tests.cli.cli_support import Cli

pytestmark = pytest.mark.kafka
LABEL = BY_NAME["ml.label.v1"]


def txid(name: str) -> str:
    """A transaction id of this name."""
    return digest_id(name)


def label(name: str, source: str = "test", **fields: Any) -> dict[str, Any]:
    payload = {"subject": txid(name), "illicit": True, "source": source}
    return {"payload": payload, **fields}


def text(*lines: dict[str, Any]) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


def labels_of(bootstrap: str, source: str) -> list[Event]:
    """The labels of one test, in offset order."""
    reads = read_all(bootstrap, "ml.labels", Codec())
    return [r.event for r in reads if r.event is not None and r.event.value.source == source]


def test_a_payload_is_enough(cli: Cli, applied: str) -> None:
    """Id, key, partition and times are given; the record carries the headers."""
    ended = cli("produce", "ml.labels", "--broker", applied, stdin=text(label("a", "enough")))
    assert (0, "1 produced to ml.labels\n") == (ended.code, ended.err)
    reads = read_all(applied, "ml.labels", Codec())
    [read] = [r for r in reads if r.event is not None and r.event.value.source == "enough"]
    event = read.event
    assert event is not None
    key = txid("a")
    expected = (
        digest_id("ml.label", key, "enough"), key, partition_of(key.encode(), 4),
        "streams produce", "ml.label.v1",
    )  # fmt: skip
    assert expected == (event.id, event.key, read.partition, event.producer, event.type)
    assert event.ts == event.ingest_ts
    assert read.append_ts >= event.ts


def test_a_bad_line_refuses_the_whole_file(cli: Cli, applied: str, tmp_path: Path) -> None:
    """The line's number, the cause and the remedy are told; not one line is sent."""
    file = tmp_path / "labels.ndjson"
    file.write_text(text(label("b", "whole")) + "\n" + text({"payload": {"subject": "x"}}))
    ended = cli("produce", "ml.labels", "--file", str(file), "--broker", applied)
    first, second = ended.err.splitlines()
    assert (8, []) == (ended.code, labels_of(applied, "whole"))
    assert (True, True) == (first.startswith("error: line 3: "), "--skip-bad" in second)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (label("c", id="mine"), "leave `id` out"),
        (label("c", metadata={"key": "other"}), "the key of this value is"),
        (label("c", payload={"subject": "x", "illicit": True, "source": ""}), "64 lower-case hex"),
        (label("c", timestamp=10**17), "beyond the calendar"),
    ],
)
def test_what_cannot_be_true_is_refused(cli: Cli, applied: str, line: Any, words: str) -> None:
    """Source topics are checked as their readers would."""
    ended = cli("produce", "ml.labels", "--broker", applied, stdin=text(line))
    assert (8, True) == (ended.code, words in ended.err)


def test_bad_lines_can_be_left_out(cli: Cli, applied: str, tmp_path: Path) -> None:
    """--skip-bad names and counts them, and sends the others."""
    file = tmp_path / "labels.ndjson"
    file.write_text(text(label("d", "skip")) + "nonsense\n" + text(label("e", "skip")))
    ended = cli("produce", "ml.labels", "-f", str(file), "--skip-bad", "--broker", applied)
    told = ended.err.splitlines()
    assert (0, "2 produced to ml.labels, 1 skipped") == (ended.code, told[-1])
    assert told[0].startswith("skipped line 2: not JSON")
    assert {txid("d"), txid("e")} == {e.key for e in labels_of(applied, "skip")}


def test_standard_input_is_sent_up_to_its_first_bad_line(cli: Cli, applied: str) -> None:
    """A pipe has no end to wait for; what was sent is said."""
    ended = cli(
        "produce", "ml.labels", "--broker", applied, stdin=text(label("f", "pipe")) + "nonsense\n"
    )
    assert (8, True) == (ended.code, "(1 lines before it were sent)" in ended.err)
    assert [txid("f")] == [e.key for e in labels_of(applied, "pipe")]


def test_a_missing_topic_is_told(cli: Cli, kafka: str) -> None:
    """A broker without our topics: exit code 7, and how to create them."""
    cli("topics", "apply", "--broker", kafka)
    ended = cli("consume", "alert", "--broker", kafka)
    assert (2, True) == (ended.code, "did you mean alerts?" in ended.err)


def fill(bootstrap: str, topic: str, events: list[Event], partitions: int = -1) -> None:
    """Write events as a step does."""
    hashed = {"bootstrap.servers": bootstrap, "partitioner": "murmur2_random"}
    producer, codec = Producer(hashed), Codec()
    for event in events:
        value = codec.encode(event.type, event.value)
        for partition in range(partitions) if partitions > 0 else [-1]:
            producer.produce(topic, value, event.key, partition, headers=to_headers(event))
    producer.flush(10)


def alert(n: int, version: int, **fields: Any) -> Event:
    value = Alert(f"entity{n}", "test", "high", [f"reason {version}"], [], "main")
    told = {"id": f"alert{n}", "type": "alerts.alert.v1", "producer": "step", "ingest_ts": 7}
    told |= fields
    return Event(key=value.entity, ts=1000 + n, op="assert", value=value, version=version, **told)


def changes(n: int) -> list[Event]:
    """A fact that is asserted, withdrawn, and (every third) asserted again with another value."""
    first = alert(n, 1, correlation_id="c", causation_id="d", priority=2)
    gone = msgspec.structs.replace(first, op="retract", correction=True, version=2)
    again = alert(n, 3, correction=True, retry_count=1)
    return [first, *([gone, again] if n % 3 == 0 else [gone] if n % 3 == 1 else [])]


def test_a_topic_goes_through_files_to_another_broker(
    cli: Cli, applied: str, other: str, tmp_path: Path
) -> None:
    """consume | produce restores the net set, and every event as it was."""
    fill(applied, "alerts", [event for n in range(50) for event in changes(n)])
    lines = cli(
        "consume", "alerts", "--from-beginning", "--until-end", "-o", "ndjson", "--broker", applied
    )
    file = tmp_path / "alerts.ndjson"
    file.write_text(lines.out)
    sent = cli("produce", "alerts", "--derived", "--file", str(file), "--broker", other)
    assert (0, 0) == (lines.code, sent.code)
    before, after = (read_all(broker, "alerts", Codec()) for broker in (applied, other))
    assert fold(before) == fold(after)
    assert len(fold(after)) >= 33

    def by_place(reads: list[Any]) -> dict[int, list[Event]]:
        return {p: [r.event for r in reads if r.partition == p] for p in range(4)}

    assert by_place(before) == by_place(after)


def test_a_pipe_of_two_commands_works(applied: str, other: str) -> None:
    """The shell line of the documentation, with real processes and a real pipe."""
    streams = f"{sys.executable} -m streams.cli.main"
    shell = (
        f"{streams} consume ml.labels --from-beginning --until-end -o ndjson --broker {applied}"
        f" | {streams} produce ml.labels --file - --broker {other}"
    )
    fill(applied, "ml.labels", [labelled(n) for n in range(500)])
    subprocess.run(shell, shell=True, check=True, capture_output=True)
    before, after = (fold(read_all(b, "ml.labels", Codec())) for b in (applied, other))
    assert before == after
    assert len(after) >= 500


def labelled(n: int) -> Event:
    return from_line(json.dumps(label(f"pipe{n}", "pipes")).encode(), LABEL, "t", 1000 + n)


def test_a_broadcast_topic_is_read_once_and_written_everywhere(
    cli: Cli, applied: str, other: str
) -> None:
    """Every partition holds every record: reading one gives all, writing fills each."""
    tips = [
        Event(f"t{n}", "main", n, "assert", Tip("main", n, txid(str(n))), type="bitcoin.tip.v1")
        for n in range(5)
    ]
    fill(applied, "bitcoin.tip", tips, partitions=4)
    lines = cli(
        "consume", "bitcoin.tip", "--from-beginning", "--until-end", "-o", "ndjson",
        "--broker", applied,
    )  # fmt: skip
    assert 5 == len(lines.lines())
    cli("produce", "bitcoin.tip", "--derived", "--broker", other, stdin=lines.out)
    reads = read_all(other, "bitcoin.tip", Codec())
    assert [(p, n) for p in range(4) for n in range(5)] == sorted(
        (r.partition, r.event.ts) for r in reads if r.event is not None
    )


def test_the_forms_of_consume_show_the_same_events(cli: Cli, applied: str) -> None:
    """Table, ndjson and csv agree; csv has a column a field of the value."""
    line = label("forms", "forms", timestamp=1_700_000_000_000)
    cli("produce", "ml.labels", "--broker", applied, stdin=text(line))
    words = ("consume", "ml.labels", "--from-beginning", "--until-end", "--broker", applied)
    wanted = txid("forms")
    [event] = [e for e in cli(*words, "-o", "ndjson").lines() if e["metadata"]["key"] == wanted]
    [row] = [r for r in csv.DictReader(io.StringIO(cli(*words, "-o", "csv").out))
             if r["key"] == wanted]  # fmt: skip
    [shown] = [t for t in cli(*words).out.splitlines() if wanted in t]
    assert (event["id"], "1700000000000", "true") == (row["id"], row["ts"], row["illicit"])
    assert True is ("2023-11-14T22:13:20.000Z" in shown)


def test_max_stops_and_new_only_waits_for_what_comes(cli: Cli, applied: str) -> None:
    """--max counts records; without --from-beginning only later ones are shown."""
    cli("produce", "ml.labels", "--broker", applied, stdin=text(label("g"), label("h")))
    two = cli("consume", "ml.labels", "--from-beginning", "--max", "2", "-o", "ndjson",
              "--broker", applied)  # fmt: skip
    none = cli("consume", "ml.labels", "--until-end", "-o", "ndjson", "--broker", applied)
    assert (2, 0) == (len(two.lines()), len(none.lines()))
    child = subprocess.Popen(
        [sys.executable, "-m", "streams.cli.main", "consume", "ml.labels", "--max", "1",
         "--broker", applied],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline().startswith("place")
    cli("produce", "ml.labels", "--broker", applied, stdin=text(label("later")))
    out, _ = child.communicate(timeout=30)
    assert (0, True) == (child.returncode, txid("later") in out)


def test_one_partition_can_be_read(cli: Cli, applied: str) -> None:
    """--partition reads that one; a partition that is not there is refused."""
    cli("produce", "ml.labels", "--broker", applied, stdin=text(*(label(str(n)) for n in range(9))))
    words = ("consume", "ml.labels", "--from-beginning", "--until-end", "--broker", applied)
    keys = [e["metadata"]["key"] for e in cli(*words, "--partition", "2", "-o", "ndjson").lines()]
    assert {2} == {partition_of(key.encode(), 4) for key in keys}
    ended = cli(*words, "--partition", "4")
    assert (2, True) == (ended.code, "no partition 4" in ended.err)


def test_what_cannot_be_decoded_is_shown_and_kept_apart(cli: Cli, applied: str) -> None:
    """The table says error; ndjson and csv keep standard output clean; no terminal is commanded."""
    producer = Producer({"bootstrap.servers": applied})
    producer.produce("patterns.matches", b"\x00\x00\x00\x03\xe7", b"\x1b[2Jkey")
    producer.flush(10)
    words = ("consume", "patterns.matches", "--from-beginning", "--until-end", "--broker", applied)
    table = cli(*words).out
    lines, rows = cli(*words, "-o", "ndjson"), cli(*words, "-o", "csv")
    wanted = "unknown_schema: schema id 999 is unknown"
    assert (True, False) == (wanted in table, "\x1b" in table)
    assert ("", True) == (lines.out, wanted in lines.err)
    assert (1, True) == (len(rows.out.splitlines()), wanted in rows.err)


def test_topics_of_original_bytes_are_shown_in_base64(cli: Cli, applied: str) -> None:
    """Key and value are the original's, headers are text."""
    producer = Producer({"bootstrap.servers": applied})
    producer.produce("late_records", b"\xff\x00", b"k", headers=[("late.by", b"5")])
    producer.flush(10)
    words = ("consume", "late_records", "--from-beginning", "--until-end", "--broker", applied)
    row = cli(*words, "-o", "ndjson").lines()[-1]
    assert ("/wA=", "aw==", {"late.by": "5"}) == (row["value"], row["key"], row["headers"])
    assert True is ("2 bytes" in cli(*words).out)


def test_uncommitted_records_are_not_shown(cli: Cli, applied: str) -> None:
    """Readers see what was committed; an aborted transaction left nothing."""
    producer = Producer({"bootstrap.servers": applied, "transactional.id": "test-aborts"})
    producer.init_transactions(20)
    producer.begin_transaction()
    event = alert(999, 1)
    value = Codec().encode(event.type, event.value)
    producer.produce("entities.joined", value, event.key, headers=to_headers(event))
    producer.flush(10)
    producer.abort_transaction(20)
    ended = cli("consume", "entities.joined", "--from-beginning", "--until-end", "-o", "ndjson",
                "--broker", applied)  # fmt: skip
    assert (0, "") == (ended.code, ended.out)


def test_a_label_survives_as_it_is_written(cli: Cli, applied: str) -> None:
    """What consume prints is what the writer of lines understands."""
    event = labelled(1)
    assert event == from_line(to_line(event), LABEL, "", 0)
    assert Label(txid("pipe1"), True, "pipes") == event.value
