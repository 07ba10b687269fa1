"""Allowed origins, and security headers."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from subcli.server.edge.origins import LoopbackOnly, RefusedOriginError, SameOrigin, normalize_origin, read_sender
from tests.hang import HANG_S

LISTED = "https://ide.example"


def is_answered(rules: Any, host: str, origin: str = "", method: str = "GET", **fetch: str) -> bool:
    """Whether a request with these headers is; `fetch` are those that begin with `Sec-Fetch-`."""
    sent = {"host": host, "origin": origin, **{f"sec-fetch-{name}": value for name, value in fetch.items()}}
    headers = [(name.encode(), value.encode("latin-1")) for name, value in sent.items() if value]
    try:
        rules.check(read_sender(method, headers))
    except RefusedOriginError:
        return False
    return True


@pytest.mark.parametrize(
    ("host", "origin", "answered"),
    [
        ("judge.example", "", True),
        ("judge.example", "https://judge.example", True),
        ("judge.example", "http://judge.example", True),
        ("judge.example:443", "https://judge.example", True),
        ("judge.example:8000", "http://judge.example:8000", True),
        ("[::1]:8000", "http://[::1]:8000", True),
        ("judge.example", LISTED, True),
        ("judge.example", "https://judge.example:8443", False),
        ("judge.example:8000", "http://judge.example", False),
        ("judge.example", "https://evil.example", False),
        ("judge.example", "https://judge.example.evil.example", False),
        ("judge.example", "https://eviljudge.example", False),
        ("judge.example", "https://sub.ide.example", False),
        ("judge.example", "http://ide.example", False),
        ("judge.example", "null", False),
        ("judge.example", "file://judge.example", False),
        ("judge.example", "http://localhost:5173", False),
        ("judge.example", "https://[broken", False),
        ("", "https://", False),
        ("", "null", False),
    ],
)
def test_origins_with_logins(host: str, origin: str, answered: bool) -> None:
    """An origin must be the server's own or allowed. Requests without an origin are allowed on any host."""
    assert is_answered(SameOrigin([LISTED]), host, origin) is answered


@pytest.mark.parametrize(
    ("host", "origin", "answered"),
    [
        ("127.0.0.1:8000", "", True),
        ("localhost:5173", "http://localhost:5173", True),
        ("localhost:8000", "http://localhost:5173", False),
        ("localhost:8000", "http://localhost", False),
        ("127.0.0.1:8000", "http://localhost:8000", False),
        ("localhost", LISTED, True),
        ("evil.example", "", False),
        ("evil.example", "http://localhost", False),
        ("localhost", "https://evil.example", False),
        ("localhost", "null", False),
        ("", "", False),
        ("app.localhost:3000", "http://app.localhost:3000", True),
        ("[::1]:8000", "http://127.8.8.8", False),
        ("[::1]:8000", "http://[0:0::1]:8000", True),
        ("evillocalhost", "", False),
        ("localhost.evil.example", "", False),
        ("127.0.0.1.evil.example", "", False),
        ("localhost", "http://evillocalhost", False),
        ("localhost", "http://127.0.0.1.evil.example", False),
        ("localhost@evil.example", "", False),
        ("[broken", "", False),
        ("192.0.2.1", "", False),
    ],
)
def test_origins_in_demo_mode(host: str, origin: str, answered: bool) -> None:
    """Hosts and origins on this machine, and allowed origins."""
    assert is_answered(LoopbackOnly([LISTED]), host, origin) is answered


NONSENSE = [
    *("http://{}.evil.example", "http://{}@evil.example", "http://evil.example@{}", "http://evil.example\\@{}"),
    *("http://evil.example/@{}", "http://{}/", "http://{}/x", "http://{}?x", "http://{}#x", "http://{}\\x", "//{}"),
    *(
        "{}",
        "ftp://{}",
        "file://{}",
        "javascript://{}",
        "http:{}",
        "http:/{}",
        "http:///{}",
        " http://{}",
        "http://{} ",
    ),
    *("http://{},http://{}", "http://{} http://{}", "http://{}\t", "http://{}\x00", "http://{}\u00a0", "http://%6c{}"),
    *("http://{}:80:80", "http://{}:", "http://{}00000", "http://{}\u00b2", "http://[{}]", "http://[::1%25lo]", "*"),
    *("null", "undefined", "http://", "http://127.1:8000", "http://2130706433:8000", "http://0x7f.0.0.1:8000"),
]


