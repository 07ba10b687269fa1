"""Tokens that are forged, altered, expired or used: each is refused, over REST and on the socket."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from subcli.server.accounts.tokens import AccessClaims, TokenError, TokenIssuer, WatchClaims
from subcli.server.settings import ServerLimits
from tests.hang import HANG_S
from tests.server.accounts.forgery import claims_of, forged, malformed, part_of, raw_signed, sign
from tests.server.clock import Clock
from tests.server.conftest import KEY


async def closed(socket: ClientConnection) -> tuple[int | None, str | None]:
    async with asyncio.timeout(HANG_S):
        with suppress(ConnectionClosed):
            async for _ in socket:
                pass
    return socket.close_code, socket.close_reason


async def ask(live: Any, token: str) -> httpx.Response:
    raw = [(b"Authorization", b"Bearer " + token.encode())]
    response = await live.http.get("/api/submissions", headers=raw)
    assert isinstance(response, httpx.Response)
    return response


@pytest.mark.thorough
async def test_forged_tokens_over_rest(guarded: Any, subtests: pytest.Subtests) -> None:
    """Every forged or stale token is 401 with a sentence, and never 500."""
    good = guarded.http.headers["Authorization"].removeprefix("Bearer ")
    assert (await ask(guarded, good)).status_code == 200
    tried = 0
    for name, token in forged(good, KEY):
        # A header cannot hold NUL: the server's parser refuses it before anybody reads it.
        if "\0" in token:
            continue
        tried += 1
        with subtests.test(name):
            response = await ask(guarded, token)
            assert response.status_code == 401
            assert response.json()["detail"].startswith("Not authenticated: ")
            assert response.headers["www-authenticate"] == "Bearer"
    assert tried >= 50


@pytest.mark.thorough
async def test_forged_tokens_on_the_socket(guarded: Any, subtests: pytest.Subtests) -> None:
    """The same tokens in `?token=` are accept-then-close 4003 with a short reason."""
    submission_id = await guarded.submit()
    good = guarded.http.headers["Authorization"].removeprefix("Bearer ")
    for name, token in forged(good, KEY):
        with subtests.test(name):
            watcher = await guarded.watch(submission_id, f"?token={quote(token)}")
            code, reason = await closed(watcher)
            assert code == 4003
            assert reason in ("token invalid", "token expired", "token missing", "session ended")


@pytest.mark.thorough
@pytest.mark.parametrize("query", ["", "?token=", "?token", "?Token=x", "?access_token=x"])
async def test_no_token_at_all(guarded: Any, query: str) -> None:
    """Without a token the socket is closed with 4003, and REST responds with 401."""
    submission_id = await guarded.submit()
    assert await closed(await guarded.watch(submission_id, query)) == (4003, "token missing")
    del guarded.http.headers["Authorization"]
    for authorization in ("", "Basic YTpi", "Bearer", "Token x"):
        headers = {"Authorization": authorization} if authorization else {}
        assert (await guarded.http.get("/api/submissions", headers=headers)).status_code == 401


@pytest.mark.thorough
@pytest.mark.parametrize("size", [5_000, 10_000, 70_000, 1_000_000])
async def test_absurdly_long_tokens(guarded: Any, size: int) -> None:
    """A token of absurd length is refused like any other, in the query and in headers."""
    submission_id = await guarded.submit()
    token = "A" * size
    assert await closed(await guarded.watch(submission_id, f"?token={token}")) == (4003, "token invalid")
    bearer = {"Authorization": f"Bearer {token}"}
    watcher = await guarded.watch(submission_id, additional_headers=bearer)
    assert await closed(watcher) == (4003, "token invalid")
    assert (await ask(guarded, token)).status_code == 401
    assert (await guarded.grant(grant_type="refresh_token", refresh_token=token)).status_code in (400, 413)


@pytest.mark.thorough
async def test_absurdly_large_handshakes(guarded: Any) -> None:
    """Heads that no parser accepts are refused with 400, and the server keeps running."""
    submission_id = await guarded.submit()
    for options in ({"additional_headers": [("X-A", "b")] * 500}, {"additional_headers": {"X-A": "b" * 2_000_000}}):
        with pytest.raises((InvalidMessage, InvalidStatus, OSError)) as error:
            await guarded.watch(submission_id, **options)
        if isinstance(error.value, InvalidStatus):
            assert error.value.response.status_code == 400
    assert (await guarded.http.get("/api/submissions")).status_code == 200


async def test_token_in_header_or_query(guarded: Any) -> None:
    """The socket accepts an access token in the header and in `?token=`; the header takes precedence."""
    submission_id = await guarded.submit()
    authorization = guarded.http.headers["Authorization"]
    token = authorization.removeprefix("Bearer ")
    for query, header in ((f"?token={token}", ""), ("", authorization), ("?token=wrong", f"bearer {token}")):
        options = {"additional_headers": {"Authorization": header}} if header else {}
        watcher = await guarded.watch(submission_id, query, **options)
        events = [json.loads(text) async for text in watcher]
        assert events[-1]["type"] == "complete"
        assert watcher.close_code == 1000
    watcher = await guarded.watch(submission_id, f"?token={token}", additional_headers={"Authorization": "Bearer x"})
    assert await closed(watcher) == (4003, "token invalid")


async def watch_token(live: Any, submission_id: int) -> str:
    response = await live.http.post(f"/api/submissions/{submission_id}/watch-token")
    assert response.status_code == 200
    assert 0 < response.json()["expires_in"] <= 60
    return str(response.json()["token"])


@pytest.mark.thorough
async def test_watch_token_opens_one_socket(guarded: Any) -> None:
    """It opens one socket on its submission; a second use is 4003, even at the same moment."""
    submission_id = await guarded.submit()
    token = await watch_token(guarded, submission_id)
    watchers = await asyncio.gather(*(guarded.watch(submission_id, f"?token={token}") for _ in range(5)))
    ended = [await closed(watcher) for watcher in watchers]
    assert sorted(ended) == [(1000, ""), *[(4003, "token used")] * 4]


async def test_watch_token_opens_nothing_else(guarded: Any) -> None:
    """Another submission's socket is 4003, and REST refuses it; neither uses it up."""
    one, other = await guarded.submit(), await guarded.submit()
    token = await watch_token(guarded, one)
    assert await closed(await guarded.watch(other, f"?token={token}")) == (4003, "token invalid")
    assert (await ask(guarded, token)).status_code == 401
    assert await closed(await guarded.watch(one, f"?token={token}")) == (1000, "")


