"""A server below a path: requests with the prefix and without."""

from __future__ import annotations

import httpx
import pytest

from subcli.server.edge.prefix import PrefixMiddleware


async def app(scope: object, receive: object, send: object) -> None:
    assert isinstance(scope, dict)
    await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
    await send({"type": "http.response.body", "body": scope["path"].encode()})  # type: ignore[operator]


@pytest.mark.parametrize(
    ("path", "seen"), [("/judge/", "/"), ("/judge/docs", "/docs"), ("/docs", "/docs"), ("/judges", "/judges")]
)
async def test_prefix_is_taken_off(path: str, seen: str) -> None:
    """Whether the proxy has left it in its place or not."""
    transport = httpx.ASGITransport(PrefixMiddleware(app, "/judge"))
    async with httpx.AsyncClient(transport=transport, base_url="http://judge.example") as http:
        assert (await http.get(path)).text == seen


async def test_home_page_is_a_directory() -> None:
    """Its relative links lead nowhere from an address without the slash at its end."""
    transport = httpx.ASGITransport(PrefixMiddleware(app, "/judge"))
    async with httpx.AsyncClient(transport=transport, base_url="http://judge.example") as http:
        for query in ("", "?token=x&a=b"):
            response = await http.get(f"/judge{query}")
            assert (response.status_code, response.headers["location"]) == (307, f"/judge/{query}")
