"""Schema ids: the committed lock, the same on every machine, or a registry's answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from schemas.catalog import IDS_LOCK, TYPES, EventType


def canonical(schema: Any) -> str:
    """The schema text that is hashed and registered: JSON without white space, keys as written."""
    return json.dumps(schema, separators=(",", ":"), ensure_ascii=False)


def schema_text(event_type: EventType) -> str:
    """The type's Avro schema in canonical text."""
    return canonical(json.loads(event_type.path.read_text()))


def fingerprint(text: str) -> str:
    """SHA-256 of a canonical schema text, hex."""
    return sha256(text.encode()).hexdigest()


def locked_ids() -> dict[str, int]:
    """Type name to schema id, from the lock file; raises ValueError when a schema was edited."""
    lock: dict[str, dict[str, Any]] = json.loads(IDS_LOCK.read_text())
    for event_type in TYPES:
        entry = lock.get(event_type.name)
        if entry is None:
            raise ValueError(f"{event_type.name} has no id: run `streams schemas lock`")
        if entry["sha256"] != fingerprint(schema_text(event_type)):
            raise ValueError(
                f"{event_type.path.name} was edited after its id was given: "
                "undo the edit or add the next version as a file of its own"
            )
    return {name: int(entry["id"]) for name, entry in lock.items()}


def next_lock(lock: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The lock with an id for every type: given ids stay, new types take the next numbers."""
    result = {name: dict(entry) for name, entry in lock.items()}
    highest = max((int(entry["id"]) for entry in result.values()), default=0)
    for event_type in TYPES:
        if event_type.name not in result:
            highest += 1
            result[event_type.name] = {"id": highest, "sha256": ""}
        entry = result[event_type.name]
        entry["sha256"] = entry["sha256"] or fingerprint(schema_text(event_type))
    return result