@pytest.mark.thorough
async def test_stale_watch_tokens(guarded: Any, subtests: pytest.Subtests) -> None:
    """Expired, without its submission or its end, of another type or audience: 4003."""
    submission_id = await guarded.submit()
    claims = claims_of(await watch_token(guarded, submission_id))
    past = int(time.time()) - 60
    for name, changes in (
        ("expired", {"exp": past}),
        ("its access expired", {"until": past, "exp": past + 10}),
        ("no submission", {"submission": None}),
        ("no end", {"until": None}),
        ("audience of REST", {"aud": "api"}),
        ("another session", {"sid": "f" * 32}),
    ):
        with subtests.test(name):
            token = sign({**claims, **changes}, KEY, "watch+jwt")
            assert (await closed(await guarded.watch(submission_id, f"?token={token}")))[0] == 4003


@pytest.mark.thorough
async def test_malformed_watch_tokens(guarded: Any, subtests: pytest.Subtests) -> None:
    """Every claim has one type and a range, whoever signed it; a submission of `true` is not the first one."""
    submission_id = await guarded.submit()
    assert submission_id == 1
    claims = claims_of(await watch_token(guarded, submission_id))
    for name, token in malformed(claims, KEY, "watch+jwt"):
        with subtests.test(name):
            code, reason = await closed(await guarded.watch(submission_id, f"?token={token}"))
            assert (code, reason) in ((4003, "token invalid"), (4003, "token expired"))


