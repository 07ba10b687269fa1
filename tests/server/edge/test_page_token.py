"""The token that browsers need to change something on a server in demo mode."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

import pytest

from subcli.server.edge.page_token import PageTokenMiddleware

TOKEN = "the-token-of-this-start"
HOST = "127.0.0.1:8000"
COOKIE = f"subcli_page_8000={TOKEN}"
OWN = f"http://{HOST}"


class Exchange:
    """One request to the middleware around an application that responds with 204, and the response."""

    def __init__(self, *, root_path: str = "") -> None:
        self.calls = 0
        self.sent: list[MutableMapping[str, Any]] = []
        self._root_path = root_path
        self._middleware = PageTokenMiddleware(self._app, TOKEN)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls += 1
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def run(
        self,
        method: str,
        *headers: tuple[str, str],
        path: str = "/api/submissions",
        query: str = "",
        kind: str = "http",
    ) -> int:
        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            self.sent.append(message)

        raw = [(b"host", HOST.encode()), *((name.lower().encode(), value.encode()) for name, value in headers)]
        scope = {
            "type": kind,
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": self._root_path,
            "query_string": query.encode(),
            "headers": raw,
        }
        await self._middleware(scope, receive, send)
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}


BROWSERS = [
    *(("Origin", OWN), ("Origin", "http://127.0.0.1:3000"), ("Referer", f"{OWN}/docs")),
    *(("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-User", "?1"), ("Sec-Fetch-Dest", "empty")),
    *(("Sec-Fetch-Storage-Access", "none"), ("Sec-CH-UA", '"Chromium";v="140"'), ("Sec-CH-UA-Mobile", "?0")),
    *(("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:60.0) Gecko/20100101"), ("User-Agent", "Opera/9.80")),
    ("Sec-GPC", "1"),
]


@pytest.mark.parametrize("browser", BROWSERS, ids="=".join)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "post", "ANYTHING"])
async def test_browser_changes_nothing_without_the_token(browser: tuple[str, str], method: str) -> None:
    """Whatever tells that it is one. With a cookie or a header it may; a refusal does not reach the application."""
    exchange = Exchange()
    assert await exchange.run(method, browser) == 403
    assert exchange.calls == 0
    for shown in (("Cookie", COOKIE), ("Cookie", f"a=b; {COOKIE}; c=d"), ("X-Subcli-Token", TOKEN)):
        assert await Exchange().run(method, browser, shown) == 204


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_browser_reads_without_the_token(method: str) -> None:
    """Its origin is checked elsewhere."""
    assert await Exchange().run(method, ("Origin", OWN)) == 204


@pytest.mark.parametrize("agent", ["subcli/1.0", "python-httpx/0.28", "curl/8.5.0", "node", ""])
async def test_programs_need_no_token(agent: str) -> None:
    """The command line works without ado: it sends none of what browsers send."""
    headers = [("User-Agent", agent), ("Content-Type", "application/json"), ("Authorization", "Bearer x")]
    # As `fetch` of Node does, and whoever keeps the cookies of a load balancer.
    headers += [("Sec-Fetch-Mode", "cors"), ("Accept-Language", "*"), ("Cookie", "route=a")]
    assert await Exchange().run("POST", *headers) == 204


WRONG_TOKENS = [
    *(("Cookie", f"subcli_page_8001={TOKEN}"), ("Cookie", f"subcli_page={TOKEN}"), ("Cookie", "subcli_page_8000=")),
    *(("Cookie", f"subcli_page_8000={TOKEN}x"), ("Cookie", f"subcli_page_8000={TOKEN[:-1]}")),
    *(("X-Subcli-Token", ""), ("X-Subcli-Token", TOKEN.upper()), ("X-Subcli-Token", f"{TOKEN} ")),
    *(("X-Subcli-Token", "\u00e9"), ("Authorization", f"Bearer {TOKEN}"), ("X-Token", TOKEN)),
]


@pytest.mark.parametrize("shown", WRONG_TOKENS, ids=str)
async def test_wrong_tokens(shown: tuple[str, str]) -> None:
    """Another server's cookie, a part of the token, the token in another place."""
    assert await Exchange().run("POST", ("Origin", OWN), shown) == 403


