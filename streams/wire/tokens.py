"""Tokens for OAUTHBEARER: from a file that somebody keeps fresh, or from a token endpoint.

One token serves all clients of a process: librdkafka's by ``oauth_cb``, aiokafka's by its provider.
It is renewed when most of its time is over; while that fails, the old one is used for as long as
it is good.
"""

from __future__ import annotations

import base64
import json
import re
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

from streams.wire.errors import NoToken
from streams.wire.settings import WireSettings

ASK_SECONDS = 10.0
MOST_BYTES = 1 << 20
MOST_SECONDS = 1e11
"""Since 1970; who gives a later time for the end of a token has no clock."""
_PLAIN = re.compile(r"[!-~]+")
"""What a token may consist of."""
RENEW_AFTER = 0.8
"""Part of a token's time after which the next one is asked for."""


class _NoDetour(urllib.request.HTTPRedirectHandler):
    """Nobody is told our secret but who we were told to tell it."""

    def redirect_request(self, *about: Any) -> None:
        """Go nowhere: the answer then is the redirection itself."""


class Token(NamedTuple):
    """A token and its time (Unix seconds)."""

    text: str
    got: float
    expires: float

    def __repr__(self) -> str:
        return f"Token(expires={self.expires:.0f})"


class Tokens:
    """Gives the token of the moment to every client; may be called from any thread."""

    def __init__(
        self, fetch: Callable[[float], Token], clock: Callable[[], float] = time.time
    ) -> None:
        self._fetch, self._clock, self._lock = fetch, clock, threading.Lock()
        self._token: Token | None = None

    def __call__(self, config: str = "") -> tuple[str, float]:
        """As librdkafka's ``oauth_cb``: the token and when it expires; raises NoToken."""
        with self._lock:
            now, held = self._clock(), self._token
            if held is None or now >= held.got + RENEW_AFTER * (held.expires - held.got):
                held = self._token = self._renewed(now, held)
        return held.text, held.expires

    def _renewed(self, now: float, held: Token | None) -> Token:
        try:
            return self._fetch(now)
        except NoToken:
            if held is None or now >= held.expires:
                raise
            return held


def tokens_of(wire: WireSettings) -> Tokens:
    """Where the tokens of these settings come from."""
    if wire.oauth_token_location is not None:
        path = Path(wire.oauth_token_location)
        return Tokens(lambda now: from_file(path, now))
    return Tokens(lambda now: from_endpoint(wire, now))


def from_file(path: Path, now: float) -> Token:
    """The token in a file; raises NoToken when there is none that is good."""
    try:
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        words = getattr(error, "strerror", None) or "not text"
        raise NoToken(
            f"the token of kafka.oauth_token_location ({path}) cannot be read ({words})",
            "see who writes that file",
        ) from error
    expires = expiry(text)
    if expires is None:
        raise NoToken(
            f"{path} (kafka.oauth_token_location) holds no token that says when it expires",
            "write a JWT with `exp` into it",
        )
    if expires <= now:
        raise NoToken(
            f"the token in {path} (kafka.oauth_token_location) expired {now - expires:.0f} s ago",
            "see that whoever writes that file keeps it fresh",
        )
    return Token(text, now, expires)


def from_endpoint(wire: WireSettings, now: float) -> Token:
    """A new token by client credentials (RFC 6749 4.4); raises NoToken."""
    answer = _ask(wire)
    text, lasts = answer.get("access_token"), _seconds(answer.get("expires_in"))
    if not isinstance(text, str) or not _PLAIN.fullmatch(text):
        raise NoToken(
            f"{wire.oauth_url} (kafka.oauth_url) answers without an access_token",
            "check that it is a token endpoint",
        )
    given = expiry(text)
    if given is None:
        given = now + (300.0 if lasts is None else lasts)
    return Token(text, now, given)


def _ask(wire: WireSettings) -> dict[str, Any]:
    form = {"grant_type": "client_credentials", "scope": wire.oauth_scope}
    body = urllib.parse.urlencode({n: v for n, v in form.items() if v is not None}).encode()
    parts = (wire.oauth_client_id or "", wire.oauth_client_secret or "")
    pair = ":".join(urllib.parse.quote(part, safe="") for part in parts)
    basic = base64.b64encode(pair.encode()).decode()
    asked = urllib.request.Request(str(wire.oauth_url), body, {"Authorization": f"Basic {basic}"})
    context = ssl.create_default_context(cafile=wire.oauth_ca_location)
    try:
        opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=context), _NoDetour
        )
        with opener.open(asked, timeout=ASK_SECONDS) as answer:
            found = json.loads(answer.read(MOST_BYTES))
    except urllib.error.HTTPError as error:
        raise _refused(wire, error) from None
    except (OSError, HTTPException) as error:
        said = " ".join(str(error)[:300].split())
        reason = getattr(error, "reason", None) or said or type(error).__name__
        raise NoToken(
            f"no token from {wire.oauth_url} (kafka.oauth_url): {reason}",
            "see that it runs and that kafka.oauth_ca_location has who signed its certificate",
        ) from None
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {}


def _refused(wire: WireSettings, error: urllib.error.HTTPError) -> NoToken:
    """What the endpoint says, without what we said to it."""
    error.close()
    if error.code in (400, 401, 403):
        return NoToken(
            f"{wire.oauth_url} (kafka.oauth_url) refuses the client {wire.oauth_client_id!r} "
            f"(HTTP {error.code})",
            "check kafka.oauth_client_id, kafka.oauth_client_secret and kafka.oauth_scope",
        )
    return NoToken(
        f"{wire.oauth_url} (kafka.oauth_url) answers HTTP {error.code}",
        "check that it is a token endpoint, and its log",
    )


def expiry(text: str) -> float | None:
    """When a JWT expires by its own words (Unix seconds); None when it does not say.

    It is the broker that verifies it.
    """
    parts = text.split(".")
    if len(parts) != 3 or not _PLAIN.fullmatch(text):
        return None
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        claims = json.loads(base64.urlsafe_b64decode(padded))
    except (ValueError, RecursionError):
        return None
    return _seconds(claims.get("exp")) if isinstance(claims, dict) else None


def _seconds(found: Any) -> float | None:
    """A number of seconds, where it is one that a clock can show."""
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return float(found) if 0 <= found < MOST_SECONDS else None