@pytest.mark.thorough
async def test_authorization_given_twice(guarded: Any) -> None:
    """Which of the two a proxy has checked is not known, so both are refused, even if they are equal."""
    submission_id = await guarded.submit()
    good = guarded.http.headers["Authorization"]
    for second in (good, "Bearer x", "Basic YTpi", ""):
        for pair in ((good, second), (second, good)):
            raw = [(b"Authorization", each.encode()) for each in pair]
            for method, path in (("GET", "/api/auth/me"), ("GET", "/api/submissions"), ("POST", "/api/auth/logout")):
                response = await guarded.http.request(method, path, headers=raw)
                assert response.status_code == 401
                assert response.json()["detail"] == "Not authenticated: two Authorization headers."
            headers = [("Authorization", each) for each in pair]
            watcher = await guarded.watch(submission_id, additional_headers=headers)
            assert await closed(watcher) == (4003, "two Authorization headers")
    assert (await guarded.http.get("/api/submissions")).status_code == 200


async def test_token_given_twice_in_the_query(guarded: Any) -> None:
    """The same holds for `?token=`."""
    submission_id = await guarded.submit()
    good = guarded.http.headers["Authorization"].removeprefix("Bearer ")
    watcher = await guarded.watch(submission_id, f"?token=x&token={good}")
    assert await closed(watcher) == (4003, "two tokens")


@pytest.mark.thorough
async def test_token_expires_during_a_watch(start: Callable[..., Any]) -> None:
    """The socket is closed with 4003, whether an access token or a watch token opened it."""
    async with start(auth=True, access_token_s=3, leeway_s=0) as live:
        await live.be("ada")
        submission_id = await live.submit("wait")
        for kind in ("access", "watch"):
            token = (await live.be("ada"))["access_token"]
            if kind == "watch":
                token = await watch_token(live, submission_id)
            watcher = await live.watch(submission_id, f"?token={token}&after_seq=0")
            assert json.loads(await watcher.recv())["seq"] == 1
            assert await closed(watcher) == (4003, "token expired")


async def test_tokens_are_not_logged(guarded: Any, caplog: pytest.LogCaptureFixture) -> None:
    """No log line contains a token or password, whether or not the request was valid."""
    caplog.set_level(logging.DEBUG)
    # The client's own logs, in this process too, are none of the server's.
    for name in ("websockets.client", "httpx", "httpcore.http11", "httpcore.connection"):
        logging.getLogger(name).setLevel(logging.WARNING)
    submission_id = await guarded.submit()
    secrets = await guarded.be("ada")
    token = await watch_token(guarded, submission_id)
    for query in (f"?token={secrets['access_token']}", f"?token={token}", f"?token={token}", "?token=hush-hush"):
        await closed(await guarded.watch(submission_id, query))
    await guarded.grant(grant_type="password", username="ada", password="hush-hush")
    await guarded.grant(grant_type="refresh_token", refresh_token=secrets["refresh_token"])
    logged = caplog.text
    for secret in (secrets["access_token"], secrets["refresh_token"], token, "hush-hush", "correct horse"):
        assert secret not in logged


def test_token_claims() -> None:
    """Tokens contain what they were issued for, and expire according to the limits."""
    now = time.time()
    tokens = TokenIssuer(KEY, ServerLimits(access_token_s=100, watch_token_s=10, leeway_s=2), lambda: now)
    access = tokens.read_access(tokens.access(7, "s" * 32))
    assert access == AccessClaims(7, "s" * 32, int(now) + 102)
    token, seconds = tokens.watch(access, 42)
    said = tokens.read_any(token)
    assert isinstance(said, WatchClaims)
    assert (said.access, said.submission_id, seconds) == (access, 42, 10)
    with pytest.raises(TokenError, match="invalid"):
        tokens.read_access(token)
    late = TokenIssuer(KEY, ServerLimits(), lambda: now - 10_000)
    with pytest.raises(TokenError, match="expired"):
        tokens.read_access(late.access(7, "s"))


