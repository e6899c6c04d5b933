"""Tokens: from a file or an endpoint, one for all clients, renewed in time, never shown."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from streams.wire.errors import NoToken
from streams.wire.settings import WireSettings
from streams.wire.tokens import Token, Tokens, expiry, from_endpoint, from_file, tokens_of
from tests.bitcoin.answers import Pipe, http
from tests.wire.endpoint import CLIENT, SECRET, Endpoint
from tests.wire.guarded import Issuer


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    """A token endpoint."""
    with Endpoint(Issuer()) as made:
        yield made


def settings(endpoint: Endpoint, secret: str = SECRET) -> WireSettings:
    """Settings that ask it."""
    return WireSettings(
        "SASL_SSL",
        "OAUTHBEARER",
        oauth_url=endpoint.url,
        oauth_client_id=CLIENT,
        oauth_client_secret=secret,
        oauth_scope="kafka:read kafka:write",
    )


def test_an_endpoint_is_asked_once_for_all_clients(endpoint: Endpoint) -> None:
    """Sixteen clients that want a token at one moment cost one request, as RFC 6749 has it."""
    endpoint.asked.clear()
    tokens, found = tokens_of(settings(endpoint)), set[str]()
    clients = [threading.Thread(target=lambda: found.add(tokens()[0])) for _ in range(16)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    form = {"grant_type": ["client_credentials"], "scope": ["kafka:read kafka:write"]}
    assert (1, [form]) == (len(found), endpoint.asked)


def test_renewal() -> None:
    """A token is renewed after four fifths of its time; the old one serves while that fails.

    ::

        0 s        79   81          95      100   101
        a -------- a    fails: a    b       b     b
    """
    clock, answers = [0.0], list[Token | None]()

    def fetch(now: float) -> Token:
        answer = answers.pop(0)
        if answer is None:
            raise NoToken("away", "wait")
        return answer

    tokens = Tokens(fetch, lambda: clock[0])
    answers.append(Token("a", 0, 100))
    seen = []
    for now, answer in ((0, ...), (79, ...), (81, None), (95, Token("b", 95, 200)), (101, ...)):
        clock[0] = now
        if answer is not ...:
            answers.append(answer)
        seen.append(tokens()[0])
    assert ["a", "a", "a", "b", "b"] == seen
    clock[0] = 201
    answers.append(None)
    with pytest.raises(NoToken):
        tokens()


def test_a_file_is_read_again(tmp_path: Path) -> None:
    """A token in a file is used until most of its time is over, then what the file has by then."""
    issuer, path = Issuer(), tmp_path / "token"
    first, second = issuer.token("a", 60), issuer.token("b", 600)
    path.write_text(first + "\n")
    expires = expiry(first)
    assert expires is not None
    clock = [expires - 60]
    tokens = Tokens(lambda now: from_file(path, now), lambda: clock[0])
    assert (first, expires) == tokens()
    path.write_text(second)
    assert first == tokens()[0]
    clock[0] = expires - 5
    assert second == tokens()[0]


def test_what_is_no_token(tmp_path: Path) -> None:
    """A file that is not there, holds no token, or an old one, is named with its setting."""
    issuer, path = Issuer(), tmp_path / "token"
    with pytest.raises(NoToken, match="cannot be read"):
        from_file(path, 0)
    for text in ("", "a.b.c", "a.e30.c", "not a token"):
        path.write_text(text)
        with pytest.raises(NoToken, match="holds no token that says when it expires"):
            from_file(path, 0)
    path.write_text(issuer.token("a", 60))
    with pytest.raises(NoToken, match=r"oauth_token_location\) expired 40 s ago"):
        from_file(path, (expiry(path.read_text()) or 0) + 40)


def test_an_endpoint_that_refuses(endpoint: Endpoint) -> None:
    """A wrong secret, another answer and a detour are named; the secret goes nowhere else."""
    with pytest.raises(NoToken, match="refuses the client 'streams'") as wrong:
        from_endpoint(settings(endpoint, "wr0ng"), 0)
    assert "wr0ng" not in str(wrong.value) and wrong.value.__cause__ is None
    for status in (302, 503):
        endpoint.status = status
        with pytest.raises(NoToken, match=f"answers HTTP {status}"):
            from_endpoint(settings(endpoint), 0)
    endpoint.status = None


def test_an_endpoint_that_is_away() -> None:
    """A port where nobody listens is named."""
    with Endpoint(Issuer()) as gone:
        pass
    with pytest.raises(NoToken, match="no token from http://127"):
        from_endpoint(settings(gone), 0)


def jwt(claims: str) -> str:
    """A token of these claims that nobody has signed."""
    return f"e30.{base64.urlsafe_b64encode(claims.encode()).rstrip(b'=').decode()}.x"


@pytest.mark.parametrize(
    "exp", ["Infinity", "NaN", "1e400", "9" * 400, "-1", "true", '"x"', "[" * 50_000]
)
def test_a_token_that_ends_at_no_time_says_nothing(exp: str) -> None:
    """One without end was renewed never, and one beyond all numbers ended the client."""
    assert expiry(jwt(f'{{"exp": {exp}}}')) is None
    assert 17.5 == expiry(jwt('{"exp": 17.5}'))


def test_a_token_of_other_letters_is_none() -> None:
    """A broker would be shown what no token consists of."""
    assert expiry(jwt('{"exp": 1}').replace("e30", "e3\n0")) is None


@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no token from .*: SSH-2.0"),
        (http("200 OK", b"[" * 50_000), "without an access_token"),
        (http("200 OK", b'{"access_token": "a b"}'), "without an access_token"),
    ],
)
def test_what_is_no_endpoint_is_named(raw: bytes, cause: str) -> None:
    """Whatever else listens at its address."""
    line = patch("socket.create_connection", lambda *about, **more: Pipe(raw))
    with line, pytest.raises(NoToken, match=cause):
        from_endpoint(WireSettings(oauth_url="http://127.0.0.1:1/token"), 0)


@pytest.mark.parametrize("lasts", ["1e999", "true", "-5", '"600"'])
def test_a_time_that_nobody_can_wait_is_none(lasts: str) -> None:
    """A token that does not say when it ends is asked for again after some minutes."""
    raw = http("200 OK", f'{{"access_token": "opaque", "expires_in": {lasts}}}'.encode())
    with patch("socket.create_connection", lambda *about, **more: Pipe(raw)):
        found = from_endpoint(WireSettings(oauth_url="http://127.0.0.1:1/token"), 7)
    assert (7, 307) == (found.got, found.expires)