@pytest.mark.parametrize("origin", NONSENSE)
@pytest.mark.parametrize("rules", [LoopbackOnly(), SameOrigin(), LoopbackOnly([LISTED]), SameOrigin([LISTED])])
def test_nonsense_origins(rules: Any, origin: str) -> None:
    """What looks like our own origin and is not is refused, however it is written."""
    assert not is_answered(rules, "127.0.0.1:8000", origin.replace("{}", "127.0.0.1:8000"))


NONSENSE_HOSTS = [
    *(
        "evil.example\\@localhost",
        "evil.example@localhost",
        "localhost/x",
        "localhost?x",
        "localhost#x",
        "local host",
    ),
    *("localhost:0", "localhost:65536", "localhost:", "localhost:8000:1", "localhost:+80", "localhost:\u00b2"),
    *(
        "localhost,evil.example",
        "localhost\x00",
        "localhost\t",
        "[::1",
        "::1",
        "[127.0.0.1]",
        "[::1%lo]",
        "%6cocalhost",
    ),
    *("..localhost", ".localhost", "localhost..", "//localhost", "http://localhost"),
]


@pytest.mark.parametrize("host", NONSENSE_HOSTS)
@pytest.mark.parametrize("rules", [LoopbackOnly(), SameOrigin()])
def test_nonsense_hosts(rules: Any, host: str) -> None:
    """A `Host` that two parsers may read in two ways is refused, with and without logins."""
    assert not is_answered(rules, host)


@pytest.mark.parametrize("name", [b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode"])
def test_headers_given_twice(name: bytes) -> None:
    """Two values are refused even if they are the same."""
    value = {b"host": b"localhost", b"origin": b"http://localhost"}.get(name, b"none")
    with pytest.raises(RefusedOriginError, match="twice"):
        read_sender("GET", [(name, value), (name, value)])


@pytest.mark.parametrize(
    ("site", "method", "mode", "dest", "demo", "with_logins"),
    [
        ("same-origin", "POST", "cors", "empty", True, True),
        ("none", "GET", "navigate", "document", True, True),
        ("cross-site", "GET", "no-cors", "image", False, False),
        ("cross-site", "GET", "cors", "empty", False, False),
        ("cross-site", "GET", "websocket", "empty", False, False),
        ("cross-site", "POST", "navigate", "document", False, False),
        ("cross-site", "GET", "navigate", "iframe", False, False),
        ("cross-site", "GET", "", "", False, False),
        ("cross-site", "GET", "navigate", "document", True, True),
        ("same-site", "GET", "no-cors", "script", False, True),
        ("same-site", "GET", "navigate", "document", True, True),
        ("cross-site, same-origin", "GET", "cors", "empty", False, False),
        ("anything", "GET", "cors", "empty", False, False),
    ],
)
def test_sites(site: str, method: str, mode: str, dest: str, demo: bool, with_logins: bool) -> None:
    """A page of another site may link to us, and nothing else. Ports of this machine are other sites in demo mode."""
    fetch = {"site": site, "mode": mode, "dest": dest}
    assert is_answered(LoopbackOnly(), "localhost:8000", method=method, **fetch) is demo
    assert is_answered(SameOrigin(), "localhost:8000", method=method, **fetch) is with_logins


def test_site_of_a_listed_origin() -> None:
    """It is another site, and allowed; our own origin from another site is a contradiction."""
    for rules in (LoopbackOnly([LISTED]), SameOrigin([LISTED])):
        assert is_answered(rules, "localhost", LISTED, "POST", site="cross-site", mode="cors", dest="empty")
        assert not is_answered(rules, "localhost", "http://localhost", "POST", site="cross-site")


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://A.example", "https://a.example"),
        ("https://a.example:443/", "https://a.example"),
        ("http://a.example:8080", "http://a.example:8080"),
        ("http://[::1]:80", "http://[::1]"),
        ("a.example", None),
        ("*", None),
        ("null", None),
        ("ftp://a.example", None),
        ("https://a.example/path", None),
        ("https://user@a.example", None),
        ("https://a.example:x", None),
        ("https://", None),
        ("", None),
    ],
)
def test_normalizing_origins(text: str, origin: str | None) -> None:
    """`--allow-origin` accepts what a browser sends in `Origin`, without wildcards."""
    assert normalize_origin(text) == origin


