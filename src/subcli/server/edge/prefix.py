"""A server below a path, such as `https://host/judge/`: the proxy may pass the prefix on, or take it off."""

from __future__ import annotations

from subcli.server.edge.guard import App
from subcli.server.gateway.socket import Receive, Scope, Send


class PrefixMiddleware:
    """ASGI middleware: takes the prefix off the path if it is there, and puts it into every URL that is made.

    Args:
        root_path: the prefix, as `/judge`.
    """

    def __init__(self, app: App, root_path: str) -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            scope["root_path"] = self._root_path
            if scope["path"].startswith(f"{self._root_path}/"):
                scope["path"] = scope["path"].removeprefix(self._root_path)
                scope["raw_path"] = scope["raw_path"].removeprefix(self._root_path.encode())
        await self._app(scope, receive, send)
