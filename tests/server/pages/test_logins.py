"""Logging in on pages: the cookie, what it allows, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from subcli.server.accounts.permissions import Role
from tests.sampling import first
from tests.server.conftest import PASSWORD, Live

BODY = {"problem": "echo", "language": "python", "source_code": "print()"}
LISTED = "https://page.example"


async def enter(live: Live, name: str, password: str = PASSWORD, next: str = "", **headers: str) -> httpx.Response:
    """Send the form of the login page as a browser does."""
    live.http.headers.pop("Authorization", None)
    fields = {"username": name, "password": password, "next": next}
    return await live.http.post("/login", data=fields, headers=headers or {"Origin": live.url})


def cookie_of(live: Live) -> dict[str, str]:
    """The header with the cookie of the login."""
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in live.http.cookies.items() if "session" in name)}


async def outcome(watcher: Any) -> int | str:
    """The first message of a socket, or the code with which it was closed."""
    try:
        return str(await asyncio.wait_for(watcher.recv(), 30))
    except ConnectionClosed:
        return int(watcher.close_code)


async def test_login_is_kept(start: Callable[..., Any]) -> None:
    """The form leads to where one wanted to go; from then on pages, REST and sockets know the user."""
    async with start(auth=True) as live:
        await live.be("ada")
        number = await live.submit()
        response = await enter(live, "ada", next=f"submissions/{number}?theme=colour-blind")
        assert response.status_code == 303
        assert response.headers["location"] == f"./submissions/{number}?theme=colour-blind"
        (cookie,) = [each for each in response.headers.get_list("set-cookie") if "session" in each]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        page = await live.http.get(f"/submissions/{number}")
        assert page.status_code == 200
        assert "print()" in page.text
        assert "Log out" in page.text
        assert (await live.http.get("/api/auth/me")).json()["user"] == "ada"
        assert len((await live.http.get("/api/submissions")).json()["submissions"]) == 1
        own = {"Origin": live.url, **cookie_of(live)}
        assert '"seq":1' in str(await outcome(await live.watch(number, additional_headers=own)))
        # There is nothing to do on the page of the login any more.
        assert (await live.http.get("/login")).status_code == 303


async def test_wrong_password(start: Callable[..., Any]) -> None:
    """The form again, with a sentence, the name and where to go; after too many attempts with when to try again."""
    async with start(auth=True, logins=2) as live:
        live.add_user("ada")
        for _ in range(2):
            response = await enter(live, "ada", "wrong", next="problems/echo")
            assert response.status_code == 401
            assert "Wrong user or password." in response.text
            assert 'value="ada"' in response.text
            assert 'value="problems/echo"' in response.text
            assert 'value="wrong"' not in response.text
        refused = await enter(live, "ada", "wrong")
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        assert "try again in" in refused.text
        assert not cookie_of(live)["Cookie"]
        assert (await enter(live, "", "")).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [{"Accept": "*/*"}, {"Sec-Fetch-Site": "none"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": LISTED}],
    ids=str,
)
@pytest.mark.parametrize("path", first(1, ["/login", "/logout"]))
async def test_other_pages_log_nobody_in_or_out(start: Callable[..., Any], path: str, headers: dict[str, str]) -> None:
    """Whoever is logged in as somebody else would hand in their work there. An allowed origin is another page."""
    async with start(auth=True, origins=[LISTED]) as live:
        live.add_user("ada")
        fields = {"username": "ada", "password": PASSWORD}
        response = await live.http.post(path, data=fields, headers=headers)
        assert response.status_code == 403
        assert "set-cookie" not in response.headers


CHANGING: list[tuple[str, str, dict[str, Any], int]] = [
    ("POST", "/api/submissions", {"json": BODY}, 201),
    ("POST", "/api/submissions/1/cancel", {}, 409),
    ("POST", "/api/submissions/1/links", {"json": {}}, 201),
    ("DELETE", "/api/submissions/1/links", {}, 200),
    ("POST", "/api/auth/tokens", {"json": {"name": "x", "scope": "read"}}, 201),
    ("DELETE", "/api/auth/tokens/x", {}, 200),
    ("POST", "/api/auth/logout", {}, 200),
]


@pytest.mark.thorough
async def test_requests_of_other_pages(start: Callable[..., Any], subtests: pytest.Subtests) -> None:
    """Each call that changes something takes the cookie from a page of this server, and from no other (CSRF)."""
    async with start(auth=True, origins=[LISTED]) as live:
        await live.be("ada")
        await live.ended(await live.submit())
        await enter(live, "ada")
        for method, path, more, status in CHANGING:
            for headers, wanted in (
                ({}, 401),
                ({"Sec-Fetch-Site": "none"}, 401),
                ({"Sec-Fetch-Site": "same-site"}, 401),
                ({"Origin": LISTED}, 401),
                ({"Origin": "https://evil.example"}, 403),
                ({"Origin": "null"}, 403),
                ({"Sec-Fetch-Site": "cross-site"}, 403),
                ({"Origin": live.url}, status),
            ):
                with subtests.test(path, headers=headers):
                    response = await live.http.request(method, path, headers=headers, **more)
                    assert response.status_code == wanted, response.text


@pytest.mark.thorough
async def test_sockets_of_other_pages(start: Callable[..., Any], subtests: pytest.Subtests) -> None:
    """Cross-site WebSocket hijacking: a cookie opens a socket for pages of this server only."""
    async with start(auth=True, origins=[LISTED]) as live:
        await live.be("ada")
        number = await live.submit()
        await live.ended(number)
        await enter(live, "ada")
        for headers, is_open in (
            ({"Origin": live.url}, True),
            ({}, False),
            ({"Origin": LISTED}, False),
            ({"Origin": "https://evil.example"}, False),
            ({"Origin": "null"}, False),
            ({"Sec-Fetch-Site": "same-origin"}, True),
            ({"Sec-Fetch-Site": "none"}, False),
        ):
            for path in (f"/ws/submissions/{number}", "/ws/feed"):
                with subtests.test(path=path, headers=headers):
                    url = live.url.replace("http", "ws") + path
                    shown = {**headers, **cookie_of(live)}
                    async with connect(url, compression=None, proxy=None, additional_headers=shown) as watcher:
                        found = await outcome(watcher)
                    assert (found != 4003) == is_open, found


async def test_logout_ends_the_session(start: Callable[..., Any]) -> None:
    """The cookie is worth nothing any more, and its open sockets close as those of any session."""
    async with start(auth=True, session_check_s=0.05) as live:
        await live.be("ada")
        number = await live.submit("wait")
        await enter(live, "ada")
        stolen = cookie_of(live)
        watcher = await live.watch(number, additional_headers={"Origin": live.url, **stolen})
        assert '"seq":1' in str(await outcome(watcher))
        response = await live.http.post("/logout", headers={"Origin": live.url})
        assert (response.status_code, response.headers["location"]) == (303, "./")
        assert not cookie_of(live)["Cookie"]
        async with asyncio.timeout(30):
            with suppress(ConnectionClosed):
                async for _ in watcher:
                    pass
        assert watcher.close_code == 4003
        assert (await live.http.get("/api/submissions", headers=stolen)).status_code == 401
        # Once more, with nobody logged in.
        assert (await live.http.post("/logout", headers={"Origin": live.url})).status_code == 303


async def test_logout_at_any_rate(start: Callable[..., Any]) -> None:
    """Whoever has used up their requests can still log out, as over REST."""
    async with start(auth=True, reads=1) as live:
        live.add_user("ada")
        await enter(live, "ada")
        stolen = cookie_of(live)
        assert [(await live.http.get("/")).status_code for _ in range(2)] == [200, 429]
        assert (await live.http.post("/logout", headers={"Origin": live.url})).status_code == 303
        assert (await live.http.get("/api/auth/me", headers=stolen)).status_code == 401


async def test_other_ends(start: Callable[..., Any]) -> None:
    """A disabled user, and a user with a new password, are logged out everywhere."""
    async with start(auth=True) as live:
        for name in ("ada", "bob"):
            live.add_user(name)
            await enter(live, name)
            assert (await live.http.get("/api/auth/me")).json()["user"] == name
            if name == "ada":
                live.accounts.users.disable(name)
            else:
                fields = {"old_password": PASSWORD, "new_password": "another long one"}
                await live.be(name)
                changed = await live.http.post("/api/auth/password", json=fields)
                assert changed.status_code == 200, changed.text
                del live.http.headers["Authorization"]
            assert (await live.http.get("/api/auth/me")).status_code == 401


@pytest.mark.thorough
async def test_tokens_are_not_mixed_up(start: Callable[..., Any], subtests: pytest.Subtests) -> None:
    """The token of the cookie is none for `Authorization` or an address, and no other token is one for the cookie."""
    async with start(auth=True) as live:
        granted = await live.be("ada")
        number = await live.submit()
        watch = (await live.http.post(f"/api/submissions/{number}/watch-token")).json()["token"]
        machine = (await live.http.post("/api/auth/tokens", json={"name": "x", "scope": "read"})).json()["token"]
        await enter(live, "ada")
        name, _, token = cookie_of(live)["Cookie"].partition("=")
        live.http.cookies.clear()
        bearer = {"Authorization": f"Bearer {token}"}
        assert (await live.http.get("/api/auth/me", headers=bearer)).status_code == 401
        assert await outcome(await live.watch(number, f"?token={token}")) == 4003
        for other in (granted["access_token"], granted["refresh_token"], watch, machine, f"{token}x", token[:-1], ""):
            with subtests.test(other=other[:20]):
                shown = {"Cookie": f"{name}={other}"}
                assert (await live.http.get("/api/auth/me", headers=shown)).status_code == 401
                assert "Log out" not in (await live.http.get("/", headers=shown)).text
        assert (await live.http.get("/api/auth/me", headers={"Cookie": f"{name}={token}"})).status_code == 200
        # `Authorization` says who asks, if there is one.
        wrong = {"Cookie": f"{name}={token}", "Authorization": "Bearer wrong"}
        assert (await live.http.get("/api/auth/me", headers=wrong)).status_code == 401


@pytest.mark.parametrize(
    ("wanted", "target"),
    first(
        4,
        [
            ("submissions/7", "./submissions/7"),
            ("problems/lru-cache", "./problems/lru-cache"),
            ("?problem=echo&verdict=failed", "./?problem=echo&verdict=failed"),
            ("", "./"),
            *(
                (each, "./")
                for each in ("//evil.example", "https://evil.example", "/\\evil.example", "../x", "api/auth/me")
            ),
            *(
                (each, "./")
                for each in ("submissions/7#x", "submissions/7\n", "submissions/7/../../x", "javascript:alert(1)")
            ),
            ("problems/..", "./"),
        ],
    ),
)
async def test_where_a_login_leads(start: Callable[..., Any], wanted: str, target: str) -> None:
    """To one of our pages, and nowhere else."""
    async with start(auth=True) as live:
        live.add_user("ada")
        assert (await enter(live, "ada", next=wanted)).headers["location"] == target


@pytest.mark.thorough
async def test_a_teacher_on_pages(start: Callable[..., Any]) -> None:
    """The role counts as over REST."""
    async with start(auth=True) as live:
        await live.be("ada")
        number = await live.submit()
        live.add_user("eve", role=Role.TEACHER)
        await enter(live, "eve")
        page = await live.http.get(f"/submissions/{number}")
        assert page.status_code == 200
        assert "ada" in page.text


async def test_demo_mode_has_no_logins(live: Live) -> None:
    """Nothing asks for one."""
    for path in ("/login", "/logout"):
        assert (await live.http.post(path, headers={"Origin": live.url})).status_code in (403, 404)
    assert "Log" not in (await live.http.get("/")).text


async def test_login_again_ends_the_session_before(start: Callable[..., Any]) -> None:
    """The browser forgets its cookie, so nobody could log it out any more; a wrong password changes nothing."""
    async with start(auth=True) as live:
        await live.be("ada")
        await enter(live, "ada")
        before = cookie_of(live)
        assert (await enter(live, "ada", "wrong")).status_code == 401
        assert (await live.http.get("/api/auth/me", headers=before)).status_code == 200
        assert (await enter(live, "ada")).status_code == 303
        after = cookie_of(live)
        live.http.cookies.clear()
        assert (await live.http.get("/api/auth/me", headers=before)).status_code == 401
        assert (await live.http.get("/api/auth/me", headers=after)).status_code == 200


async def test_servers_of_one_host_have_cookies_of_their_own(start: Callable[..., Any]) -> None:
    """Browsers send cookies to every port: with one name, each server would overwrite what the other one set."""
    async with start(auth=True) as live:
        live.add_user("ada")
        response = await enter(live, "ada")
        port = live.url.rpartition(":")[2]
        assert {name.rpartition("_")[2] for name in response.cookies} == {port}
        assert len(response.cookies) == 2