@pytest.mark.thorough
async def test_foreign_origins_are_refused(start: Callable[..., Any]) -> None:
    """With logins: 403 over REST and 4003 on the socket, even with a valid token; nothing is created."""
    async with start(auth=True) as live:
        granted = await live.be("ada")
        submission_id = await live.submit()
        for origin in ("https://evil.example", "null", "http://localhost:5173"):
            body = {"problem": "echo", "language": "python", "source_code": "1"}
            response = await live.http.post("/api/submissions", json=body, headers={"Origin": origin})
            assert response.status_code == 403
            assert "access-control-allow-origin" not in response.headers
            query = f"?token={granted['access_token']}"
            watcher = await live.watch(submission_id, query, additional_headers={"Origin": origin})
            with suppress(ConnectionClosed):
                async with asyncio.timeout(HANG_S):
                    await watcher.recv()
            assert watcher.close_code == 4003
        assert len((await live.http.get("/api/submissions")).json()["submissions"]) == 1


@pytest.mark.thorough
async def test_allowed_origins(start: Callable[..., Any]) -> None:
    """An allowed origin passes the preflight, reads responses and opens sockets; so does the server's own."""
    async with start(auth=True, origins=[LISTED]) as live:
        granted = await live.be("ada")
        submission_id = await live.submit()
        asked = {
            "Origin": LISTED,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
        }
        preflight = await live.http.options("/api/submissions", headers=asked)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == LISTED
        assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
        for origin in (LISTED, live.url):
            response = await live.http.get("/api/submissions", headers={"Origin": origin})
            assert response.status_code == 200
            query = f"?token={granted['access_token']}"
            watcher = await live.watch(submission_id, query, additional_headers={"Origin": origin})
            assert [text async for text in watcher]
        listed = await live.http.get("/api/submissions", headers={"Origin": LISTED})
        assert listed.headers["access-control-allow-origin"] == LISTED
        assert "Origin" in listed.headers["vary"]
        assert "access-control-allow-credentials" not in listed.headers


PATHS = [
    *("/api/info", "/api/nothing", "/api/submissions", "/api/auth/me", "/nothing"),
    *("/docs", "/openapi.json", "/submissions/1", "/static/submission.js"),
]


@pytest.mark.thorough
async def test_security_headers(guarded: Any, subtests: pytest.Subtests) -> None:
    """Every response, errors included, forbids framing, sniffing and foreign scripts."""
    for path, origin in itertools.product(PATHS, ("", "https://evil.example")):
        with subtests.test(path, origin=origin):
            response = await guarded.http.get(path, headers={"Origin": origin} if origin else {})
            headers = response.headers
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert "default-src 'none'" in headers["content-security-policy"]
            assert "script-src 'unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            # With `no-referrer`, browsers would send `Origin: null` with our own forms.
            assert headers["referrer-policy"] == (
                "same-origin" if path == "/submissions/1" and not origin else "no-referrer"
            )
            assert "no-" in headers["cache-control"]
            assert "server" not in headers


async def test_docs_page_is_served_from_the_package(live: Any) -> None:
    """Nothing comes from elsewhere; the policy of `/docs` allows our own files, and its inline script by hash."""
    response = await live.http.get("/docs")
    policy = response.headers["content-security-policy"]
    assert response.text.count("<script>") == policy.count("'sha256-") == 1
    assert "unsafe" not in policy
    assert "http" not in policy
    loaded = re.findall(r'(?:src|href)="([^"]+)"', response.text)
    assert len(loaded) == 3
    for path in loaded:
        # Relative, so that it is found behind a path prefix too.
        assert path.startswith("static/")
        assert (await live.http.get(f"/{path}")).status_code == 200
    assert 'VERSION:"5.' in (await live.http.get("/static/swagger-ui-bundle.js")).text
