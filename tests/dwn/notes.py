"""A note of Alice and ways to spoil it: what the tests of messages share."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from schemas.dwn.cid import cid_of
from schemas.dwn.encoding import (
    compact,
    timestamp,
)
from schemas.dwn.errors import DwnInvalid
from schemas.dwn.jws import sign_jws
from schemas.dwn.message import (
    Record,
    records_write,
)
from schemas.dwn.signer import Signer
from schemas.dwn.verify import verify

ALICE = Signer.generate_ed25519(b"a" * 32)
BOB = Signer.generate_secp256k1(b"b" * 32)
NOTES = "https://example.test/notes"
NOTE = Record(protocol=NOTES, protocol_path="note", schema="https://example.test/note")
DATA = b'{"text":"hello"}'
T0, T1, T2 = (timestamp(1_700_000_000_000_000 + n) for n in range(3))
WRITE = records_write(ALICE, DATA, NOTE, T0)
SECP_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def refusal(message, data=DATA, tenant=ALICE.did, **more) -> str:
    """The cause for which a message is refused."""
    with pytest.raises(DwnInvalid) as caught:
        verify(message, data, tenant, **more)
    return caught.value.cause


def resigned(message, signer=ALICE, **claims):
    """The message with its signature made anew over its descriptor and ids."""
    ids = {name: message[name] for name in ("recordId", "contextId") if name in message}
    payload = {"descriptorCid": cid_of(message["descriptor"]), **ids, **claims}
    signature = sign_jws(compact(payload).encode(), signer)
    return {**message, "authorization": {"signature": signature}}


def changed(message, **descriptor):
    """The message with members of its descriptor changed (None: taken out) and signed again."""
    after = {**message["descriptor"], **descriptor}
    after = {k: v for k, v in after.items() if v is not None}
    return resigned({**message, "descriptor": after})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
