"""What stands before every request: who may ask.

In demo mode anybody on this machine may hand in code that then runs here. A web page must not: its scripts
can reach a loopback port, and with a name of its own that resolves to 127.0.0.1 (DNS rebinding) it would
even read the answers. So the `Host` must be a name of this machine, and an `Origin`, which browsers add,
must be one too.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from starlette.responses import JSONResponse

from subcli.protocol import CloseCode
from subcli.server.sockets import DisconnectedError, Receive, Scope, Send, Socket

App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_STRANGER: Final = "A demo server answers only to names of this machine, such as 127.0.0.1 or localhost."


class Guard:
    """ASGI middleware: names of this machine only, and sockets straight to the gateway."""

    def __init__(self, app: App, gateway: App) -> None:
        self._app = app
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await (self._gateway if _is_local(scope) else _refuse_socket)(scope, receive, send)
        elif scope["type"] == "http":
            await self._request(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _is_local(scope):
            await self._app(scope, receive, send)
        else:
            # RFC 9110, section 15.5.20: the request was sent to a server that does not answer for that host.
            await JSONResponse({"detail": _STRANGER}, 421)(scope, receive, send)


async def _refuse_socket(scope: Scope, receive: Receive, send: Send) -> None:
    socket = Socket(scope, receive, send)
    try:
        await socket.accept()
        await socket.close(CloseCode.UNAUTHORIZED, "not from this host or origin")
    except DisconnectedError:
        return


def _is_local(scope: Scope) -> bool:
    origin = _header(scope, b"origin")
    return _is_loopback_name(f"//{_header(scope, b'host')}") and (not origin or _is_loopback_name(origin))


def _is_loopback_name(url: str) -> bool:
    try:
        name = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return is_loopback(name) or name == "localhost" or name.endswith(".localhost")


def is_loopback(address: str) -> bool:
    """Whether it is an IP address of this machine's loopback."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _header(scope: Scope, name: bytes) -> str:
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return ""
