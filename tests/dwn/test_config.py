"""Tenants in a file: TOML or YAML, and errors that name the entry."""

from __future__ import annotations

import pytest

from streams.sources import dwn_config
from streams.sources.dwn import DwnSource, Grants, Tenant
from streams.sources.dwn_config import check_size, read_tenants
from streams.sources.errors import SourceError

from .actors import LINK, someone

JWK = '{"kty":"OKP","crv":"Ed25519","d":"YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE"}'
TOML = """
[[tenant]]
url = "http://127.0.0.1:3000"
key = "me.jwk"
protocols = ["https://a.example", "https://b.example"]

[[tenant]]
url = "https://dwn.example/"
did = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
key = "me.jwk"
protocols = ["https://a.example"]
grants = { query = "q", read = "r" }
"""
YAML = """
tenant:
  - url: http://127.0.0.1:3000
    key: me.jwk
    protocols: [https://a.example, https://b.example]
  - url: https://dwn.example/
    did: did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK
    key: me.jwk
    protocols: [https://a.example]
    grants: {query: q, read: r}
"""


@pytest.mark.parametrize(("name", "text"), [("t.toml", TOML), ("t.yaml", YAML)])
def test_tenants_of_a_file(tmp_path, name, text):
    """Two tenants at two servers, keys beside the file, the key's own DID by default."""
    (tmp_path / "me.jwk").write_text(JWK)
    (tmp_path / name).write_text(text)
    mine, other = read_tenants(tmp_path / name)
    assert (mine.signer.did, 2, Grants()) == (mine.did, len(mine.places), mine.grants)
    assert (Grants(query="q", read="r"), "did:key:") == (other.grants, other.did[:8])
    assert (f"https://dwn.example {other.did} https://a.example",) == other.places


WRONG = {
    "no url": (TOML.replace('url = "http', 'uri = "http'), "unknown field `uri`"),
    "no address": (TOML.replace("http://127.0.0.1:3000", "127.0.0.1:3000"), "tenant 1: "),
    "no did": (TOML.replace("did:key:z", "did-key-z"), "tenant 2: no DID"),
    "no protocols": (TOML.replace('["https://a.example"]', "[]"), "tenant 2: no protocols"),
    "no key": (TOML.replace("me.jwk", "you.jwk"), "you.jwk holds no key"),
    "not toml": ("[[", "t.toml: "),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_names_its_entry(tmp_path, case):
    """Whatever is wrong, the error says where, and quotes no key."""
    text, words = WRONG[case]
    (tmp_path / "me.jwk").write_text(JWK)
    (tmp_path / "t.toml").write_text(text)
    with pytest.raises(SourceError) as caught:
        read_tenants(tmp_path / "t.toml")
    assert words in caught.value.cause
    assert "YWFh" not in str(caught.value)


def test_too_many_logs_are_refused(monkeypatch):
    """More logs than one source asks in time are an error that says what to do."""
    monkeypatch.setattr(dwn_config, "MAX_LOGS", 1)
    me = someone()
    with pytest.raises(SourceError, match="share them among several sources"):
        check_size([Tenant(me.did, "http://127.0.0.1:9", me, (LINK, "https://a.example"))])


def test_a_tenant_named_twice_is_read_once():
    """The same tenant of the same server is one, with the protocols of both."""
    me = someone()
    twice = [Tenant(me.did, f"http://127.0.0.1:9{end}", me, (LINK, p))
             for end, p in (("", "a"), ("/", "b"))]  # fmt: skip
    places = DwnSource(twice).places[me.did]
    assert [LINK, "a", "b"] == [place.split(" ")[2] for place in places]
