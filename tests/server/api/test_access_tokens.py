"""Access tokens for machines, and links: their lives, on both databases, with a clock that the test controls."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from subcli.server.accounts import permissions
from subcli.server.accounts.permissions import Action, Credential, Role
from subcli.server.observe import audit
from subcli.shared.opaque_token import PATTERN, is_well_formed
from tests.hang import HANG_S
from tests.server.conftest import PASSWORD

pytestmark = pytest.mark.every_backend
DAY_S = 86_400.0


class Calendar:
    """Real time, and some days."""

    def __init__(self) -> None:
        self.days = 0.0

    def __call__(self) -> float:
        return time.time() + self.days * DAY_S


@pytest.fixture
def calendar() -> Calendar:
    return Calendar()


async def create(live: Any, name: str = "ci", scope: str = "submit", days: int = 90) -> dict[str, Any]:
    body = {"name": name, "scope": scope, "expires_in": int(days * DAY_S)}
    response = await live.http.post("/api/auth/tokens", json=body)
    assert response.status_code == 201, response.text
    return dict(response.json())


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.thorough
async def test_a_token_works_for_weeks(
    start: Any, calendar: Calendar, sql: Callable[[str], Sequence[Any]], tmp_path: Path
) -> None:
    """It submits and watches after weeks, its use is recorded, its text is stored nowhere; then it expires."""
    file = tmp_path / "audit.jsonl"
    audit.write_to(str(file))
    async with start(auth=True, clock=calendar) as live:
        await live.be("ada")
        made = await create(live)
        token = made["token"]
        assert re.fullmatch(PATTERN, token)
        assert is_well_formed(token)
        login = live.http.headers.pop("Authorization")
        calendar.days = 89
        live.http.headers.update(bearer(token))
        submission_id = await live.submit()
        assert (await live.ended(submission_id))["final_status"] == "passed"
        watch_token = (await live.http.post(f"/api/submissions/{submission_id}/watch-token")).json()["token"]
        for query, headers in (("", bearer(token)), (f"?token={token}", {}), (f"?token={watch_token}", {})):
            watcher = await live.watch(submission_id, query, additional_headers=headers)
            types = [json.loads(text)["type"] async for text in watcher]
            assert types[-1] == "complete"
        me = (await live.http.get("/api/auth/me")).json()
        assert (me["user"], me["credential"], me["token_name"]) == ("ada", "submit", "ci")
        assert me["expires_at"] == made["expires_at"]
        [(stored, used)] = sql("SELECT hash, last_used_at FROM machine_tokens")
        assert token not in stored
        assert abs(used - calendar()) < 60
        calendar.days = 91
        response = await live.http.get("/api/submissions")
        assert response.status_code == 401
        words = "this access token has expired; create another with `subcli auth token create`"
        assert words in response.json()["detail"]
        watcher = await live.watch(submission_id, additional_headers=bearer(token))
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(watcher.recv(), HANG_S)
        assert (watcher.close_code, watcher.close_reason) == (4003, words)
        live.http.headers["Authorization"] = login
        await live.be("ada")
        # The name is free again, and expired tokens are forgotten in the end.
        assert (await create(live))["name"] == "ci"
        calendar.days = 91 + 90 + 91
        await asyncio.to_thread(live.accounts.delete_expired)
        assert sql("SELECT id FROM machine_tokens") == []
    audit.stop()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    created = [line for line in lines if line["message"] == "access token created"]
    assert [(line["user"], line["token_name"], line["scope"]) for line in created] == [("ada", "ci", "submit")] * 2
    assert token not in file.read_text()


@pytest.mark.thorough
async def test_use_is_recorded_once_a_minute(start: Any, calendar: Calendar, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at each request; and a database that cannot be written refuses nobody."""
    async with start(auth=True, clock=calendar) as live:
        await live.be("ada")
        headers = bearer((await create(live, scope="read"))["token"])
        tokens = live.services.auth.accounts.machine_tokens
        written: list[float] = []
        record = tokens._record_use

        def note(number: int, now: float) -> None:
            written.append(now)
            record(number, now)

        monkeypatch.setattr(tokens, "_record_use", note)
        for _ in range(3):
            assert (await live.http.get("/api/submissions", headers=headers)).status_code == 200
        assert len(written) == 1
        calendar.days += 61 / DAY_S
        assert (await live.http.get("/api/submissions", headers=headers)).status_code == 200
        assert len(written) == 2
        calendar.days += 61 / DAY_S

        def fail(*_arguments: object) -> None:
            raise OperationalError("UPDATE", None, OSError("read-only"))

        monkeypatch.setattr(tokens, "_record_use", record)
        monkeypatch.setattr("subcli.server.accounts.machine_tokens.update", fail)
        assert (await live.http.get("/api/submissions", headers=headers)).status_code == 200