async def test_token_in_the_query_changes_nothing() -> None:
    """A link or a form of another page could carry it."""
    assert await Exchange().run("POST", ("Origin", OWN), query=f"token={TOKEN}") == 403


async def test_address_becomes_a_cookie() -> None:
    """The address is carried once: the page is loaded again without the token, which only HTTP sees from then on."""
    exchange = Exchange()
    assert await exchange.run("GET", path="/submissions/7", query=f"token={TOKEN}") == 303
    assert exchange.calls == 0
    assert exchange.headers["location"] == "./7"
    cookie = exchange.headers["set-cookie"].split("; ")
    assert cookie[0] == COOKIE
    assert {part.lower() for part in cookie[1:]} == {"httponly", "samesite=strict", "path=/"}


async def test_rest_of_the_query_is_kept() -> None:
    """And a prefix is the cookie's path."""
    exchange = Exchange(root_path="/judge")
    assert await exchange.run("GET", path="/docs", query=f"a=1&token={TOKEN}&b=%2F") == 303
    assert exchange.headers["location"] == "./docs?a=1&b=%2F"
    assert "Path=/judge" in exchange.headers["set-cookie"]


@pytest.mark.parametrize("path", ["//evil.example", "//evil.example/", "/javascript:alert(1)", "/\\evil.example"])
async def test_no_way_to_another_place(path: str) -> None:
    """The redirect stays where it is."""
    exchange = Exchange()
    assert await exchange.run("GET", path=path, query=f"token={TOKEN}") == 303
    assert exchange.headers["location"].startswith("./")


@pytest.mark.parametrize("query", ["", "token=", "token=wrong", f"token=wrong&token={TOKEN}", f"Token={TOKEN}"])
async def test_other_tokens_are_no_address(query: str) -> None:
    """A page is shown as ever, and no cookie is set."""
    exchange = Exchange()
    assert await exchange.run("GET", path="/docs", query=query) == 204
    assert "set-cookie" not in exchange.headers


async def test_sockets_are_not_asked() -> None:
    """They change nothing, and browsers cannot add a header."""
    exchange = Exchange()
    assert await exchange.run("GET", ("Origin", OWN), kind="websocket") == 204


BODY = {"problem": "echo", "language": "python", "source_code": "print()"}


async def test_page_token_of_a_real_server(start: Callable[..., Any]) -> None:
    """Programs are told it, browsers are not; they get it from an address."""
    async with start() as live:
        token = (await live.http.get("/api/info")).json()["page_token"]
        assert token == live.services.page_token
        own = {"Origin": live.url}
        assert "page_token" not in (await live.http.get("/api/info", headers=own)).json()
        refused = await live.http.post("/api/submissions", json=BODY, headers=own)
        assert refused.status_code == 403
        assert "subcli serve" in refused.json()["detail"]
        opened = await live.http.get("/docs", params={"token": token}, follow_redirects=True)
        assert opened.status_code == 200
        assert "token" not in str(opened.url)
        assert (await live.http.post("/api/submissions", json=BODY, headers=own)).status_code == 201


async def test_no_page_token_with_logins(start: Callable[..., Any]) -> None:
    """There the user has a token of their own, which no browser adds by itself."""
    async with start(auth=True) as live:
        assert "page_token" not in (await live.http.get("/api/info")).json()
        assert (await live.http.post("/api/submissions", json=BODY, headers={"Origin": live.url})).status_code == 401


async def test_allowed_origin_needs_the_token_too(start: Callable[..., Any]) -> None:
    """`--allow-origin` names an address of a page, not a program: another one may have it tomorrow."""
    page = "http://127.0.0.1:3000"
    async with start(origins=[page]) as live:
        own = {"Origin": page}
        assert (await live.http.get("/api/submissions", headers=own)).status_code == 200
        refused = await live.http.post("/api/submissions", json=BODY, headers=own)
        assert refused.status_code == 403
        assert refused.headers["access-control-allow-origin"] == page
        asked = {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-subcli-token,content-type",
        }
        assert (await live.http.options("/api/submissions", headers=own | asked)).status_code == 200
        token = {"X-Subcli-Token": live.services.page_token}
        assert (await live.http.post("/api/submissions", json=BODY, headers=own | token)).status_code == 201
