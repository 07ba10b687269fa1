"""Logging in, refreshing and logging out (contract, section 6; RFC 6749)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import argon2
import httpx
import pytest

from subcli.server.accounts.passwords import PasswordError, Passwords
from subcli.server.settings import PasswordCost
from tests.server.accounts.forgery import claims_of
from tests.server.conftest import CHEAP, PASSWORD

pytestmark = pytest.mark.every_backend


async def refreshed(live: Any, token: str) -> httpx.Response:
    response = await live.grant(grant_type="refresh_token", refresh_token=token)
    assert isinstance(response, httpx.Response)
    return response


async def me(live: Any, granted: dict[str, Any]) -> httpx.Response:
    headers = {"Authorization": f"Bearer {granted['access_token']}"}
    response = await live.http.get("/api/auth/me", headers=headers)
    assert isinstance(response, httpx.Response)
    return response


async def test_logging_in(guarded: Any) -> None:
    """Both a form and a JSON body are accepted; the response must not be cached."""
    fields = {"grant_type": "password", "username": "ada", "password": PASSWORD}
    for how in ({"data": fields}, {"json": fields}):
        response = await guarded.http.post("/api/auth/token", **how)
        granted = response.json()
        assert response.status_code == 200
        assert (granted["token_type"], granted["expires_in"]) == ("bearer", 900)
        assert response.headers["cache-control"] == "no-store"
        assert set(claims_of(granted["access_token"])) == {"sub", "exp", "iat", "aud", "jti", "sid"}
        answer = await me(guarded, granted)
        assert answer.json()["user"] == "ada"
        assert answer.json()["expires_at"].endswith("Z")


async def test_info_lists_the_features_with_logins(guarded: Any) -> None:
    """`/info` needs no login, and lists what only a server with logins can do."""
    del guarded.http.headers["Authorization"]
    info = (await guarded.http.get("/api/info")).json()
    assert info["demo"] is False
    common = ["resume", "idempotency", "feed", "traces", "output", "lists", "runs", "feed_all", "feed_output"]
    assert info["features"] == [
        *common,
        "watch_token",
        "access_tokens",
        "roles",
        "links",
        "rejudge",
        "results",
        "groups",
    ]


BAD: list[tuple[dict[str, str], int, str]] = [
    ({}, 400, "invalid_request"),
    ({"grant_type": "password"}, 400, "invalid_request"),
    ({"grant_type": "password", "username": "ada"}, 400, "invalid_request"),
    ({"grant_type": "password", "username": "ada", "password": ""}, 400, "invalid_request"),
    ({"grant_type": "password", "username": "ada", "password": "x" * 5000}, 400, "invalid_request"),
    ({"grant_type": "refresh_token"}, 400, "invalid_request"),
    ({"grant_type": "client_credentials"}, 400, "unsupported_grant_type"),
    ({"grant_type": "password", "username": "ada", "password": "wrong"}, 401, "invalid_grant"),
    ({"grant_type": "password", "username": "ADA", "password": PASSWORD.upper()}, 401, "invalid_grant"),
    ({"grant_type": "password", "username": "nobody", "password": PASSWORD}, 401, "invalid_grant"),
    ({"grant_type": "password", "username": "a\0b", "password": PASSWORD}, 401, "invalid_grant"),
    ({"grant_type": "password", "username": "' OR 1=1 --", "password": PASSWORD}, 401, "invalid_grant"),
    ({"grant_type": "refresh_token", "refresh_token": "x"}, 401, "invalid_grant"),
    ({"grant_type": "refresh_token", "refresh_token": "x" * 43}, 401, "invalid_grant"),
    ({"grant_type": "refresh_token", "refresh_token": "é" * 43}, 401, "invalid_grant"),
]


@pytest.mark.thorough
async def test_refused_grants(guarded: Any, subtests: pytest.Subtests) -> None:
    """Invalid requests are 400, wrong secrets 401, with a sentence and OAuth's error code, in both formats."""
    for fields, status, word in BAD:
        for how in ({"data": fields}, {"json": fields}):
            with subtests.test(word, **fields):
                response = await guarded.http.post("/api/auth/token", **how)
                assert response.status_code == status
                assert response.json()["error"] == word
                assert response.json()["detail"].endswith(".")


BODIES = [b"", b"{", b"[]", b"null", b"\xff", b"[" * 9000, b'{"grant_type": 5}', b'{"grant_type": "\\ud800"}']
KINDS = ["application/json", "application/x-www-form-urlencoded", "text/plain", ""]


@pytest.mark.thorough
async def test_invalid_bodies(guarded: Any, subtests: pytest.Subtests) -> None:
    """What is neither a form nor a JSON object is 400."""
    for content, kind in itertools.product(BODIES, KINDS):
        with subtests.test(repr(content[:20]), kind=kind):
            headers = {"Content-Type": kind} if kind else {}
            response = await guarded.http.post("/api/auth/token", content=content, headers=headers)
            assert response.status_code == 400
            assert response.json()["detail"].endswith(".")


