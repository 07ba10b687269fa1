"""A small REST server in a thread, for commands that run in the test's own process."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

Answers: TypeAlias = Mapping[str, tuple[int, Any]]


@dataclass(frozen=True)
class Rest:
    """A running server.

    Attributes:
        url: its address.
        asked: the requests so far, such as ``GET /api/problems``.
    """

    url: str
    asked: list[str] = field(default_factory=list)


@contextlib.contextmanager
def rest(answers: Answers, *, token: str | None = None) -> Iterator[Rest]:
    """Serve.

    Args:
        answers: status and body by method and path, such as ``GET /problems``; a 404 for all others.
        token: the only one that is accepted, save for ``POST``.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("GET", needs_token=token is not None)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._answer("POST", needs_token=False)

        def _answer(self, method: str, *, needs_token: bool) -> None:
            call = f"{method} {self.path.partition('?')[0].removeprefix('/api')}"
            running.asked.append(call)
            status, body = answers.get(call, (404, {"detail": "not found"}))
            if needs_token and self.headers.get("Authorization") != f"Bearer {token}":
                status, body = 401, {"detail": "not authenticated"}
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        running = Rest(f"http://127.0.0.1:{httpd.server_port}")
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield running
        httpd.shutdown()
