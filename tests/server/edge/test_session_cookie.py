"""When the cookie of a login counts, and what it is called."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from subcli.server.edge import session_cookie

HOST = "judge.example"
OWN, FOREIGN = f"https://{HOST}", "https://evil.example"
NAVIGATES = (("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document"))


def scope(
    method: str, *headers: tuple[str, str], kind: str = "http", scheme: str = "https", **more: Any
) -> dict[str, Any]:
    found = {"host": HOST} | {name.lower(): value for name, value in headers}
    raw = [(name.encode(), value.encode()) for name, value in found.items()]
    place = {"path": "/", "raw_path": b"/", "query_string": b"", "root_path": ""}
    method_of = {"method": method} if kind == "http" else {}
    return {"type": kind, **method_of, "scheme": scheme, "headers": raw, **place, **more}


COOKIE = ("Cookie", "a=b; __Host-subcli_session=the-token; c=d")
COUNTS = [
    ("GET", ()),
    ("HEAD", ()),
    ("GET", (("Sec-Fetch-Site", "same-origin"),)),
    ("GET", (("Sec-Fetch-Site", "none"), *NAVIGATES)),
    # Somebody follows a link from elsewhere.
    ("GET", (("Sec-Fetch-Site", "cross-site"), *NAVIGATES)),
    ("GET", (("Origin", OWN),)),
    ("POST", (("Origin", OWN),)),
    ("POST", (("Origin", OWN), ("Sec-Fetch-Site", "same-origin"))),
    ("DELETE", (("Sec-Fetch-Site", "same-origin"),)),
]
COUNTS_NOT = [
    ("POST", ()),
    ("DELETE", (("Sec-Fetch-Site", "none"),)),
    ("POST", (("Origin", FOREIGN),)),
    ("POST", (("Origin", "null"),)),
    ("POST", (("Origin", f"https://{HOST}:8443"),)),
    ("POST", (("Origin", f"https://www.{HOST}"), ("Sec-Fetch-Site", "same-site"))),
    ("POST", (("Sec-Fetch-Site", "same-site"),)),
    ("POST", (("Sec-Fetch-Site", "cross-site"), *NAVIGATES)),
    ("POST", (("Referer", f"{OWN}/"),)),
    ("GET", (("Origin", FOREIGN),)),
    ("GET", (("Sec-Fetch-Site", "same-site"),)),
    ("GET", (("Sec-Fetch-Site", "cross-site"),)),
    ("GET", (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe"))),
]


@pytest.mark.parametrize(("method", "headers"), COUNTS)
def test_own_pages_and_followed_links(method: str, headers: tuple[tuple[str, str], ...]) -> None:
    """What this server's own pages ask counts, and what only reads where no other page can read the response."""
    assert session_cookie.shown(scope(method, COOKIE, *headers)) == "the-token"


@pytest.mark.parametrize(("method", "headers"), COUNTS_NOT)
def test_what_other_pages_may_have_sent(method: str, headers: tuple[tuple[str, str], ...]) -> None:
    """It does not count, whether the browser says who asks or leaves it open."""
    assert session_cookie.shown(scope(method, COOKIE, *headers)) is None


@pytest.mark.parametrize(
    ("headers", "counts"),
    [
        ((("Origin", OWN),), True),
        ((), False),
        ((("Origin", FOREIGN),), False),
        ((("Origin", "null"),), False),
        ((("Origin", f"http://{HOST}"),), False),
        ((("Sec-Fetch-Site", "none"),), False),
        ((("Sec-Fetch-Site", "same-site"), ("Origin", f"https://www.{HOST}")), False),
    ],
)
def test_handshakes_need_the_own_origin(headers: tuple[tuple[str, str], ...], counts: bool) -> None:
    """Any page can open a socket and read from it, and browsers add the cookie (cross-site WebSocket hijacking)."""
    found = session_cookie.shown(scope("GET", COOKIE, *headers, kind="websocket", scheme="wss"))
    assert found == ("the-token" if counts else None)


@pytest.mark.parametrize(
    "cookies",
    [
        "",
        "__Host-subcli_session",
        "subcli_session=the-token",
        "__Host-subcli_session_8443=the-token",
        "__Host-subcli_session=one; __Host-subcli_session=two",
        "x__Host-subcli_session=the-token",
    ],
)
def test_other_cookies(cookies: str) -> None:
    """Another server's cookie, one without the prefix, and two of the same name are none."""
    assert not session_cookie.shown(scope("GET", ("Cookie", cookies)))


@pytest.mark.parametrize(
    ("host", "scheme", "root_path", "name", "path"),
    [
        ("judge.example", "https", "", "__Host-subcli_session", "/"),
        ("judge.example:8443", "https", "", "__Host-subcli_session_8443", "/"),
        # Other programs of the host have the other paths.
        ("judge.example", "https", "/judge", "__Secure-subcli_session", "/judge"),
        ("127.0.0.1:8000", "http", "", "subcli_session_8000", "/"),
        ("judge.example", "http", "/judge", "subcli_session", "/judge"),
    ],
)
def test_attributes(host: str, scheme: str, root_path: str, name: str, path: str) -> None:
    """Only HTTP sees it, other sites do not send it along, and over TLS it is only sent over TLS."""
    request = Request(scope("POST", ("Host", host), scheme=scheme, root_path=root_path))
    response = Response()
    session_cookie.set_cookie(response, request, "the-token")
    first, *rest = response.headers["set-cookie"].split("; ")
    assert first == f"{name}=the-token"
    wanted = {"HttpOnly", "SameSite=lax", f"Path={path}"} | ({"Secure"} if scheme == "https" else set())
    assert set(rest) == wanted
    gone = Response()
    session_cookie.delete_cookie(gone, request)
    assert gone.headers["set-cookie"].startswith(f'{name}=""; ')
    assert "Max-Age=0" in gone.headers["set-cookie"]
    assert wanted <= set(gone.headers["set-cookie"].split("; "))
