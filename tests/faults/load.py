"""The load: writes an input at its pace, each record once. Imports nothing of ours.

``python -m tests.faults.load BOOTSTRAP SHAPE``: the shape as JSON. Says ``acked`` and how many at
the end; a record that Kafka did not take is an error.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from typing import Any
from zlib import crc32

import fastavro
from confluent_kafka import KafkaError, Producer

from tests.faults.inputs import ORDERS, T0, VISITS, Record, Shape, written

SCHEMAS: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("schemas.json").read_text()
)
TYPES = {ORDERS: "fault.order.v1", VISITS: "fault.visit.v1"}
WRITE: dict[str, Any] = {
    "enable.idempotence": True,  # in order, each once, however often a request is sent again
    "acks": "all",
    "message.timeout.ms": 0,
    "linger.ms": 10,
    "compression.type": "lz4",
    "queue.buffering.max.messages": 5_000_000,
    "queue.buffering.max.kbytes": 1 << 20,
    "partitioner": "murmur2_random",
    "retry.backoff.ms": 50,
    "reconnect.backoff.max.ms": 500,
    "log_level": 2,
}
TICK_S = 0.01


def encoder(type_name: str) -> Callable[[dict[str, Any]], bytes]:
    """What writes the values of a type: Avro behind the frame of its schema's id."""
    known = SCHEMAS[type_name]
    schema, frame = fastavro.parse_schema(known["schema"]), b"\0" + known["id"].to_bytes(4, "big")

    def encode(value: dict[str, Any]) -> bytes:
        body = BytesIO(frame)
        body.seek(len(frame))
        fastavro.schemaless_writer(body, schema, value)
        return body.getvalue()

    return encode


_foreign = encoder("fault.met.v1")


def poison(id: str) -> bytes:
    """Bytes that are no value, of one kind or another: words, none, an id that nobody has given to
    a schema, the frame of orders with nothing behind it, and with what ends too early, and a whole
    value, but of a type that belongs into another topic."""
    order = SCHEMAS[TYPES[ORDERS]]["id"].to_bytes(4, "big")
    kinds = (
        f"poison {id}".encode(),
        b"",
        b"\0" + (0x7FFFFFF0).to_bytes(4, "big") + id.encode(),
        b"\0" + order,
        b"\0" + order + b"\xfe\x01" + id.encode(),
        _foreign({"order": id, "visit": id, "account": id}),
    )
    return kinds[crc32(id.encode()) % len(kinds)]


def headers(record: Record) -> list[tuple[str, bytes]]:
    """The envelope of a record as CloudEvents' Kafka binding has it."""
    second, ms = divmod(record.ts, 1000)
    time_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
    found = [
        ("ce_id", f"{record.id}:{record.op}:0".encode()),
        ("ce_type", TYPES[record.topic].encode()),
        ("ce_time", f"{time_text}.{ms:03d}Z".encode()),
        ("ce_op", record.op.encode()),
        ("ce_ingestts", str(record.due).encode()),
    ]
    if record.correction:
        found.append(("ce_correction", b"true"))
    return found


class Load:
    """Writes the records of a shape when they are due."""

    def __init__(self, bootstrap: str) -> None:
        self.producer = Producer({**WRITE, "bootstrap.servers": bootstrap})
        self.encoders = {topic: encoder(name) for topic, name in TYPES.items()}
        self.acked, self.refused = 0, list[str]()

    def _told(self, error: KafkaError | None, message: Any) -> None:
        if error is None:
            self.acked += 1
        else:
            self.refused.append(error.str())

    def write(self, record: Record) -> None:
        """Hand one record over."""
        value, id = record.value, record.id
        body = poison(id) if value is None else self.encoders[record.topic](value)
        told: Any = headers(record)
        self.producer.produce(record.topic, body, record.key, headers=told, on_delivery=self._told)

    def play(self, records: Iterable[Record]) -> int:
        """Write all of them at their pace, return how many; falls behind where the machine does."""
        began, number = time.monotonic(), 0
        for number, record in enumerate(records, 1):
            wait = (record.due - T0) / 1000 - (time.monotonic() - began)
            if wait > 0:
                self.producer.poll(0)
                time.sleep(max(wait, TICK_S))
            self.write(record)
            if number % 500 == 0:
                self.producer.poll(0)
        self.seconds = time.monotonic() - began
        self.producer.flush()
        return number


def main() -> None:
    """Write an input; ends with an error unless all of it was taken."""
    bootstrap, text = sys.argv[1:]
    told = json.loads(text)
    pairs = {name: tuple(value) for name, value in told.items() if isinstance(value, list)}
    shape = Shape(**{**told, **pairs})
    load = Load(bootstrap)
    print("begin", flush=True)
    number = load.play(written(shape))
    print(f"acked {load.acked} {load.seconds:.3f}", flush=True)
    if load.refused or load.acked != number:
        sys.exit(f"{number - load.acked} records were not taken: {load.refused[:3]}")


if __name__ == "__main__":
    main()
