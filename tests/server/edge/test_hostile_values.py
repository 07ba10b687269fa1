"""Every parameter of every address, field and message, with values that no honest client sends.

Whatever it is, it is the client's mistake: never 500, never 503 (which says that the database is down), never 1011.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from subcli.server.accounts.permissions import Role
from tests.hang import HANG_S

_MOST_HARMFUL: Final = ("NUL", "digits")


def tried(values: Mapping[str, str]) -> Mapping[str, str]:
    """The most harmful values; all of them in `make soak`."""
    if os.environ.get("SUBCLI_FUZZ"):
        return values
    return {name: values[name] for name in _MOST_HARMFUL}


IN_ADDRESSES: Mapping[str, str] = {
    "nothing": "",
    "NUL": "a%00b",
    "only NUL": "%00",
    "half a pair": "%ED%A0%80",
    "not UTF-8": "%FF%FE",
    "escapes": "%1B]0;x%07%0D%0ASet-Cookie:a=b",
    "right to left": "%E2%80%AEa",
    "digits": "9" * 5000,
    "wide digits": "%EF%BC%91%EF%BC%92",
    "Arabic digits": "%D9%A1",
    "negative": "-1",
    "zero": "0",
    "signed": "%2B1",
    "63 bits": str(2**63),
    "64 bits": str(2**64),
    "float": "1.5",
    "huge": "1e999",
    "no number": "nan",
    "hexadecimal": "0x10",
    "underscore": "1_0",
    "quotes": "%27%22%20OR%201=1--",
    "wildcards": "%25_*",
    "long": "a" * 9000,
    "words": "true",
    "past": "0001-01-01T00:00:00%2B23:59",
    "future": "9999-12-31T23:59:59-23:59",
    "a cursor of nothing": "YmVmb3JlIDk5OTk5OTk5OTk5OTk5OTk5OTk5",
    "up": "..%2F..%2Fetc%2Fpasswd",
    "dots": "..",
}
"""As they stand in an address."""

IN_JSON: Mapping[str, str] = {
    "null": "null",
    "NUL": r'"a\u0000b"',
    "half a pair": r'"\ud800"',
    "escapes": r'"\u001b]0;x\u0007\r\n\u202e"',
    "digits": "9" * 5000,
    "digits in quotes": f'"{"9" * 60}"',
    "negative": "-1",
    "63 bits": str(2**63),
    "64 bits": str(2**64),
    "float": "1.5",
    "huge": "1e999",
    "no number": "NaN",
    "infinite": "Infinity",
    "true": "true",
    "list": "[[], {}, null, 1]",
    "object": '{"a": {"b": null}}',
    "NUL in a name": r'{"a\u0000.py": "x"}',
    "half a pair in a name": r'{"\ud800.py": "x"}',
    "deep": "[" * 5000 + "]" * 5000,
    "long": json.dumps("a" * 9000),
    "past": '"0001-01-01T00:00:00+23:59"',
    "numbers": f"[{2**63}, 1e999, -1]",
}
"""As they stand in a body."""

PATHS = [
    *("/api/submissions/{}", "/api/submissions/1/tests/{}/trace", "/api/problems/{}", "/api/problems/{}/results"),
    *("/api/problems/echo/template/{}", "/submissions/{}", "/problems/{}", "/static/{}", "/attempts/{}", "/{}"),
]
PARAMETERS = [
    *(f"/api/submissions?{name}={{}}" for name in ("limit", "problem", "all", "verdict", "status", "since", "cursor")),
    *("/api/submissions?user={}", "/api/submissions?all=true&cursor={}"),
    *(f"/api/submissions/1{tail}={{}}" for tail in ("?run", "?epoch", "/tests?run", "/events?after_seq")),
    *(f"/api/submissions/1{tail}={{}}" for tail in ("/events?limit", "/events?epoch", "/output?output_after")),
    *(f"/api/problems/echo/results?{name}={{}}" for name in ("which", "limit", "cursor")),
    *(f"/?{name}={{}}" for name in ("user", "problem", "verdict", "cursor", "theme")),
    *("/submissions/1?run={}", "/login?next={}"),
]
CHANGES = [
    *(("DELETE", "/api/auth/tokens/{}"), ("POST", "/api/submissions/{}/cancel")),
    *(("POST", "/api/submissions/{}/links"), ("POST", "/api/submissions/{}/watch-token")),
]
BODIES: Mapping[str, Mapping[str, Any]] = {
    "/api/submissions": {
        "problem": "echo",
        "language": "python",
        "source_code": "print()",
        "problem_id": 7,
        "file_name": "a.py",
        "files": {"a.py": "print()"},
    },
    "/api/rejudges": {
        "submissions": [1],
        "problem": "echo",
        "verdict": "passed",
        "since": "2026-01-01T00:00:00Z",
        "dry_run": True,
        "key": "a-key-of-a-test",
        "cursor": "x",
    },
    "/api/auth/tokens": {"name": "x", "scope": "read", "expires_in": 60},
    "/api/auth/password": {"old_password": "x" * 10, "new_password": "y" * 10},
    "/api/submissions/1/links": {"expires_in": 60},
    "/api/auth/token": {"grant_type": "password", "username": "eve", "password": "x", "refresh_token": "x"},
    "/login": {"username": "eve", "password": "x", "next": ""},
    "/api/auth/logout": {"refresh_token": "x"},
}
ALONE = {"/api/submissions": ("problem", "language", "source_code"), "/api/rejudges": ("problem",)}
"""Which fields are sent where all of them together are never valid."""
SOCKETS = [
    *("/ws/submissions/{}", "/ws/feed?problem={}", "/ws/feed?cursor={}"),
    *(f"/ws/submissions/1?{name}={{}}" for name in ("after_seq", "epoch", "run", "events", "token")),
    *("/ws/submissions/1?events=output&output_after={}", "/ws/submissions/1?run=1&epoch={}"),
]
_FOLLOW: Final = '{{"type": "follow", "submissions": %s}}'
MESSAGES = [
    *(_FOLLOW % each for each in ("{}", '[{{"submission_id": {}}}]', '[{{"submission_id": 1, "after_seq": {}}}]')),
    *(_FOLLOW % '[{{"submission_id": 1, "epoch": {}}}]', '{{"type": {}, "follow": "ping"}}', "{}"),
]


def count() -> int:
    """How many values are tried, with all of them."""
    addresses = len(PATHS) + len(PARAMETERS) + len(CHANGES) + len(SOCKETS)
    fields = sum(len(each) + 1 for each in BODIES.values())
    return addresses * len(IN_ADDRESSES) + (fields + len(MESSAGES)) * len(IN_JSON)


@pytest.fixture
async def live(start: Callable[..., Any]) -> AsyncIterator[Any]:
    """A server where somebody who may see everything is logged in, with a submission that has ended."""
    many = dict.fromkeys(("reads", "submits", "connects", "watch_tokens", "logins", "logins_address", "guesses"), 10**6)
    async with start(auth=True, links=10**6, machine_tokens=10**6, **many) as server:
        await server.be("eve", Role.TEACHER)
        await server.ended(await server.submit())
        yield server
        # After all that an honest client is served.
        assert (await server.log_in("eve"))["access_token"]


@pytest.mark.thorough(measured=True)
async def test_addresses(live: Any) -> None:
    """Each parameter once, and once after another value."""
    bad = []
    for template in (*PATHS, *PARAMETERS):
        headers = {} if template.startswith("/api/") else {"Accept": "text/html"}
        for name, text in tried(IN_ADDRESSES).items():
            addresses = [template.format(text)]
            if template in PARAMETERS and name == "NUL":
                given = template.partition("?")[2].rpartition("&")[2].partition("=")[0]
                addresses.append(f"{template.format('x')}&{given}={text}")
            for address in addresses:
                response = await live.http.get(raw(live.url, address), headers=headers)
                if response.status_code >= 500 or "set-cookie" in response.headers:
                    bad.append((template, name, response.status_code))
    assert bad == []


async def test_changes(live: Any) -> None:
    """The same of what changes something."""
    bad = []
    for method, template in CHANGES:
        for name, text in tried(IN_ADDRESSES).items():
            response = await live.http.request(method, raw(live.url, template.format(text)), json={})
            if response.status_code >= 500:
                bad.append((template, name, response.status_code))
    assert bad == []


def bodies() -> Iterator[tuple[str, str, str]]:
    """Paths, which field is hostile and how, and bodies."""
    for path, fields in BODIES.items():
        honest = {name: fields[name] for name in ALONE.get(path, fields)}
        for field in fields:
            for name, text in tried(IN_JSON).items():
                rest = {each: value for each, value in honest.items() if each != field}
                if field in ("problem_id", "files", "submissions"):
                    rest.pop({"problem_id": "problem", "files": "source_code", "submissions": "problem"}[field], None)
                members = [f"{json.dumps(each)}: {json.dumps(value)}" for each, value in rest.items()]
                yield path, f"{field}: {name}", "{" + ", ".join([*members, f'"{field}": {text}']) + "}"
        for name, text in tried(IN_JSON).items():
            yield path, name, text


@pytest.mark.thorough(measured=True)
async def test_bodies(live: Any) -> None:
    """Each field of each body in turn, and each body as a whole."""
    bad = []
    for path, name, text in bodies():
        headers = {"Content-Type": "application/json", "Origin": live.url}
        response = await live.http.post(path, content=text.encode(), headers=headers)
        if response.status_code >= 500:
            bad.append((path, name, response.status_code))
    assert bad == []


def raw(base: str, address: str) -> httpx.URL:
    """An address that httpx does not correct."""
    path, _, query = address.partition("?")
    target = path.encode() + (b"?" + query.encode() if query else b"")
    return httpx.URL(base).copy_with(raw_path=target)


async def ended(url: str, headers: Mapping[str, str], message: str | None = None) -> int:
    """The code with which a socket closes; 0 if it stays open, an HTTP status if it does not open."""
    try:
        async with connect(url, compression=None, proxy=None, additional_headers=headers) as socket:
            if message is not None:
                await socket.send(message)
                await socket.send("ping")
            async with asyncio.timeout(HANG_S):
                while (await socket.recv()) != "pong" or message is None:
                    pass
            return 0
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd is not None else 1006
    except InvalidStatus as refused:
        return refused.response.status_code


async def test_sockets(live: Any) -> None:
    """Refused with the code of a mistake of the client."""
    bad = []
    headers = {"Authorization": live.http.headers["Authorization"]}
    for template in SOCKETS:
        for name, text in tried(IN_ADDRESSES).items():
            url = live.url.replace("http", "ws") + template.format(quote(text, safe="%"))
            # What is valid stays open: a feed has no end, so it is asked something.
            code = await ended(url, headers, "ping" if "feed" in template else None)
            if code in (1006, 1011) or 500 <= code < 600:
                bad.append((template, name, code))
    assert bad == []


async def test_messages(live: Any) -> None:
    """What a client says on a feed."""
    bad = []
    headers = {"Authorization": live.http.headers["Authorization"]}
    for template in MESSAGES:
        for name, text in tried(IN_JSON).items():
            code = await ended(live.url.replace("http", "ws") + "/ws/feed", headers, template.format(text))
            if code in (1006, 1011):
                bad.append((template, name, code))
    assert bad == []
