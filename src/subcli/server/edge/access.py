"""The access log: every HTTP request and socket gets an id, is counted, and is logged when it ends.

The outermost middleware. The id is the proxy's `X-Request-ID` if that is valid, otherwise a random one. The
response carries it, and so does every line logged in the meantime. The path is logged without its query,
because that may contain a token.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from dataclasses import dataclass
from typing import Any, Final

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse

from subcli.server.edge.guard import SECURITY_HEADERS, App
from subcli.server.gateway.socket import Receive, Scope, Send, header, when_ended
from subcli.server.observe.logs import log_context
from subcli.server.observe.metrics import Metrics
from subcli.shared.secret import redact

_log: Final = logging.getLogger("subcli.access")
_ID: Final = re.compile(r"[A-Za-z0-9._~+/=:@-]{1,128}\Z")
_INTERNAL_ERROR: Final = "Internal server error."
_QUIET: Final = frozenset({b"/healthz", b"/readyz", b"/metrics"})
"""Polled by machines every few seconds, so logged at DEBUG."""
_MAX_PATH_BYTES: Final = 512
"""Longer paths are cut, because a request's head may be over a megabyte."""


class AccessLogMiddleware:
    """ASGI middleware that identifies, counts and logs requests and sockets."""

    def __init__(self, app: App, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        given = header(scope, b"x-request-id")
        request = given if _ID.match(given) else secrets.token_hex(8)
        with log_context(request=request):
            started = time.monotonic()
            if scope["type"] == "websocket":
                await self._app(scope, receive, send)
                seen = _Seen.of(scope)
                when_ended(scope, lambda code: _log_end(seen, "socket closed", started, code=code))
            else:
                await self._serve_request(scope, receive, send, request, started)

    async def _serve_request(self, scope: Scope, receive: Receive, send: Send, request: str, started: float) -> None:
        status = 0

        async def note(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request
            await send(message)

        try:
            await self._app(scope, receive, note)
        except Exception:
            # Handled here, because Starlette and uvicorn are further out and do not know the id.
            _log.exception("request failed, responding with 500")
            if status:
                raise
            await JSONResponse({"detail": _INTERNAL_ERROR}, 500, headers=SECURITY_HEADERS)(scope, receive, note)
        finally:
            self._metrics.answered(scope["method"], status)
            _log_end(_Seen.of(scope), "request", started, method=scope["method"], status=status)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is logged of a request."""

    client: str | None
    path: bytes

    @classmethod
    def of(cls, scope: Scope) -> _Seen:
        client = scope.get("client")
        return cls(client[0] if client else None, scope["raw_path"][:_MAX_PATH_BYTES])


def _log_end(seen: _Seen, message: str, started: float, **more: object) -> None:
    level = logging.DEBUG if seen.path in _QUIET else logging.INFO
    if _log.isEnabledFor(level):
        fields = {
            "client": seen.client,
            # Percent-encoded, as received. A client that writes `&` instead of `?` puts its token here.
            "path": redact(seen.path.decode("ascii", "backslashreplace")),
            "seconds": round(time.monotonic() - started, 6),
            **more,
        }
        _log.log(level, message, extra=fields)
