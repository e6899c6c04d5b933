"""Messages that do not hold: each is refused with a typed cause, whatever it is."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.dwn.cid import check_cid, cid_of, data_cid
from schemas.dwn.encoding import (
    MAX_MESSAGE_BYTES,
    compact,
)
from schemas.dwn.errors import DwnInvalid
from schemas.dwn.verify import verify

from .notes import (
    ALICE,
    BOB,
    DATA,
    JSON,
    T0,
    T2,
    WRITE,
    changed,
    refusal,
    resigned,
)

TAMPERED = {
    "data changed": ("data_cid", WRITE, DATA[:-1] + b"]"),
    "data cut": ("data_size", WRITE, DATA[:-1]),
    "descriptor changed": (
        "descriptor_cid",
        {**WRITE, "descriptor": {**WRITE["descriptor"], "dataFormat": "text/plain"}},
        DATA,
    ),
    "record id of another": (
        "record_id",
        resigned({**WRITE, "recordId": data_cid(b""), "contextId": data_cid(b"")}),
        DATA,
    ),
    "record id changed": ("context_id", {**WRITE, "recordId": data_cid(b"")}, DATA),
    "context of another": (
        "context_id",
        resigned({**WRITE, "contextId": f"{data_cid(b'')}/{WRITE['recordId']}"}),
        DATA,
    ),
    "context gone": ("context_id", {k: v for k, v in WRITE.items() if k != "contextId"}, DATA),
    "unsigned": ("signature", {**WRITE, "authorization": None}, DATA),
    "signed by another": ("record_id", resigned(WRITE, BOB), DATA),
    "member added": ("shape", {**WRITE, "extra": 1}, DATA),
    "null tag": ("shape", changed(WRITE, tags={"a": [None]}), DATA),
    "size as float": ("shape", changed(WRITE, dataSize=1.5), DATA),
    "size as bool": ("shape", changed(WRITE, dataSize=True), DATA),
    "short fraction": ("timestamp", changed(WRITE, messageTimestamp="2023-11-14T22:13:20Z"), DATA),
    "no such day": (
        "timestamp",
        changed(WRITE, dateCreated="2023-02-31T00:00:00.000000Z", messageTimestamp=T0),
        DATA,
    ),
    "created later": ("timestamp", changed(WRITE, dateCreated=T2), DATA),
    "delegated": (
        "unsupported",
        {**WRITE, "authorization": {**WRITE["authorization"], "authorDelegatedGrant": WRITE}},
        DATA,
    ),
    "deep": ("too_deep", {**WRITE, "descriptor": json.loads('{"a":' * 40 + "1" + "}" * 40)}, DATA),
    "wide": ("too_large", {**WRITE, "descriptor": {"a": [0] * 30_000}}, DATA),
    "long": ("too_large", {**WRITE, "descriptor": {"a": "x" * (MAX_MESSAGE_BYTES + 1)}}, DATA),
    "lone surrogate": ("shape", {**WRITE, "descriptor": {"a": "\ud800"}}, DATA),
    "not a number": ("shape", {**WRITE, "descriptor": {"a": float("nan")}}, DATA),
    "not a message": ("shape", [], DATA),
    "huge number": ("shape", {**WRITE, "descriptor": {"a": 10**400}}, DATA),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_tampering_is_refused_by_its_cause(case):
    """Each kind of tampering is refused, and the cause names it."""
    cause, message, data = TAMPERED[case]
    found = refusal(message, data)
    assert found == cause or (case == "unsigned" and found == "shape")


@pytest.mark.parametrize("position", range(0, 86, 5))
def test_no_bit_of_a_signature_may_change(position):
    """A signature with one character changed is refused."""
    bad = copy.deepcopy(WRITE)
    one = bad["authorization"]["signature"]["signatures"][0]
    text = one["signature"]
    swapped = "B" if text[position] == "A" else "A"
    one["signature"] = text[:position] + swapped + text[position + 1 :]
    assert refusal(bad) in {"signature", "shape"}


NO_CIDS = [None, "", "bafy", "Qm" * 23, "b" * 300, "zb2rh", WRITE["recordId"][:-1]]


@pytest.mark.parametrize("text", NO_CIDS)
def test_check_cid(text):
    """What is no base32 CIDv1 is refused."""
    with pytest.raises(DwnInvalid):
        check_cid(text)


def _paths(value, path=()):
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _paths(inner, (*path, key))


TAGGED = {**WRITE, "descriptor": {**WRITE["descriptor"], "tags": {"a": [1]}}}
PATHS = [path for path in _paths(TAGGED) if path]


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(PATHS), JSON, st.booleans())
def test_nothing_but_a_typed_refusal(path, junk, remove):
    """Whatever stands at whatever place of a message, the check accepts it or raises DwnInvalid."""
    bad = copy.deepcopy(TAGGED)
    holder = bad
    for step in path[:-1]:
        holder = holder[step]
    if remove:
        del holder[path[-1]]
    else:
        holder[path[-1]] = junk
    again = resigned(bad) if isinstance(bad.get("descriptor"), dict) and _hashable(bad) else bad
    for message in (bad, again):
        try:
            verify(message, DATA, ALICE.did)
        except DwnInvalid as refused:
            assert refused.cause


def _hashable(message) -> bool:
    try:
        cid_of(message["descriptor"])
        compact({name: message.get(name) for name in ("recordId", "contextId")})
    except (DwnInvalid, UnicodeError, ValueError, TypeError):
        return False
    return True
