"""What answers as no registry does: it is named, and no id of it is used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.registry import fingerprint
from streams.registry import RegistryError, kept
from tests.registry.answers import URL, Answering

TYPE, TEXT = "bitcoin.tip.v1", '{"type":"record","name":"Tip","fields":[]}'
KNOWN = {"subject": "s-value", "id": 7, "version": 1, "schema": TEXT}


def asked(*bodies: bytes, status: int = 200) -> Answering:
    """A registry that answers so."""
    found = Answering()
    found.answers = [(status, body) for body in reversed(bodies)]
    return found


def test_the_registry_of_these_tests_is_believed() -> None:
    """Its id is used where it answers as registries do."""
    with asked(json.dumps(KNOWN).encode()) as registry:
        assert 7 == registry.register(TYPE, TEXT).id


@pytest.mark.parametrize("number", [-1, 2**32, "7", True, None, 1.5, float("inf")])
def test_what_is_no_id_is_refused(number: Any) -> None:
    """No record could be framed with it."""
    answer = json.dumps({**KNOWN, "id": number}).encode()
    with asked(answer) as registry, pytest.raises(RegistryError, match="is no schema registry"):
        registry.register(TYPE, TEXT)


@pytest.mark.parametrize("body", [b"[" * 50_000, b"[]", b"7", b"hello"])
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    """Also JSON that is nested without end."""
    with asked(body) as registry, pytest.raises(RegistryError, match="is no schema registry"):
        registry.register(TYPE, TEXT)


def test_a_rule_without_a_name_is_refused() -> None:
    """Whoever asks for a verdict gets a rule by its name."""
    level = json.dumps({"compatibilityLevel": {"a": 1}}).encode()
    verdict = json.dumps({"is_compatible": True}).encode()
    with asked(level, verdict) as registry, pytest.raises(RegistryError, match="is no schema"):
        registry.judge(TYPE, TEXT, "s-value")


def test_a_refusal_without_words_is_named() -> None:
    """What stands where its reason belongs is not shown."""
    body = json.dumps({"error_code": 409, "message": {"a": "long story"}}).encode()
    with asked(body, status=409) as registry, pytest.raises(RegistryError, match="no reason"):
        registry.look_up(TYPE, TEXT, "s-value")


@pytest.mark.parametrize("number", ["4294967296", "-1", "[" * 50_000, '"\xff"'])
def test_ids_that_are_kept_and_cannot_be_are_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: str
) -> None:
    """The file is then as good as not there, whatever happened to it."""
    monkeypatch.setenv("STREAMS_HOME", str(tmp_path))
    path = kept.place(URL)
    path.parent.mkdir()
    content = f'{{"url": "{URL}", "ids": {{"{fingerprint(TEXT)}": {number}}}}}'
    path.write_bytes(content.encode("latin-1"))
    assert kept.read(URL, {TYPE: TEXT}) is None
