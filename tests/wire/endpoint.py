"""A token endpoint on loopback: client credentials in, signed tokens out (RFC 6749 4.4)."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote

from tests.wire.guarded import Issuer

CLIENT, SECRET = "streams", "s3cret of/the+client"


class Endpoint:
    """Answers at ``url`` while it is open; ``answer`` may be replaced by a test."""

    def __init__(self, issuer: Issuer, seconds: float = 600) -> None:
        self.issuer, self.seconds = issuer, seconds
        self.asked: list[dict[str, list[str]]] = []
        """The forms that were sent with the right secret."""
        self.status: int | None = None
        """What is answered instead of a token."""
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                endpoint._answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/token"

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        form = parse_qs(request.rfile.read(int(request.headers["Content-Length"])).decode())
        given = request.headers.get("Authorization", "").removeprefix("Basic ")
        pair = [unquote(part) for part in base64.b64decode(given).decode().split(":")]
        status = self.status or (200 if pair == [CLIENT, SECRET] else 401)
        body: dict[str, Any] = {"error": "invalid_client"}
        if status == 200:
            self.asked.append(form)
            body = {"access_token": self.issuer.token("robot", self.seconds), "expires_in": 1}
        request.send_response(status)
        if status == 302:
            request.send_header("Location", "http://127.0.0.1:1/elsewhere")
        request.end_headers()
        request.wfile.write(json.dumps(body).encode())

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
