"""Every HTTP request and every socket: named, counted, and written down when it has ended.

The outermost middleware. A request has an id: the proxy's `X-Request-ID` where that is one, else one of our
own; the answer carries it, and so does every line that is logged meanwhile. What is written down is the
path without its query, for a query may hold a token.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from typing import Any, Final

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse

from subcli.server.edge.guard import SECURITY_HEADERS, App
from subcli.server.gateway.socket import Receive, Scope, Send, close_code, header
from subcli.server.observe.logs import log_context
from subcli.server.observe.metrics import Metrics
from subcli.shared.secret import redact

_log: Final = logging.getLogger("subcli.access")
_ID: Final = re.compile(r"[A-Za-z0-9._~+/=:@-]{1,128}\Z")
_FAULT: Final = "The server failed; this is its fault, not yours."
_QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds by machines: written down at the level DEBUG."""
_LONGEST_PATH: Final = 512
"""As much of a path is written down. A request's head may be a thousand times as long, and so would be each line."""


class AccessLogMiddleware:
    """ASGI middleware."""

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
            begun = time.monotonic()
            if scope["type"] == "websocket":
                await self._app(scope, receive, send)
                _write_down(scope, "socket closed", begun, code=close_code(scope))
            else:
                await self._request(scope, receive, send, request, begun)

    async def _request(self, scope: Scope, receive: Receive, send: Send, request: str, begun: float) -> None:
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
            # Here, and not by Starlette or uvicorn, which stand outside and know no id.
            _log.exception("a request is answered with 500")
            if status:
                raise
            await JSONResponse({"detail": _FAULT}, 500, headers=SECURITY_HEADERS)(scope, receive, note)
        finally:
            self._metrics.answered(scope["method"], status)
            _write_down(scope, "request", begun, method=scope["method"], status=status)


def _write_down(scope: Scope, message: str, begun: float, **more: object) -> None:
    level = logging.DEBUG if scope["path"] in _QUIET else logging.INFO
    if _log.isEnabledFor(level):
        client = scope.get("client")
        fields = {
            "client": client[0] if client else None,
            # As it came, percent-encoded; a token may stand here as well, behind a `&` that was to be a `?`.
            "path": redact(scope["raw_path"][:_LONGEST_PATH].decode("ascii", "backslashreplace")),
            "seconds": round(time.monotonic() - begun, 6),
            **more,
        }
        _log.log(level, message, extra=fields)
