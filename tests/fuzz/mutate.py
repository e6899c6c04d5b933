"""Seeded mutations of real bytes and headers: what a broken or hostile producer may send."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from schemas.headers import REPLAY_FOR, REPLAYS, WATERMARK, WRITER, Headers

BOMBS = (
    b"\xff\xff\xff\xff\x0f", b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\xff" * 9,
    b"\xfe\xff\xff\xff\x7f", b"\xdd\x7f\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\x80" * 11,
)  # fmt: skip
"""Lengths that no record has: varints, compact sizes, MessagePack."""
NESTS = (b"[", b'{"a":', b"\x91", b"\x81\xa1a", b"\xc1\x00" + bytes(8), b"\x02", b"\xc7\x01\x02")
"""What opens one more level in JSON, MessagePack, a state record, Avro."""
TEXTS = (
    b"", b"\xff\xfe", b"-1", b"1e9", b"9" * 40, b"99999-01-01T00:00:00Z", b"-9223372036854775808",
    b"main/-1/x", b"main/" + b"9" * 30 + b"/00", b"a:assert:x", b":retract:1", b"true", b"\x00",
    b"source/0/0/1", b"source/0/1/1", b"x" * 70_000, b"retract", b"assert", b"idle", b"-inf",
)  # fmt: skip
NAMES = (
    "ce_id", "ce_op", "ce_time", "ce_ingestts", "ce_anchor", "ce_correction", "ce_priority",
    "ce_type", "ce_source", "ce_retrycount", WRITER, WATERMARK, REPLAYS, REPLAY_FOR, "dl.cause",
    "", "x" * 300,
)  # fmt: skip

JUNK: tuple[Any, ...] = (
    None, True, "", "x", "00", "\x00\u2028", [], {}, [[]], 0, -1, 1.5, 2**31, 2**63, 2**64, 10**30,
    "x" * 5000, [0] * 100,
)  # fmt: skip
"""What may stand in the place of anything in JSON."""
TOKENS = (
    b"1e999999999", b"-1E-999999999", b"NaN", b"-Infinity", b"9" * 5000, b'"\\ud800"', b"0.1e1",
    *(b"[" * n + b"]" * n for n in (400, 800, 900, 930, 960, 990, 50_000)),
    *(b'{"a":' * n + b"0" + b"}" * n for n in (900, 960)),
)  # fmt: skip
"""The same, as text that Python's own encoder would not write."""
_MARK = "stands for a token"
Place = tuple[Any, Any]
"""Who holds a value, and where."""