async def closed(watcher: Any) -> None:
    """Wait for the server to close a socket."""
    async with asyncio.timeout(HANG_S):
        with suppress(ConnectionClosed):
            async for _ in watcher:
                pass


async def revoke(live: Any, _token: str) -> None:
    assert (await live.http.delete("/api/auth/tokens/ci")).status_code == 200


async def disable(live: Any, _token: str) -> None:
    await asyncio.to_thread(live.accounts.users.disable, "ada")


@pytest.mark.thorough
@pytest.mark.parametrize("end", [revoke, disable])
async def test_sockets_end_with_their_token(start: Any, end: Any) -> None:
    """4003 soon after; from then on the token is refused."""
    async with start(auth=True, session_check_s=0.05) as live:
        await live.be("ada")
        submission_id = await live.submit("wait")
        token = (await create(live))["token"]
        watcher = await live.watch(submission_id, f"?token={token}")
        await asyncio.wait_for(watcher.recv(), HANG_S)
        await end(live, token)
        await closed(watcher)
        assert watcher.close_code == 4003
        response = await live.http.get("/api/submissions", headers=bearer(token))
        assert response.status_code == 401
        assert "not valid, or was revoked" in response.json()["detail"]


async def test_tokens_are_their_users_own(start: Any) -> None:
    """Listed without texts, revoked by name or id, and only by their user: others' look as if they were absent."""
    async with start(auth=True, machine_tokens=2) as live:
        await live.be("ada")
        made = [await create(live, name) for name in ("ci", "7")]
        listed = (await live.http.get("/api/auth/tokens")).json()["tokens"]
        assert [row["name"] for row in listed] == ["ci", "7"]
        assert "token" not in listed[0]
        full = await live.http.post("/api/auth/tokens", json={"name": "x", "scope": "read"})
        assert (full.status_code, "too many" in full.text) == (409, True)
        taken = await live.http.post("/api/auth/tokens", json={"name": "ci", "scope": "read"})
        assert (taken.status_code, "named ci" in taken.text) == (409, True)
        for body in (
            {"name": "", "scope": "read"},
            {"name": "a b", "scope": "read"},
            {"name": "x", "scope": "write"},
            {"name": "x", "scope": "read", "expires_in": 367 * DAY_S},
            {"name": "x", "scope": "read", "expires_in": 1},
            {"scope": "read"},
        ):
            assert (await live.http.post("/api/auth/tokens", json=body)).status_code == 422, body
        await live.be("bob")
        foreign = [await live.http.delete(f"/api/auth/tokens/{name}") for name in (made[0]["id"], 999, "9" * 30)]
        assert [answer.status_code for answer in foreign] == [404] * 3
        await live.be("ada")
        assert (await live.http.delete(f"/api/auth/tokens/{made[0]['id']}")).json()["name"] == "ci"
        assert (await live.http.delete("/api/auth/tokens/7")).json()["name"] == "7"
        assert (await live.http.get("/api/auth/tokens")).json() == {"tokens": []}


async def test_what_is_no_token(guarded: Any) -> None:
    """Mistyped, cut and made-up ones get one answer."""
    token = (await create(guarded))["token"]
    middle = "B" if token[20] == "A" else "A"
    for text in (token[:-1], token + "0", token[:20] + middle + token[21:], "subcli_pat_", "subcli_pat_" + "é" * 36):
        response = await guarded.http.get("/api/submissions", headers={b"Authorization": f"Bearer {text}".encode()})
        assert response.status_code == 401
        assert "not valid, or was revoked" in response.json()["detail"]


# -- the password ---------------------------------------------------------------------------------


@pytest.mark.thorough
async def test_changing_ones_password(start: Any) -> None:
    """This session and access tokens go on, all others end; wrong old passwords are limited as logins are."""
    async with start(auth=True, logins=3) as live:
        await live.be("ada")
        token = (await create(live))["token"]
        other = await live.log_in("ada")

        async def change(old: str, new: str) -> tuple[int, str]:
            body = {"old_password": old, "new_password": new}
            response = await live.http.post("/api/auth/password", json=body)
            return response.status_code, response.json().get("detail", "")

        assert await change(PASSWORD, "short") == (422, "A password must have between 8 and 1024 characters.")
        assert await change("wrong", "another password") == (403, "The old password is wrong.")
        assert (await change(PASSWORD, "another password"))[0] == 200
        assert (await live.http.get("/api/auth/me")).status_code == 200
        assert (await live.http.get("/api/auth/me", headers=bearer(other["access_token"]))).status_code == 401
        assert (await live.http.get("/api/auth/me", headers=bearer(token))).status_code == 200
        assert (await live.grant(grant_type="password", username="ada", password=PASSWORD)).status_code == 401
        await live.log_in("ada", "another password")
        assert [(await change("wrong", "another password"))[0] for _ in range(3)][-1] == 429


