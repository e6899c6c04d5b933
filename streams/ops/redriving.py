"""What would become of each letter that is written back: whereto, as what, or why not."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Literal, NamedTuple

import msgspec
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    ConfigResource,
    ResourceType,
)

from schemas.headers import REPLAY_FOR, REPLAYS, WATERMARK, Headers
from streams import topics
from streams.client.sending import Whole
from streams.engine.durability import whole
from streams.engine.guard import as_bytes, headers_of
from streams.engine.murmur2 import partition_of
from streams.engine.rights import Right
from streams.ops.admin import TIMEOUT_SECONDS, OpsError
from streams.ops.ledger import HOME, Ledger
from streams.ops.letter_scan import Scanner
from streams.ops.letters import Kind, Letter

MOST_REPLAYS = 3
SINK = "sink:"
OWN_ENDINGS = ("-changelog", "-runs")
RECORD_ROOM = 1024
"""What Kafka adds to the parts of a record, at most."""
Why = Literal[
    "redrive", "already", "quarantined", "control", "no_origin", "headers_lost", "bytes_lost",
    "no_topic", "our_own", "no_reader", "too_large", "too_old", "refused",
]  # fmt: skip
MEANING: dict[Why, str] = {
    "redrive": "written back",
    "already": "was written back before, to the same place",
    "quarantined": "was written back as often as it may be: raise --max-replays, or leave it",
    "control": "declares a watermark: such a record is never written back",
    "no_origin": "does not say where it came from: name a topic with --to",
    "headers_lost": "its headers could not be read when it became a letter",
    "bytes_lost": "holds no bytes, and the record that it speaks of is not kept either",
    "no_topic": "its topic is not there: create it, or name another one with --to",
    "our_own": "names a topic of state, positions or letters: nothing is written back there",
    "no_reader": "nobody of the name that refused it has a changelog here: write it back for "
    "everyone with --everyone",
    "too_large": "is larger than its topic takes: raise max.message.bytes there",
    "too_old": "is older than its topic keeps what producers date: raise retention.ms there",
    "refused": "was refused by the broker",
}


class Plan(NamedTuple):
    """What is to become of one letter."""

    why: Why
    topic: str
    """Whereto it goes, or would."""
    record: Whole | None = None
    replays: int = 0
    """How often it will have been written back."""
    reader: str = ""
    """Who alone is to take it; empty for everyone."""


class Limits(NamedTuple):
    """What a topic takes."""

    most_bytes: int
    oldest_ts: int
    """A record with an earlier time (ms) would be deleted at once; 0: its time is its arrival."""


def limits_of(settings: Mapping[str, str], now_ms: int) -> Limits:
    """What a topic of these settings takes at this moment; what is not told limits nothing."""
    kept = whole(settings, "retention.ms", -1)
    dated = settings.get("message.timestamp.type") == "CreateTime"
    deletes = "delete" in settings.get("cleanup.policy", "") and kept >= 0
    most = whole(settings, "max.message.bytes", sys.maxsize)
    return Limits(most, now_ms - kept if dated and deletes else 0)


class Options(msgspec.Struct, frozen=True):
    """How letters are written back."""

    to: str | None = None
    """Another topic than each letter's own."""
    most: int = MOST_REPLAYS
    """How often a record may be written back."""
    everyone: bool = False
    """For every reader of the topic, not only for the one that could not take it."""

    @property
    def destination(self) -> str:
        """As the ledger has it."""
        return HOME if self.to is None else self.to


