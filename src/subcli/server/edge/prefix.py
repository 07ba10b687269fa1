"""A server below a path, such as `https://host/judge/`: the proxy may keep or strip the prefix."""

from __future__ import annotations

from starlette.responses import RedirectResponse

from subcli.server.edge.guard import App
from subcli.server.gateway.socket import Receive, Scope, Send


class PrefixMiddleware:
    """ASGI middleware: strips the prefix from the path if it is there, and adds it to every URL that it creates.

    Args:
        root_path: the prefix, as `/judge`.
    """

    def __init__(self, app: App, root_path: str) -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            if scope["type"] == "http" and scope["path"] == self._root_path:
                # The links of the home page are relative to the directory.
                query = scope["query_string"].decode("latin-1")
                await RedirectResponse(f"{self._root_path}/{query and f'?{query}'}")(scope, receive, send)
                return
            scope["root_path"] = self._root_path
            if scope["path"].startswith(f"{self._root_path}/"):
                scope["path"] = scope["path"].removeprefix(self._root_path)
                scope["raw_path"] = scope["raw_path"].removeprefix(self._root_path.encode())
        await self._app(scope, receive, send)
