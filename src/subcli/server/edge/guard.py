"""Checks before every request (origin, body size), and security headers on every response."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse

from subcli.server.edge.origins import OriginRules, RefusedOriginError, read_sender
from subcli.server.gateway.socket import DisconnectedError, Receive, Scope, Send, ServerSocket, header
from subcli.server.run.shutdown import Lifecycle
from subcli.shared.protocol import CloseCode

App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Responses are private to the bearer of the token (RFC 6749, section 5.1).
    "Cache-Control": "no-store",
}
"""Added to every response that does not set them itself."""


class GuardMiddleware:
    """ASGI middleware: refuses foreign origins and large bodies, routes sockets to the gateway, adds headers."""

    def __init__(self, app: App, gateway: App, origins: OriginRules, lifecycle: Lifecycle, body_bytes: int) -> None:
        self._app = app
        self._gateway = gateway
        self._origins = origins
        self._lifecycle = lifecycle
        self._body_bytes = body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        is_socket = scope["type"] == "websocket"
        try:
            self._origins.check(read_sender(scope.get("method", "GET"), scope["headers"]))
        except RefusedOriginError as error:
            refuse = _refuse_socket if is_socket else JSONResponse({"detail": error.detail}, error.status)
            await refuse(scope, receive, send if is_socket else self._with_headers(send))
            return
        if is_socket:
            await self._gateway(scope, receive, send)
        elif header(scope, b"content-length") and header(scope, b"transfer-encoding"):
            # Which one counts is known, but a proxy may have believed the other: what follows may be anybody's.
            content = {"detail": "A request must not have both Content-Length and Transfer-Encoding."}
            await JSONResponse(content, 400, headers={"Connection": "close"})(scope, receive, self._with_headers(send))
        elif self._is_too_large(header(scope, b"content-length")):
            # Starlette would respond in plain text. It counts bodies that do not declare their length.
            detail = f"The request body must not exceed {self._body_bytes} bytes."
            await JSONResponse({"detail": detail}, 413)(scope, receive, self._with_headers(send))
        else:
            await self._answer(scope, receive, self._with_headers(send))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_answered = False

        async def note(message: Any) -> None:
            nonlocal is_answered
            is_answered = True
            await send(message)

        try:
            await self._app(scope, receive, note)
        except asyncio.CancelledError:
            if is_answered or not self._lifecycle.is_stopping:
                raise
            # It outlasted the shutdown. uvicorn would send 500, which clients do not retry.
            content = {"detail": "The server is stopping; try again."}
            await JSONResponse(content, 503, headers={"Retry-After": "1"})(scope, receive, send)

    def _is_too_large(self, content_length: str) -> bool:
        return content_length.isascii() and content_length.isdecimal() and int(content_length) > self._body_bytes

    def _with_headers(self, send: Send) -> Send:
        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if self._lifecycle.is_stopping:
                    headers["Connection"] = "close"
            await send(message)

        return send_with_headers


async def _refuse_socket(scope: Scope, receive: Receive, send: Send) -> None:
    socket = ServerSocket(scope, receive, send)
    try:
        await socket.accept()
        await socket.close(CloseCode.UNAUTHORIZED, "host or origin not allowed")
    except DisconnectedError:
        return
