"""Who may do what, for each role and credential; a foreign submission is refused, or looks as if it were absent."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from starlette.routing import Route
from websockets.exceptions import ConnectionClosed

from subcli.server.accounts import permissions
from subcli.server.accounts.permissions import Action, Credential, Role
from subcli.server.pages.site import make_pages
from tests.hang import HANG_S
from tests.server.gateway.test_feed import Feed, feed
from tests.server.pages.test_pages import rows

ALLOWED = {
    Action.SUBMIT: {Credential.LOGIN, Credential.SUBMIT},
    Action.READ_OWN: set(Credential),
    Action.READ_CODE: {Credential.LOGIN, Credential.SUBMIT, Credential.READ},
    Action.LIST_OWN: {Credential.LOGIN, Credential.SUBMIT, Credential.READ},
    Action.CANCEL_OWN: {Credential.LOGIN, Credential.SUBMIT},
    Action.SHARE_OWN: {Credential.LOGIN},
    Action.READ_ANY: {Credential.LOGIN, Credential.SUBMIT, Credential.READ},
    Action.REJUDGE: {Credential.LOGIN},
    Action.OWN_ACCOUNT: {Credential.LOGIN},
}


@pytest.mark.parametrize("action", Action)
def test_table(action: Action) -> None:
    """Each action, role and credential."""
    for role, credential in itertools.product(Role, Credential):
        is_for_role = action not in (Action.READ_ANY, Action.REJUDGE) or role is not Role.STUDENT
        is_allowed = credential in ALLOWED[action] and is_for_role
        assert permissions.may(role, credential, action) == is_allowed, (role, credential)
        if not is_allowed:
            assert permissions.refusal(credential, action).endswith((".", "?"))


async def credentials(live: Any, submission_id: int, name: str = "ci") -> dict[Credential, str]:
    """A credential of each kind, of the user who is logged in, who has only these afterwards."""
    found = {Credential.LOGIN: live.http.headers["Authorization"].removeprefix("Bearer ")}
    for scope in ("submit", "read"):
        made = await live.http.post("/api/auth/tokens", json={"name": f"{name}-{scope}", "scope": scope})
        assert made.status_code == 201, made.text
        found[Credential(scope)] = made.json()["token"]
    made = await live.http.post(f"/api/submissions/{submission_id}/links", json={})
    assert made.status_code == 201, made.text
    found[Credential.LINK] = made.json()["url"].partition("#link=")[2]
    del live.http.headers["Authorization"]
    return found


@dataclass(frozen=True)
class Call:
    """A request.

    Attributes:
        action: what it is.
        status: of the answer where it is allowed.
        path: with `{}` for the id of a submission.
        more: for httpx.
    """

    action: Action
    status: int
    method: str
    path: str
    more: Mapping[str, Any] = field(default_factory=dict)


COUNT = {"problem": "echo"}
BODY = {"problem": "echo", "language": "python", "source_code": "print()"}
ONE = "/api/submissions/{}"
PASSWORD_CHANGE = {"old_password": "-", "new_password": "-" * 8}
CALLS = [
    Call(Action.SUBMIT, 201, "POST", "/api/submissions", {"json": BODY}),
    *(Call(Action.READ_OWN, 200, "GET", ONE + tail) for tail in ("", "/tests", "/events", "/output")),
    *(Call(Action.READ_OWN, 200, "GET", f"{ONE}{tail}?run=1") for tail in ("", "/tests", "/events", "/output")),
    # This one passed.
    Call(Action.READ_OWN, 404, "GET", f"{ONE}/tests/One/trace"),
    Call(Action.READ_CODE, 200, "GET", f"{ONE}/files"),
    Call(Action.READ_OWN, 200, "POST", f"{ONE}/watch-token"),
    Call(Action.LIST_OWN, 200, "GET", "/api/submissions"),
    Call(Action.CANCEL_OWN, 409, "POST", f"{ONE}/cancel"),
    Call(Action.SHARE_OWN, 200, "GET", f"{ONE}/links"),
    Call(Action.SHARE_OWN, 201, "POST", f"{ONE}/links", {"json": {"expires_in": 60}}),
    Call(Action.READ_ANY, 200, "GET", "/api/submissions?all=true"),
    Call(Action.READ_ANY, 200, "GET", "/api/submissions?user=other"),
    Call(Action.READ_ANY, 200, "GET", "/api/submissions?all=true&user=other&problem=echo&verdict=passed"),
    Call(Action.READ_ANY, 200, "GET", "/api/problems/echo/results"),
    Call(Action.READ_ANY, 200, "GET", "/api/problems/echo/results?which=last"),
    Call(Action.REJUDGE, 200, "POST", "/api/rejudges", {"json": COUNT}),
    Call(Action.REJUDGE, 200, "POST", "/api/rejudges", {"json": {"submissions": [10**9]}}),
    Call(Action.REJUDGE, 200, "POST", "/api/rejudges", {"json": {**COUNT, "dry_run": False, "key": "a-key-of-a-test"}}),
    Call(Action.OWN_ACCOUNT, 200, "GET", "/api/auth/tokens"),
    Call(Action.OWN_ACCOUNT, 201, "POST", "/api/auth/tokens", {"json": {"name": "x", "scope": "read"}}),
    Call(Action.OWN_ACCOUNT, 200, "DELETE", "/api/auth/tokens/x"),
    Call(Action.OWN_ACCOUNT, 403, "POST", "/api/auth/password", {"json": PASSWORD_CHANGE}),
    # Nothing works by link afterwards.
    Call(Action.SHARE_OWN, 200, "DELETE", f"{ONE}/links"),
]
LOGOUT = Call(Action.OWN_ACCOUNT, 200, "POST", "/api/auth/logout")


@pytest.mark.thorough(measured=True)
@pytest.mark.parametrize("role", Role)
async def test_each_role_tries_everything(start: Any, role: Role, subtests: pytest.Subtests) -> None:
    """With each credential: what the table allows works, and everything else is refused with a sentence."""
    async with start(auth=True) as live:
        await live.be("other")
        await live.be("me", role)
        mine = await live.submit()
        await live.ended(mine)
        to_end = await credentials(live, mine, "first")
        await live.be("me")
        tokens = await credentials(live, mine)
        tried = [(LOGOUT, to_end), *((call, tokens) for call in CALLS)]
        for (call, tokens), credential in itertools.product(tried, reversed(Credential)):
            headers = {"Authorization": f"Bearer {tokens[credential]}"}
            response = await live.http.request(call.method, call.path.format(mine), headers=headers, **call.more)
            is_allowed = permissions.may(role, credential, call.action)
            with subtests.test(call=f"{call.method} {call.path}", credential=credential):
                assert response.status_code == (call.status if is_allowed else 403), response.text
                if not is_allowed:
                    assert response.json()["detail"] == permissions.refusal(credential, call.action)


@pytest.mark.thorough
@pytest.mark.parametrize("role", Role)
async def test_pages_of_each_role(start: Any, role: Role, subtests: pytest.Subtests) -> None:
    """They show what REST would, and to nobody more: a link shows one submission, without its code."""
    async with start(auth=True) as live:
        await live.be("other")
        foreign = await live.submit("print(1)")
        await live.be("me", role)
        listed, mine = await live.submit("print(2)"), await live.submit("print(3)")
        for number in (listed, mine):
            await live.ended(number)
        tokens = await credentials(live, mine)
        for credential in Credential:
            headers = {"Authorization": f"Bearer {tokens[credential]}"}

            async def page(path: str, headers: dict[str, str] = headers) -> tuple[int, str]:
                response = await live.http.get(path, headers=headers)
                return response.status_code, response.text

            sees_all = permissions.may(role, credential, Action.READ_ANY)
            lists = permissions.may(role, credential, Action.LIST_OWN)
            reads_code = permissions.may(role, credential, Action.READ_CODE)
            with subtests.test(credential=credential):
                home = rows((await page("/"))[1])
                assert home == ([mine, listed, foreign] if sees_all else [mine, listed] if lists else [])
                # To whoever follows a link, the page is a stranger's: it lists nothing, whatever is asked for.
                status, text = await page("/?user=other")
                assert status == (200 if sees_all or not lists else 403)
                assert sees_all or rows(text) == []
                for tail in ("", "?run=1"):
                    status, text = await page(f"/submissions/{mine}{tail}")
                    assert (status, "print(3)" in text) == (200, reads_code)
                    status, text = await page(f"/submissions/{foreign}{tail}")
                    assert (status, "print(1)" in text) == ((200, True) if sees_all else (404, False))
                assert (await page(f"/submissions/{listed}"))[0] == (200 if lists else 404)
                assert (await page("/problems/echo"))[0] == 200


FOR_EVERYBODY = {
    *(("GET", path) for path in ("/healthz", "/readyz", "/docs", "/openapi.json", "/api/info", "/api/languages")),
    *(("GET", path) for path in ("/api/problems", "/api/problems/{problem}", "/problems/{name}", "/static/{name}")),
    ("GET", "/api/problems/{problem}/template/{language}"),
    # Answered with 426: sockets are tried with submissions.
    ("GET", "/ws/submissions/{submission_id}"),
    # Whoever has the password, or any credential.
    *(("POST", "/api/auth/token"), ("GET", "/api/auth/me"), ("GET", "/login"), ("POST", "/login"), ("POST", "/logout")),
    # From this machine only.
    *(("GET", "/metrics"), ("GET", "/attempts/{submission_id}")),
    # Tried with pages.
    *(("GET", "/"), ("GET", "/submissions/{number}")),
}


async def test_every_route_is_tried(guarded: Any) -> None:
    """So that a new one is not forgotten here."""
    app = guarded.server.config.app
    found = {(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods}
    for route in (*app.routes, *make_pages(guarded.services).routes):
        if isinstance(route, Route):
            found |= {(method, route.path) for method in (route.methods or set()) - {"HEAD"}}
    tried = [(call.method, call.path.format(1).partition("?")[0]) for call in (*CALLS, LOGOUT)]
    found = {
        (method, path)
        for method, path in found
        if not any(each[0] == method and re.fullmatch(re.sub(r"{.*?}", "[^/]+", path), each[1]) for each in tried)
    }
    assert found == FOR_EVERYBODY


READ = [("GET", tail) for tail in ("", "/files", "/tests", "/events", "/output")]
READ += [("GET", f"{tail}?run=1") for tail in ("", "/tests", "/events", "/output")]
FOREIGN = [*READ, ("POST", "/watch-token")]
CHANGES = [("POST", "/cancel"), ("GET", "/links"), ("POST", "/links"), ("DELETE", "/links")]


@pytest.mark.thorough
@pytest.mark.parametrize("role", Role)
async def test_foreign_submissions(start: Any, role: Role, subtests: pytest.Subtests) -> None:
    """A teacher sees and watches each, and changes none; for a student, and by a link, they do not exist."""
    async with start(auth=True) as live:
        await live.be("owner")
        foreign = await live.submit("wait")
        await live.be("me", role)
        mine = await live.submit()
        tokens = await credentials(live, mine)
        for credential in Credential:
            headers = {"Authorization": f"Bearer {tokens[credential]}"}
            sees = permissions.may(role, credential, Action.READ_ANY)
            for method, tail in FOREIGN:
                response = await live.http.request(method, f"/api/submissions/{foreign}{tail}", headers=headers)
                absent = await live.http.request(method, f"/api/submissions/{foreign + 99}{tail}", headers=headers)
                with subtests.test(credential=credential, method=method, tail=tail):
                    assert (response.status_code, absent.status_code) == (200 if sees else 404, 404)
            for method, tail in CHANGES:
                path = f"/api/submissions/{foreign}{tail}"
                response = await live.http.request(method, path, headers=headers, json={} if method == "POST" else None)
                with subtests.test(credential=credential, method=method, tail=tail):
                    assert response.status_code in ({403} if sees else {403, 404}), response.text
            watcher = await live.watch(foreign, additional_headers=headers)
            with subtests.test(credential=credential, socket=True):
                if sees:
                    assert '"seq":1' in await asyncio.wait_for(watcher.recv(), HANG_S)
                else:
                    with pytest.raises(ConnectionClosed):
                        await asyncio.wait_for(watcher.recv(), HANG_S)
                    assert (watcher.close_code, watcher.close_reason) == (4004, "submission not found")
        await live.be("owner")
        assert (await live.http.get(f"/api/submissions/{foreign}")).json()["final_status"] is None


@pytest.mark.parametrize("role", Role)
async def test_feeds(start: Any, role: Role, subtests: pytest.Subtests) -> None:
    """Of one's own, and of everybody's: open, or closed with the sentence that REST says."""
    async with start(auth=True) as live:
        await live.be("owner")
        foreign = await live.submit("wait")
        await live.be("me", role)
        mine = await live.submit("wait")
        tokens = await credentials(live, mine)
        for credential in Credential:
            for query, action, expected in (
                ("", Action.LIST_OWN, [mine]),
                ("?all=true", Action.READ_ANY, [foreign, mine]),
            ):
                followed = await feed(live, query, additional_headers={"Authorization": f"Bearer {tokens[credential]}"})
                with subtests.test(credential=credential, query=query):
                    if permissions.may(role, credential, action):
                        await followed.read_until(partial(_is_listed, followed))
                        assert followed.ids == expected
                    else:
                        assert await followed.code() == (4003, permissions.refusal(credential, action))
                await followed.socket.close()


def _is_listed(followed: Feed) -> bool:
    return followed.cursor is not None


async def closed(watcher: Any) -> None:
    """Wait for the server to close a socket."""
    async with asyncio.timeout(HANG_S):
        with suppress(ConnectionClosed):
            async for _ in watcher:
                pass


@pytest.mark.thorough
async def test_lists(start: Any) -> None:
    """A teacher lists everybody's, or one user's in any spelling, with the names; a student only their own."""
    async with start(auth=True) as live:
        numbers = {}
        for name, role in (("ada", Role.STUDENT), ("bob", Role.STUDENT), ("eve", Role.TEACHER)):
            await live.be(name, role)
            numbers[name] = await live.submit()

        async def listed(query: str) -> list[tuple[int, str | None]]:
            response = await live.http.get(f"/api/submissions{query}")
            assert response.status_code == 200, response.text
            return [(row["id"], row.get("user")) for row in response.json()["submissions"]]

        own = [(numbers["eve"], None)]
        assert await listed("") == own
        assert await listed("?all=true") == [(numbers[name], name) for name in ("eve", "bob", "ada")]
        assert await listed("?all=true&limit=1&problem=echo") == [(numbers["eve"], "eve")]
        assert await listed("?user=ADA") == [(numbers["ada"], "ada")]
        unknown = await live.http.get("/api/submissions?user=nobody")
        assert (unknown.status_code, unknown.json()["detail"]) == (404, "There is no user 'nobody'.")
        await live.be("bob")
        assert await listed("?user=Bob") == [(numbers["bob"], "bob")]
        answers = [await live.http.get(f"/api/submissions?user={name}") for name in ("ada", "nobody")]
        assert [answer.status_code for answer in answers] == [403, 403]
        assert answers[0].json() == answers[1].json()


@pytest.mark.thorough
async def test_a_teacher_no_more(start: Any) -> None:
    """What was allowed until now is refused at the next request, and open sockets close soon after."""
    async with start(auth=True, session_check_s=0.05) as live:
        await live.be("owner")
        foreign = await live.submit("wait")
        await live.be("eve", Role.TEACHER)
        headers = {"Authorization": live.http.headers["Authorization"]}
        watcher = await live.watch(foreign, additional_headers=headers)
        await asyncio.wait_for(watcher.recv(), HANG_S)
        await asyncio.to_thread(live.accounts.users.set_role, "eve", Role.STUDENT)
        assert (await live.http.get(f"/api/submissions/{foreign}")).status_code == 404
        assert (await live.http.get("/api/auth/me")).json()["role"] == "student"
        await closed(watcher)
        assert watcher.close_code == 4003
        again = await live.watch(foreign, additional_headers=headers)
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(again.recv(), HANG_S)
        assert again.close_code == 4004