async def test_unknown_user_gets_the_same_response(guarded: Any) -> None:
    """The response does not reveal whether the user exists."""
    answers = set()
    for name in ("ada", "nobody", "demo", "~1"):
        response = await guarded.grant(grant_type="password", username=name, password="wrong password")
        answers.add((response.status_code, response.text))
    assert len(answers) == 1


def test_unknown_user_costs_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Response times do not reveal whether a user exists, because one hash of the same cost is verified either way."""
    passwords = Passwords(CHEAP)
    known = passwords.hash(PASSWORD)
    verified: list[argon2.Parameters] = []
    verify = argon2.PasswordHasher.verify

    def noted(hasher: argon2.PasswordHasher, password_hash: str, password: bytes) -> bool:
        verified.append(argon2.extract_parameters(password_hash))
        return bool(verify(hasher, password_hash, password))

    monkeypatch.setattr(argon2.PasswordHasher, "verify", noted)
    for password_hash in (known, None):
        assert not passwords.verify("wrong password", password_hash)
    of_known, of_unknown = verified
    assert of_known == of_unknown
    assert not passwords.verify("no user has this password", None)


def test_passwords() -> None:
    """Composed and decomposed letters are equal; too short, too long and invalid Unicode are refused."""
    passwords = Passwords(CHEAP)
    kept = passwords.hash("cafe\u0301 au lait")
    assert passwords.verify("caf\u00e9 au lait", kept)
    assert not passwords.verify("cafe au lait", kept)
    assert not passwords.verify("\ud800 half of a pair", kept)
    assert not passwords.verify("whatever", "not a hash")
    assert not passwords.is_outdated(kept)
    assert Passwords(PasswordCost(passes=1, memory_kib=16, lanes=1)).is_outdated(kept)
    for bad in ("", "seven77", "x" * 1025, "\ud800 half of a pair"):
        with pytest.raises(PasswordError):
            passwords.hash(bad)


async def test_outdated_hash_is_replaced_at_login(guarded: Any) -> None:
    """A hash of another cost is replaced when its user logs in; the password stays valid."""
    old = Passwords(PasswordCost(passes=1, memory_kib=16, lanes=1)).hash(PASSWORD)
    guarded.accounts.users.add("bob", old)
    await guarded.log_in("bob")
    assert guarded.accounts.users.find("bob").password_hash != old
    await guarded.log_in("bob")


@pytest.mark.thorough
async def test_refresh_token_is_used_once(start: Callable[..., Any], sql: Callable[[str], Any]) -> None:
    """Each returns a successor, reuse ends the whole family, and none is stored in plain text."""
    async with start(auth=True, refresh_grace_s=0) as live:
        first = await live.be("ada")
        other = await live.log_in("ada")
        second = (await refreshed(live, first["refresh_token"])).json()
        third = (await refreshed(live, second["refresh_token"])).json()
        tokens = [granted["refresh_token"] for granted in (first, second, third)]
        assert len(set(tokens)) == 3
        assert (await me(live, third)).status_code == 200
        stored = str(sql("SELECT * FROM refresh_tokens"))
        assert not any(token in stored for token in tokens)
        # Somebody uses an old one: nobody knows who is who.
        assert (await refreshed(live, tokens[0])).status_code == 401
        assert (await refreshed(live, tokens[2])).status_code == 401
        for granted in (first, second, third):
            assert (await me(live, granted)).status_code == 401
        # Another login of the same user goes on.
        assert (await me(live, other)).status_code == 200
        assert (await refreshed(live, other["refresh_token"])).status_code == 200


@pytest.mark.thorough
async def test_lost_response_can_be_repeated(guarded: Any) -> None:
    """Within the grace period a used token returns the same successor again, even ten times at once."""
    first = await guarded.log_in("ada")
    answers = await asyncio.gather(*(refreshed(guarded, first["refresh_token"]) for _ in range(10)))
    granted = [answer.json() for answer in answers]
    assert {answer.status_code for answer in answers} == {200}
    assert len({one["refresh_token"] for one in granted}) == 1
    assert {(await me(guarded, one)).status_code for one in granted} == {200}
    assert (await refreshed(guarded, granted[0]["refresh_token"])).status_code == 200


@pytest.mark.thorough
@pytest.mark.parametrize("how", ["access", "refresh"])
async def test_logging_out(guarded: Any, how: str) -> None:
    """It ends the session at once, by access token or by refresh token alone. Other sessions stay."""
    granted, other = await guarded.log_in("ada"), await guarded.log_in("ada")
    if how == "access":
        headers = {"Authorization": f"Bearer {granted['access_token']}"}
        response = await guarded.http.post("/api/auth/logout", headers=headers)
    else:
        response = await guarded.http.post("/api/auth/logout", json={"refresh_token": granted["refresh_token"]})
    assert response.json() == {"logged_out": True}
    assert (await me(guarded, granted)).status_code == 401
    assert (await refreshed(guarded, granted["refresh_token"])).status_code == 401
    assert (await me(guarded, other)).status_code == 200


async def test_logging_out_without_a_login(guarded: Any) -> None:
    """Without a token: 401. An unknown refresh token counts as revoked (RFC 7009)."""
    del guarded.http.headers["Authorization"]
    assert (await guarded.http.post("/api/auth/logout")).status_code == 401
    response = await guarded.http.post("/api/auth/logout", json={"refresh_token": "x"})
    assert response.status_code == 200


async def test_login_attempts_of_an_account(start: Callable[..., Any]) -> None:
    """After so many wrong passwords 429 with `Retry-After`, even for the right one, and for unknown users alike."""
    async with start(auth=True, logins=3, login_window_s=6000.0) as live:
        live.add_user("ada")
        for name in ("ada", "nobody"):
            wrong = {"grant_type": "password", "username": name, "password": "wrong"}
            statuses = [(await live.grant(**wrong)).status_code for _ in range(4)]
            assert statuses == [401, 401, 401, 429]
        response = await live.grant(grant_type="password", username="ada", password=PASSWORD)
        assert response.status_code == 429
        seconds = int(response.headers["retry-after"])
        assert 1900 <= seconds <= 2000
        assert response.json() == {
            "detail": f"Too many login attempts; try again in {seconds} s.",
            "retry_after": seconds,
        }


@pytest.mark.thorough
async def test_login_attempts_at_once(start: Callable[..., Any]) -> None:
    """Parallel attempts do not exceed the limit."""
    async with start(auth=True, logins=3) as live:
        live.add_user("ada")
        wrong = {"grant_type": "password", "username": "ada", "password": "wrong"}
        responses = await asyncio.gather(*(live.grant(**wrong) for _ in range(12)))
        assert sorted(response.status_code for response in responses) == [401] * 3 + [429] * 9


async def test_login_attempts_from_an_address(start: Callable[..., Any]) -> None:
    """Trying one password on many accounts is limited as well."""
    async with start(auth=True, logins_address=5) as live:
        statuses = [
            (await live.grant(grant_type="password", username=f"user{n}", password="wrong")).status_code
            for n in range(7)
        ]
        assert statuses == [401] * 5 + [429] * 2


_FORWARDED = (("junk-{}", "192.0.2.1, _{}"), ("192.0.2.1:8{}",), ("2001:db8::{}",), ("2001:db8:0:1{:02x}::1",))


@pytest.mark.thorough
async def test_login_attempts_through_a_proxy(start: Callable[..., Any]) -> None:
    """Neither what is no address in `X-Forwarded-For` nor another address of the same network escapes the limits."""
    async with start(auth=True, logins_address=5, logins_site=5, login_window_s=6000.0) as live:
        for forms in _FORWARDED:
            statuses = []
            for number, form in enumerate(itertools.islice(itertools.cycle(forms), 8)):
                fields = {"grant_type": "password", "username": f"user{number}", "password": "wrong"}
                headers = {"X-Forwarded-For": form.format(number)}
                statuses.append((await live.http.post("/api/auth/token", data=fields, headers=headers)).status_code)
            assert statuses == [401] * 5 + [429] * 3


async def test_logins_that_find_no_place(start: Callable[..., Any]) -> None:
    """503 with `Retry-After`, which clients obey, and nothing is counted as a failure."""
    async with start(auth=True, hash_queue=0, hashes=1) as live:
        live.add_user("ada")
        login = {"grant_type": "password", "username": "ada", "password": PASSWORD}
        async with live.services.auth.logins.hashing.turn("elsewhere"):
            response = await live.grant(**login)
        assert response.status_code == 503
        assert response.json() == {
            "detail": f"Too many logins at the same time; try again in {response.headers['retry-after']} s.",
            "retry_after": int(response.headers["retry-after"]),
        }
        assert (await live.grant(**login)).status_code == 200


async def test_device_cookie(start: Callable[..., Any]) -> None:
    """A login sets it for programs and pages alike, out of reach of scripts and other sites; others get none."""
    async with start(auth=True, logins=3, login_window_s=6000.0) as live:
        live.add_user("ada")
        login = {"grant_type": "password", "username": "ada", "password": PASSWORD}
        cookie = (await live.grant(**login)).headers["set-cookie"]
        assert cookie.startswith(f"subcli_device_{live.url.rpartition(':')[2]}=")
        assert {"HttpOnly", "Path=/", "SameSite=strict"} <= set(cookie.split("; "))
        known = dict(live.http.cookies)
        live.http.cookies.clear()
        for _ in range(4):
            refused = await live.grant(**{**login, "password": "wrong"})
            assert "set-cookie" not in refused.headers
        assert (await live.grant(**login)).status_code == 429
        live.http.cookies.update(known)
        assert (await live.grant(**login)).status_code == 200


async def test_demo_mode_has_no_logins(live: Any) -> None:
    """Every login route is 404 with the reason; a token that is sent anyway is ignored."""
    for method, path in (("POST", "token"), ("POST", "logout"), ("GET", "me")):
        response = await live.http.request(method, f"/api/auth/{path}")
        assert response.status_code == 404
        assert "demo mode" in response.json()["detail"]
    submission_id = await live.submit()
    assert (await live.http.post(f"/api/submissions/{submission_id}/watch-token")).status_code == 404
    response = await live.http.get("/api/submissions", headers={"Authorization": "Bearer whatever"})
    assert response.status_code == 200