class Mutator:
    """Makes bytes from real ones; the same seed makes the same ones."""

    def __init__(self, seed: int, corpus: Sequence[bytes]) -> None:
        self.dice, self.corpus = random.Random(seed), [raw for raw in corpus if raw]
        self._ways: list[Callable[[bytearray], None]] = [
            self._flip, self._flip, self._set, self._cut, self._cut, self._splice, self._insert,
            self._repeat, self._bomb, self._bomb, self._nest, self._wipe, self._schema_id,
        ]  # fmt: skip

    def bytes(self, own: bytes | None = None) -> bytes:
        """One mutation of these bytes, else of one record."""
        made = bytearray(self.dice.choice(self.corpus) if own is None else own)
        for _ in range(self.dice.choice((1, 1, 1, 2, 4))):
            self.dice.choice(self._ways)(made)
        return bytes(made)

    def json(self) -> bytes:
        """One mutation of one JSON text: mostly JSON still, of another shape."""
        if self.dice.random() < 0.2:
            return self.bytes()
        return self.reshaped(json.loads(self.dice.choice(self.corpus)))

    def reshaped(self, plain: Any) -> bytes:
        """JSON text of a value in which something was changed; the value itself is used up."""
        whole = [plain]
        for _ in range(self.dice.choice((1, 1, 1, 2, 4))):
            self._reshape(whole)
        mark, token = json.dumps(_MARK).encode(), self.dice.choice(TOKENS)
        return json.dumps(whole[0] if whole else None).encode().replace(mark, token)

    def _reshape(self, whole: list[Any]) -> None:
        dice, places = self.dice, _places(whole)
        holder, at = dice.choice(places[1:] if len(places) > 1 and dice.random() < 0.98 else places)
        way = dice.randrange(6)
        if way == 0 and holder is not whole:
            del holder[at]
        elif way == 1:
            holder[at] = copy.deepcopy(dice.choice(JUNK))
        elif way == 2:
            holder[at] = _MARK
        elif way == 3:
            other, there = dice.choice(places)
            holder[at] = copy.deepcopy(other[there])
        else:
            holder[at] = self._near(holder[at])

    def _near(self, value: Any) -> Any:
        """A value of the same kind."""
        dice = self.dice
        if isinstance(value, bool) or value is None:
            return not value
        if isinstance(value, int | float):
            return dice.choice((value + 1, value - 1, -value, value * 2, value * 1000))
        if isinstance(value, str) and value and dice.random() < 0.5:  # its letters stay the same
            at = dice.randrange(len(value))
            return value[:at] + dice.choice(value) + value[at + 1 :]
        if isinstance(value, str):
            raw = bytearray(value.encode("utf-8", "surrogatepass"))
            dice.choice(self._ways)(raw)
            return raw.decode(errors="replace")
        if isinstance(value, list):
            return dice.choice((value[1:], value[:-1], value * 2, value[::-1], [value]))
        return {**value, dice.choice(("x", "", *value)): copy.deepcopy(dice.choice(JUNK))}

    def headers(self, own: Headers) -> Headers:
        """One mutation of these headers."""
        made, dice = list(own), self.dice
        for _ in range(dice.choice((1, 1, 2, 5))):
            way, at = dice.randrange(5), dice.randrange(len(made) + 1)
            name = dice.choice(NAMES if dice.random() < 0.5 or not own else [n for n, _ in own])
            if way == 0:
                del made[at : at + 1]
            elif way == 1:
                made[at : at + 1] = [(name, dice.choice(TEXTS))]
            elif way == 2:
                made.insert(at, (name, dice.choice(TEXTS)))
            elif way == 3 and own:
                made.append((name, self._flipped(dice.choice(own)[1] or b"")))
            else:
                made += [(name, b"x")] * dice.choice((1, 3, 100))
        return made

    def _flipped(self, raw: bytes) -> bytes:
        made = bytearray(raw)
        self._flip(made)
        return bytes(made)

    def _at(self, made: bytearray) -> int:
        """A place, the beginning more often than the rest: there are the lengths."""
        most = min(len(made), 16) if self.dice.random() < 0.4 else len(made)
        return self.dice.randrange(most) if most else 0

    def _flip(self, made: bytearray) -> None:
        if made:
            made[self._at(made)] ^= 1 << self.dice.randrange(8)

    def _set(self, made: bytearray) -> None:
        if made:
            made[self._at(made)] = self.dice.choice((0, 1, 0x7F, 0x80, 0xFD, 0xFE, 0xFF))

    def _cut(self, made: bytearray) -> None:
        start = self._at(made)
        del made[start : None if self.dice.random() < 0.5 else start + self.dice.randrange(1, 40)]

    def _splice(self, made: bytearray) -> None:
        other, start = self.dice.choice(self.corpus), self._at(made)
        made[start:] = other[self.dice.randrange(len(other)) :]

    def _insert(self, made: bytearray) -> None:
        made[self._at(made) : 0] = self.dice.randbytes(self.dice.choice((1, 4, 64)))

    def _repeat(self, made: bytearray) -> None:
        start = self._at(made)
        made[start:start] = made[start : start + 30] * self.dice.choice((1, 2, 50))

    def _bomb(self, made: bytearray) -> None:
        start, bomb = self._at(made), self.dice.choice(BOMBS)
        made[start : start + self.dice.choice((0, 1, len(bomb)))] = bomb

    def _nest(self, made: bytearray) -> None:
        start = self._at(made)
        made[start:start] = self.dice.choice(NESTS) * self.dice.choice((1, 10, 300, 3000))

    def _wipe(self, made: bytearray) -> None:
        start, size = self._at(made), self.dice.choice((4, 8, 32))
        made[start : start + size] = bytes(len(made[start : start + size]))

    def _schema_id(self, made: bytearray) -> None:
        if len(made) > 5:
            number = self.dice.choice((0, self.dice.randrange(60), 1 << 30, 0xFFFFFFFF))
            made[1:5] = number.to_bytes(4, "big")


def _places(whole: list[Any]) -> list[Place]:
    """Where each value stands, ``whole`` itself first."""
    found: list[Place] = []
    holders: list[Any] = [whole]
    while holders:
        holder = holders.pop()
        inside = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for at, value in inside:
            found.append((holder, at))
            if isinstance(value, dict | list):
                holders.append(value)
    return found