def test_keys_are_changed_without_a_logout() -> None:
    """Tokens of either key are good while both are accepted, in either order; those of a third one never are."""
    old, new, third = b"o" * 32, b"n" * 32, b"t" * 32
    limits, clock = ServerLimits(), Clock()
    steps = [(old, None), (old, new), (new, old), (new, None)]
    issuers = [TokenIssuer(key, limits, clock, accepted) for key, accepted in steps]
    # Gateways are restarted one after the other, so those of two steps run beside each other.
    for before, after in pairwise(issuers[:3]):
        for signing, reading in ((before, after), (after, before)):
            token = signing.access(7, "s")
            assert reading.read_access(token).user_id == 7
            assert reading.read_any(reading.watch(reading.read_access(token), 1)[0])
            device, _ = signing.device(7)
            assert reading.read_device(device, 7)
    assert issuers[3].read_access(issuers[2].access(7, "s")).user_id == 7
    for each in issuers:
        with pytest.raises(TokenError, match="invalid"):
            each.read_access(TokenIssuer(third, limits, clock).access(7, "s"))
    with pytest.raises(TokenError, match="invalid"):
        issuers[3].read_access(issuers[0].access(7, "s"))


def test_clock_of_the_gateway_that_issued_it_may_be_ahead() -> None:
    """When a token was issued is not verified, and `nbf` has the leeway, so skew costs no login."""
    now = 1_000_000.0
    tokens = TokenIssuer(KEY, ServerLimits(leeway_s=2), lambda: now)
    for ahead_s in (8, 600):
        ahead = TokenIssuer(KEY, ServerLimits(), lambda s=ahead_s: now + s)  # type: ignore[misc]
        assert tokens.read_access(ahead.access(7, "s")).user_id == 7
    claims = {**claims_of(tokens.access(7, "s")), "nbf": int(now) + 2}
    assert tokens.read_access(sign(claims, KEY)).user_id == 7
    with pytest.raises(TokenError, match="invalid"):
        tokens.read_access(sign({**claims, "nbf": int(now) + 3}, KEY))


@pytest.mark.parametrize("kind", ["at+jwt", "watch+jwt"])
def test_one_clock_issues_and_verifies(kind: str) -> None:
    """A token is good until its expiry and the leeway by the given clock, whatever the time of the machine."""
    clock = Clock()
    tokens = TokenIssuer(KEY, ServerLimits(access_token_s=100, watch_token_s=100, leeway_s=2), clock)
    for start in (1000.0, 4e9):
        clock.now = start
        token = tokens.access(7, "s")
        if kind == "watch+jwt":
            token = tokens.watch(tokens.read_access(token), 1)[0]
        clock.now = start + 101
        tokens.read_any(token)
        clock.now = start + 102
        with pytest.raises(TokenError, match="expired"):
            tokens.read_any(token)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(
    typ=st.sampled_from(["at+jwt", "watch+jwt"]),
    claims=st.dictionaries(st.sampled_from(["sub", "exp", "iat", "aud", "jti", "sid", "nbf", "until"]), _JSON) | _JSON,
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_signed_is_read_or_refused(typ: str, claims: Any) -> None:
    """No content of a token raises anything but `TokenError`."""
    good = {"sub": "7", "exp": 2000, "iat": 1000, "aud": "api", "jti": "j", "sid": "s"}
    if isinstance(claims, dict):
        claims = {**good, **claims}
    with suppress(TokenError):
        TokenIssuer(KEY, ServerLimits(), lambda: 1000.0).read_any(raw_signed(claims, KEY, typ))


@given(header=st.binary(max_size=40) | _JSON.map(lambda value: json.dumps(value).encode()))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_in_the_header_is_refused(header: bytes) -> None:
    """The header is read before the signature is verified, so anybody can write it."""
    with pytest.raises(TokenError):
        TokenIssuer(KEY, ServerLimits(), lambda: 1000.0).read_any(f"{part_of(header)}.e30.AAAA")
