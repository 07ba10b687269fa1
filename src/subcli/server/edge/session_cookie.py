"""The cookie that keeps a browser logged in to the pages.

It holds a token that names a session (`TokenIssuer.page`), which no script can read. Browsers add a cookie by
themselves, also to what other sites' pages ask of us. So it only counts where the browser says that a page of this very
origin sent the request (`Origin`, `Sec-Fetch-Site`), or that the user follows a link. It never counts for pages that
`--allow-origin` lists: those have tokens of their own.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from subcli.server.edge.origins import RefusedOriginError, counts_with_cookie, parse_host, read_sender
from subcli.server.gateway.socket import Scope, headers

_NAME: Final = "subcli_session"
_READING: Final = frozenset({"GET", "HEAD"})
_SECURE_SCHEMES: Final = frozenset({"https", "wss"})


def shown(scope: Scope) -> str | None:
    """The token in the cookie of a request or a WebSocket handshake; None if there is none that counts.

    Two cookies with its name count as none: one of them was set by somebody else.
    """
    # Scripts of any page can open a socket and read what comes, so a handshake does not count as reading.
    if not _counts(scope, is_read=scope["type"] == "http" and scope["method"] in _READING):
        return None
    name = own_name(_NAME, HTTPConnection(scope))
    pairs = (pair.strip().partition("=") for header in headers(scope, b"cookie") for pair in header.split(";"))
    values = [value for key, _, value in pairs if key == name]
    return values[0] if len(values) == 1 else None


def is_from_own_page(request: Request) -> bool:
    """Whether a page of this server sent a request that changes something."""
    return _counts(request.scope, is_read=False)


def _counts(scope: Scope, *, is_read: bool) -> bool:
    try:
        sender = read_sender(scope.get("method", "GET"), scope["headers"])
    except RefusedOriginError:
        return False
    return counts_with_cookie(sender, is_read=is_read, is_secure=scope.get("scheme") in _SECURE_SCHEMES)


def set_cookie(response: Response, request: Request, token: str) -> None:
    """Log the browser in, until it is closed or the session ends."""
    response.set_cookie(
        own_name(_NAME, request),
        token,
        path=own_path(request),
        httponly=True,
        # Not strict: whoever follows a link from elsewhere would see a page that asks for a login.
        samesite="lax",
        secure=is_secure(request),
    )


def delete_cookie(response: Response, request: Request) -> None:
    """Log the browser out."""
    name, path = own_name(_NAME, request), own_path(request)
    response.delete_cookie(name, path=path, httponly=True, samesite="lax", secure=is_secure(request))


def is_secure(connection: HTTPConnection) -> bool:
    """Whether the browser reaches this server over TLS."""
    return connection.url.scheme in _SECURE_SCHEMES


def own_path(connection: HTTPConnection) -> str:
    """The path of this server's cookies."""
    return connection.scope.get("root_path") or "/"


def own_name(base: str, connection: HTTPConnection) -> str:
    """The name of this server's cookie. It holds the port, because the servers of one host share their cookies.

    `__Host-`: browsers take such a cookie from this very host only, over TLS, for all paths. Below a path, other
    programs of the host have the other paths, so there it is `__Secure-` and the cookie has its path.
    """
    host = parse_host(connection.headers.get("host", ""))
    name = f"{base}_{host.port}" if host is not None and host.port else base
    if not is_secure(connection):
        return name
    return f"__Secure-{name}" if connection.scope.get("root_path") else f"__Host-{name}"
