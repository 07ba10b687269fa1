"""Who may do what, for each role and credential; a foreign submission is refused, or looks as if it were absent."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from subcli.server.accounts import permissions
from subcli.server.accounts.permissions import Action, Credential, Role
from tests.hang import HANG_S

pytestmark = pytest.mark.every_backend

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


async def credentials(live: Any, submission_id: int) -> dict[Credential, str]:
    """A credential of each kind, of the user who is logged in."""
    found = {Credential.LOGIN: live.http.headers["Authorization"].removeprefix("Bearer ")}
    for scope in ("submit", "read"):
        made = await live.http.post("/api/auth/tokens", json={"name": f"a {scope}".replace(" ", "-"), "scope": scope})
        assert made.status_code == 201, made.text
        found[Credential(scope)] = made.json()["token"]
    made = await live.http.post(f"/api/submissions/{submission_id}/links", json={})
    assert made.status_code == 201, made.text
    found[Credential.LINK] = made.json()["url"].partition("#link=")[2]
    return found


Call = Callable[[Any, dict[str, str], int], Awaitable[Any]]


def call(method: str, path: str, **more: Any) -> Call:
    async def send(live: Any, headers: dict[str, str], submission_id: int) -> Any:
        return await live.http.request(method, path.format(submission_id), headers=headers, **more)

    return send


COUNT = {"problem": "echo"}
BODY = {"problem": "echo", "language": "python", "source_code": "print()"}
CALLS: list[tuple[Action, int, Call]] = [
    (Action.SUBMIT, 201, call("POST", "/api/submissions", json=BODY)),
    (Action.READ_OWN, 200, call("GET", "/api/submissions/{}")),
    (Action.READ_OWN, 200, call("GET", "/api/submissions/{}/tests")),
    (Action.READ_OWN, 200, call("GET", "/api/submissions/{}/events")),
    (Action.READ_CODE, 200, call("GET", "/api/submissions/{}/files")),
    (Action.READ_OWN, 200, call("POST", "/api/submissions/{}/watch-token")),
    (Action.LIST_OWN, 200, call("GET", "/api/submissions")),
    (Action.CANCEL_OWN, 409, call("POST", "/api/submissions/{}/cancel")),
    (Action.SHARE_OWN, 200, call("GET", "/api/submissions/{}/links")),
    (Action.SHARE_OWN, 201, call("POST", "/api/submissions/{}/links", json={"expires_in": 60})),
    (Action.READ_ANY, 200, call("GET", "/api/submissions?all=true")),
    (Action.READ_ANY, 200, call("GET", "/api/submissions?user=other")),
    (Action.READ_ANY, 200, call("GET", "/api/submissions?all=true&user=other&problem=echo&verdict=passed")),
    (Action.READ_ANY, 200, call("GET", "/api/problems/echo/results")),
    (Action.REJUDGE, 200, call("POST", "/api/rejudges", json=COUNT)),
    (Action.REJUDGE, 200, call("POST", "/api/rejudges", json={"submissions": [10**9]})),
    (Action.REJUDGE, 200, call("POST", "/api/rejudges", json={**COUNT, "dry_run": False, "key": "a-key-of-a-test"})),
    (Action.OWN_ACCOUNT, 200, call("GET", "/api/auth/tokens")),
    (Action.OWN_ACCOUNT, 201, call("POST", "/api/auth/tokens", json={"name": "x", "scope": "read"})),
    (Action.OWN_ACCOUNT, 200, call("DELETE", "/api/auth/tokens/x")),
    (Action.OWN_ACCOUNT, 403, call("POST", "/api/auth/password", json={"old_password": "-", "new_password": "-" * 8})),
]


@pytest.mark.parametrize("role", Role)
async def test_each_role_tries_everything(start: Any, role: Role, subtests: pytest.Subtests) -> None:
    """With each credential: what the table allows works, and everything else is refused with a sentence."""
    async with start(auth=True) as live:
        await live.be("other")
        await live.be("me", role)
        mine = await live.submit()
        await live.ended(mine)
        tokens = await credentials(live, mine)
        del live.http.headers["Authorization"]
        for (action, status, send), credential in itertools.product(CALLS, Credential):
            response = await send(live, {"Authorization": f"Bearer {tokens[credential]}"}, mine)
            is_allowed = permissions.may(role, credential, action)
            with subtests.test(action=action, credential=credential):
                assert response.status_code == (status if is_allowed else 403), response.text
                if not is_allowed:
                    assert response.json()["detail"] == permissions.refusal(credential, action)


READ = [("GET", tail) for tail in ("", "?run=1", "/files", "/tests", "/events", "/events?run=1")]
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
        del live.http.headers["Authorization"]
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
