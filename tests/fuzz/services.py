"""Decoders of what other services say: a schema registry, a token endpoint, Kafka's brokers."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from itertools import count
from typing import Any
from unittest.mock import patch

import msgspec

from schemas.registry import fingerprint
from schemas.wire import Codec
from streams.registry import RegistryError, kept
from tests.fuzz.archives import folder
from tests.fuzz.material import Decoder
from tests.fuzz.mutate import Mutator
from tests.registry.answers import URL, Answering

TYPE, TEXT = "bitcoin.tip.v1", '{"type":"record","name":"Tip","fields":[]}'
SCHEMA = {"subject": "s-value", "id": 7, "version": 1, "schema": TEXT, "guid": "g"}
UNKNOWN, REFUSED = (
    {"error_code": 40403, "message": "not found"},
    {"error_code": 409, "message": "x"},
)
Answers = tuple[tuple[int, Any], ...]
STORIES: tuple[Answers, ...] = (
    ((200, SCHEMA),),
    ((404, UNKNOWN), (200, {"id": 7}), (200, SCHEMA)),
    ((404, UNKNOWN), (409, REFUSED)),
)
VERDICTS: tuple[Answers, ...] = (
    ((200, {"compatibilityLevel": "FULL"}), (200, {"is_compatible": True, "messages": []})),
    ((404, UNKNOWN), (200, {"compatibilityLevel": "NONE"}), (404, UNKNOWN)),
)
"""What a registry answers one after the other: to who wants an id, to who asks for a verdict."""
_NUMBERS = count()


@cache
def registry() -> Answering:
    """One connection for all: to make one takes longer than many answers."""
    return Answering()


def _registry(mutator: Mutator) -> None:
    """Ask for an id, which a codec then frames values with, or for a verdict."""
    dice, asked = mutator.dice, registry()
    judging = dice.random() < 0.3
    story = dice.choice(VERDICTS if judging else STORIES)
    asked.answers = answers = [
        (status, json.dumps(body).encode()) for status, body in reversed(story)
    ]
    lie = dice.randrange(len(answers))
    status, body = answers[lie]
    lied = mutator.bytes(body) if dice.random() < 0.2 else mutator.reshaped(json.loads(body))
    answers[lie] = dice.choice((status, status, status, 200, 204, 401, 404, 500)), lied
    asked.answers = answers
    subject = f"fuzz{next(_NUMBERS)}-value"  # the client remembers what it was told
    if judging:
        asked.judge(TYPE, TEXT, subject).level.lower()
    else:
        found = asked.register(TYPE, TEXT, subject)
        Codec({TYPE: found.id})
        assert isinstance(found.version, int)


def _ids(mutator: Mutator) -> None:
    """Read what a registry said before, for a codec to frame values with."""
    path = folder() / "ids.json"
    path.write_bytes(mutator.json())
    with patch.object(kept, "place", lambda url: path):
        found = kept.read(URL, {TYPE: TEXT})
    if found is None:
        raise RegistryError("nothing is kept", "ask the registry")
    Codec(found)


def _kept() -> bytes:
    return msgspec.json.encode(kept.Kept(URL, {fingerprint(TEXT): 7, "0" * 64: 8}))


DECODERS: dict[str, Callable[[], Decoder]] = {
    "registry": lambda: Decoder([b"x"], _registry, (RegistryError,)),
    "registry ids": lambda: Decoder([_kept()], _ids, (RegistryError,)),
}