# -- links ----------------------------------------------------------------------------------------


async def link(live: Any, submission_id: int, days: int = 7) -> str:
    body = {"expires_in": int(days * DAY_S)}
    response = await live.http.post(f"/api/submissions/{submission_id}/links", json=body)
    assert response.status_code == 201, response.text
    url = response.json()["url"]
    assert url.startswith(f"{live.url}/submissions/{submission_id}#link=")
    return str(url.partition("#link=")[2])


@pytest.mark.thorough
async def test_a_link_shows_one_submission(start: Any, calendar: Calendar, sql: Callable[[str], Sequence[Any]]) -> None:
    """To anybody, live, until it expires; nothing about the owner, and no other submission, even a teacher's."""
    async with start(auth=True, clock=calendar) as live:
        await live.be("eve", Role.TEACHER)
        submission_id, other = await live.submit(), await live.submit()
        await live.ended(submission_id)
        token = await link(live, submission_id)
        assert token not in str(sql("SELECT hash FROM links"))
        login = live.http.headers.pop("Authorization")
        headers = bearer(token)
        assert (await live.http.get(f"/api/submissions/{submission_id}", headers=headers)).status_code == 200
        assert (await live.http.get(f"/api/submissions/{other}", headers=headers)).status_code == 404
        assert (await live.http.get("/api/submissions?all=true", headers=headers)).status_code == 403
        feed = await live.sockets.enter_async_context(
            connect(
                f"{live.url.replace('http', 'ws')}/ws/feed", additional_headers=headers, proxy=None, open_timeout=HANG_S
            )
        )
        await closed(feed)
        assert (feed.close_code, feed.close_reason) == (4003, permissions.refusal(Credential.LINK, Action.LIST_OWN))
        path = f"/api/submissions/{submission_id}/watch-token"
        watch_token = (await live.http.post(path, headers=headers)).json()["token"]
        for query, more in ((f"?token={watch_token}", {}), ("", headers)):
            watcher = await live.watch(submission_id, query, additional_headers=more)
            assert [json.loads(text)["type"] async for text in watcher][-1] == "complete"
        me = (await live.http.get("/api/auth/me", headers=headers)).json()
        assert (me["user"], me["credential"]) == (f"link to submission {submission_id}", "link")
        calendar.days = 8
        response = await live.http.get(f"/api/submissions/{submission_id}", headers=headers)
        assert (response.status_code, "link has expired" in response.text) == (401, True)
        live.http.headers["Authorization"] = login
        await live.be("eve")
        assert (await live.http.get(f"/api/submissions/{submission_id}/links")).json() == {"links": []}
        await asyncio.to_thread(live.accounts.delete_expired)
        assert sql("SELECT id FROM links") == []


@pytest.mark.thorough
async def test_links_are_revoked_together(start: Any) -> None:
    """Sockets by them close soon after; the owner's go on. There is a limit for each submission."""
    async with start(auth=True, session_check_s=0.05, links=2, connections=1) as live:
        await live.be("ada")
        submission_id = await live.submit("wait")
        owner = await live.watch(
            submission_id, additional_headers={"Authorization": live.http.headers["Authorization"]}
        )
        tokens = [await link(live, submission_id) for _ in range(2)]
        full = await live.http.post(f"/api/submissions/{submission_id}/links", json={})
        assert (full.status_code, "too many links" in full.text) == (409, True)
        # Those who follow a link have places of their own.
        watcher = await live.watch(submission_id, additional_headers=bearer(tokens[0]))
        for each in (owner, watcher):
            assert '"seq":1' in await asyncio.wait_for(each.recv(), HANG_S)
        rows = (await live.http.get(f"/api/submissions/{submission_id}/links")).json()["links"]
        assert len(rows) == 2
        assert (await live.http.delete(f"/api/submissions/{submission_id}/links")).json() == {"revoked": 2}
        await closed(watcher)
        assert watcher.close_code == 4003
        await asyncio.wait_for(await owner.ping(), HANG_S)
        assert (await live.http.delete(f"/api/submissions/{submission_id}/links")).json() == {"revoked": 0}


@pytest.mark.thorough
async def test_a_link_shows_nothing_of_a_disabled_user(guarded: Any) -> None:
    """And again once the user is enabled."""
    submission_id = await guarded.submit()
    headers = bearer(await link(guarded, submission_id))
    seen = []
    for change in (guarded.accounts.users.disable, guarded.accounts.users.enable):
        await asyncio.to_thread(change, "ada")
        seen.append((await guarded.http.get(f"/api/submissions/{submission_id}", headers=headers)).status_code)
    assert seen == [401, 200]
