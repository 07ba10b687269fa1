"""The token by which a server in demo mode knows the user of its pages.

In demo mode whoever can submit runs code on this machine. That a page is ours cannot be told from its origin alone: the
port may have been another program's a moment ago, whose pages are still open, and an allowed origin is an address too.
So what comes from a browser and changes something needs a token that is made at each start, as Jupyter does.

The addresses that `subcli serve` prints and `subcli open` opens carry it once (`?token=`); then it is a cookie that no
script can read and no other site sends. Other programs need none: they send nothing of what browsers send, and could
run code here anyway.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from subcli.server.edge.guard import App
from subcli.server.edge.origins import parse_host
from subcli.server.gateway.socket import Receive, Scope, Send

HEADER: Final = "X-Subcli-Token"
"""For pages of allowed origins, which get no cookie of ours."""

_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_SENT_BY_BROWSERS: Final = re.compile(rb"origin|referer|sec-(?!websocket-|fetch-mode).*")
"""Scripts of a page can neither set these nor leave all of them out. (Node's `fetch` sends `Sec-Fetch-Mode` alone.)

Not `Cookie`: programs send back what a load balancer in front of the server has set."""
_AGENTS_OF_BROWSERS: Final = (b"mozilla/", b"opera/")
_PARAMETER: Final = "token"
_NEEDED: Final = (
    "A page cannot change anything here until you open it with the address that `subcli serve` printed at its start, "
    "or with `subcli open`."
)


def is_from_browser(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a browser has sent a request with these headers, whose names are in lower case."""
    return any(
        _SENT_BY_BROWSERS.fullmatch(name) or (name == b"user-agent" and value.lower().startswith(_AGENTS_OF_BROWSERS))
        for name, value in headers
    )


class PageTokenMiddleware:
    """ASGI middleware of demo mode: turns the token of an address into a cookie, and asks browsers for it.

    Args:
        token: of this start.
    """

    def __init__(self, app: App, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        respond: App = self._app
        if scope["type"] == "http":
            request = Request(scope)
            if request.method not in _READING:
                if is_from_browser(scope["headers"]) and not self._is_shown(request):
                    respond = JSONResponse({"detail": _NEEDED}, HTTPStatus.FORBIDDEN)
            elif self._is_token(request.query_params.getlist(_PARAMETER)[:1]):
                respond = self._to_cookie(request)
        await respond(scope, receive, send)

    def _is_shown(self, request: Request) -> bool:
        return self._is_token([*request.headers.getlist(HEADER), request.cookies.get(_cookie(request), "")])

    def _is_token(self, given: Iterable[str]) -> bool:
        return any(hmac.compare_digest(text.encode(), self._token) for text in given)

    def _to_cookie(self, request: Request) -> Response:
        fields = request.url.query.split("&")
        query = "&".join(field for field in fields if field.partition("=")[0] != _PARAMETER)
        # Relative, since a proxy may show the server below a path; `./`, since a path could begin like another host.
        page = request.scope["raw_path"].decode("ascii", "replace").rpartition("/")[2]
        response = Response(status_code=HTTPStatus.SEE_OTHER, headers={"Location": f"./{page}{query and f'?{query}'}"})
        response.set_cookie(
            _cookie(request),
            self._token.decode(),
            path=request.scope.get("root_path") or "/",
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response


def _cookie(request: Request) -> str:
    """Its name holds the port, because the servers of one host share their cookies."""
    host = parse_host(request.headers.get("host", ""))
    return f"subcli_page_{(host and host.port) or request.url.scheme}"