class Planner:
    """Decides about letters; asks the broker what its topics take."""

    def __init__(self, scanner: Scanner, kind: Kind, options: Options, ledger: Ledger) -> None:
        self.options, self.kind, self.ledger = options, kind, ledger
        self._scanner = scanner
        self._counts = scanner.counts()
        self._limits: dict[str, Limits] = {}
        if options.to is not None and is_our_own(options.to):
            raise OpsError(f"letters are not written to {options.to}", "name another topic")
        if options.to is not None and options.to not in self._counts:
            raise OpsError(
                f"the broker has no topic {options.to}", "create it, or name another one"
            )

    def plan(self, letter: Letter) -> Plan:
        """What is to become of a letter; raises KafkaException."""
        topic = self.options.to or letter.text("topic")
        why = self._obstacle(letter, topic)
        if why is not None:
            return Plan(why, topic)
        parts = self._parts(letter)
        if parts is None:
            return Plan("bytes_lost", topic)
        key, value, own = parts
        count = (letter.replays or 0) + 1
        reader = self._reader(letter)
        partition = self._partition(letter, topic, key)
        ts = letter.number("timestamp") or 0
        record = Whole(topic, value, key, partition, marked(own, count, reader), ts)
        limits = self._limits_of(topic)
        if size_of(record) > limits.most_bytes:
            return Plan("too_large", topic)
        if 0 < ts < limits.oldest_ts:
            return Plan("too_old", topic)
        return Plan("redrive", topic, record, count, reader)

    def _obstacle(self, letter: Letter, topic: str) -> Why | None:
        """Why a letter cannot be written back, as far as it says so itself."""
        options, replays = self.options, letter.replays
        if self.ledger.has(letter.partition, letter.offset, options.destination):
            return "already"
        if replays is None or replays >= options.most:
            return "quarantined"
        if letter.key is None and letter.value is None and _declares(letter.own):
            return "control"
        if options.to is None and letter.origin is None:
            return "no_origin"
        if not letter.readable:
            return "headers_lost"
        if topic not in self._counts:
            return "no_topic"
        if is_our_own(topic):
            return "our_own"
        reader = self._reader(letter)
        if reader and not reader.startswith(SINK) and f"{reader}-changelog" not in self._counts:
            return "no_reader"
        return None

    def _reader(self, letter: Letter) -> str:
        """Who alone is to take the record again."""
        elsewhere = self.options.to not in (None, letter.text("topic"))
        return "" if self.options.everyone or elsewhere else letter.text("reader")

    def _parts(self, letter: Letter) -> tuple[bytes | None, bytes | None, Headers] | None:
        """Key, value and headers as they were; from the origin where the letter has not all."""
        if letter.complete:
            return letter.key, letter.value, letter.own
        origin = letter.origin
        if origin is None or origin.partition >= self._counts.get(origin.topic, 0):
            return None
        found = self._scanner.one(*origin)
        if found is None:
            return None
        value = as_bytes(found.value())
        digest = letter.why.get("sha256")
        same = digest is None or digest == sha256(value or b"").hexdigest().encode()
        if not same or as_bytes(found.key()) != letter.key:
            return None
        return letter.key, value, headers_of(found)

    def _partition(self, letter: Letter, topic: str, key: bytes | None) -> int:
        """Where the record was, if that is there; else where its key belongs."""
        count, was = self._counts[topic], letter.number("partition") or 0
        if topic == letter.text("topic") and was < count:
            return was
        return was % count if key is None else partition_of(key, count)

    def _limits_of(self, topic: str) -> Limits:
        """What a topic takes, and keeps."""
        if topic not in self._limits:
            # a transaction that the broker lets nothing into ends as if another had taken it over
            self._scanner.require(Right("topic", topic, "WRITE"))
            asked = [ConfigResource(ResourceType.TOPIC, topic)]
            [future] = self._scanner.admin.describe_configs(asked).values()
            found = {name: str(one.value) for name, one in future.result(TIMEOUT_SECONDS).items()}
            self._limits[topic] = limits_of(found, time.time_ns() // 1_000_000)
        return self._limits[topic]


def is_our_own(topic: str) -> bool:
    """Whether a topic holds what only the engine writes: whoever may write letters names topics.

    >>> [is_our_own(t) for t in ("streams.cursors", "streams-by_txid-changelog", "alerts")]
    [True, True, False]
    """
    own = (topics.dead_letters, topics.late_records, topics.redrives, topics.cursors)
    return topic in {one.name for one in own} or topic.endswith(OWN_ENDINGS)


def marked(own: Headers, count: int, reader: str) -> Headers:
    """A record's own headers, then how often it was written back, and for whom."""
    kept = [(name, raw) for name, raw in own if name not in (REPLAYS, REPLAY_FOR)]
    kept.append((REPLAYS, b"%d" % count))
    return [*kept, (REPLAY_FOR, reader.encode())] if reader else kept


def size_of(record: Whole) -> int:
    """How large a record is on the wire, at most (bytes)."""
    headers = sum(len(name.encode()) + len(raw or b"") + 10 for name, raw in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers + RECORD_ROOM


def _declares(own: Headers) -> bool:
    return any(name == WATERMARK for name, _ in own)
