"""Sockets that are open when their session ends, by whatever means and on whichever gateway."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from websockets.exceptions import ConnectionClosed

from subcli.server.accounts.accounts import Accounts
from subcli.server.accounts.permissions import Role
from subcli.server.accounts.revocation import OpenSessions
from subcli.server.log.store import Store
from tests.hang import HANG_S

pytestmark = pytest.mark.every_backend


def bearer(granted: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {granted['access_token']}"}


async def log_out(live: Any, granted: dict[str, Any]) -> None:
    assert (await live.http.post("/api/auth/logout", headers=bearer(granted))).status_code == 200


async def log_out_with_refresh_token(live: Any, granted: dict[str, Any]) -> None:
    response = await live.http.post("/api/auth/logout", json={"refresh_token": granted["refresh_token"]})
    assert response.status_code == 200


async def disable_user(live: Any, _granted: dict[str, Any]) -> None:
    """What `subcli user disable` does, in a process of its own."""
    await asyncio.to_thread(live.accounts.users.disable, "bob")


async def reset_password(live: Any, _granted: dict[str, Any]) -> None:
    """What `subcli user passwd` does, in a process of its own."""
    await asyncio.to_thread(live.accounts.users.set_password, "bob", "another hash")


async def reuse_refresh_token(live: Any, granted: dict[str, Any]) -> None:
    for _ in range(2):
        await live.grant(grant_type="refresh_token", refresh_token=granted["refresh_token"])


async def watch(live: Any, submission_id: int, granted: dict[str, Any]) -> Any:
    watcher = await live.watch(submission_id, f"?token={granted['access_token']}")
    assert json.loads(await watcher.recv())["seq"] == 1
    return watcher


@pytest.mark.thorough
@pytest.mark.parametrize(
    "end", [log_out, log_out_with_refresh_token, disable_user, reset_password, reuse_refresh_token]
)
async def test_sockets_end_with_their_session(start: Callable[..., Any], bus: str | None, end: Any) -> None:
    """4003 on every gateway, however the session ended; other users watch on.

    Several gateways share a database only with Redis; without it there is one.
    """
    limits = {"auth": True, "session_check_s": 0.05, "refresh_grace_s": 0.0}
    async with start(**limits) as one, start(**limits) as two:
        gateways = [one] if bus is None else [one, two]
        watchers = {}
        for name in ("ada", "bob"):
            granted = await one.be(name)
            submission_id = await one.submit("wait")
            watchers[name] = [await watch(live, submission_id, granted) for live in gateways]
        await end(one, granted)
        for watcher in watchers["bob"]:
            async with asyncio.timeout(HANG_S):
                with suppress(ConnectionClosed):
                    async for _ in watcher:
                        pass
            assert (watcher.close_code, watcher.close_reason) == (4003, "session ended")
        for watcher in watchers["ada"]:
            await asyncio.wait_for(await watcher.ping(), HANG_S)


@pytest.mark.thorough
async def test_sockets_survive_a_database_that_does_not_answer(
    guarded: Any, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Sessions are checked again later, and what ended meanwhile is found then. The operator is told."""
    accounts: Accounts = guarded.accounts
    user = accounts.users.find("ada")
    assert user is not None
    session = accounts.open_session(user.id)
    sessions = OpenSessions(store, accounts, 0.001)
    failed = asyncio.Event()
    loop = asyncio.get_running_loop()
    open_among = accounts.open_among

    def fail(_ids: object) -> set[str]:
        loop.call_soon_threadsafe(failed.set)
        raise OperationalError("SELECT", None, OSError("no connection"))

    monkeypatch.setattr(accounts, "open_among", fail)
    running = asyncio.create_task(sessions.run())
    ended = asyncio.Event()
    with sessions.watched(session.id, ended.set):
        await asyncio.wait_for(failed.wait(), HANG_S)
        assert not ended.is_set()
        accounts.end_session(session.id)
        monkeypatch.setattr(accounts, "open_among", open_among)
        await asyncio.wait_for(ended.wait(), HANG_S)
    running.cancel()
    assert "the sessions of open sockets cannot be checked: no connection" in caplog.messages


async def test_socket_that_is_closed_during_the_check(
    guarded: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not told that its session has ended, and the sockets of other sessions are."""
    sessions = OpenSessions(store, guarded.accounts, 3600)
    loop = asyncio.get_running_loop()
    asked, answering = asyncio.Event(), threading.Event()

    def wait(_ids: object) -> dict[str, Role]:
        loop.call_soon_threadsafe(asked.set)
        answering.wait(30)
        return {}

    monkeypatch.setattr(guarded.accounts, "open_among", wait)
    told: list[str] = []
    with sessions.watched("other", partial(told.append, "other")):
        with sessions.watched("closed", partial(told.append, "closed")):
            checking = asyncio.create_task(sessions.check())
            await asyncio.wait_for(asked.wait(), HANG_S)
        answering.set()
        await checking
    assert told == ["other"]


async def test_more_sessions_than_one_query_holds(guarded: Any, store: Store) -> None:
    """Each is asked about, and only those that have ended are told."""
    accounts: Accounts = guarded.accounts
    user = accounts.users.find("ada")
    assert user is not None
    session = accounts.open_session(user.id)
    sessions = OpenSessions(store, accounts, 3600)
    told: list[int | str] = []
    with ExitStack() as sockets:
        for number in (*range(1100), "open", "open too"):
            name = f"{number:032x}" if isinstance(number, int) else session.id
            sockets.enter_context(sessions.watched(name, partial(told.append, number)))
        await sessions.check()
        assert told.count(0) == 1
        assert set(told) == set(range(1100))
        accounts.end_session(session.id)
        told.clear()
        await sessions.check()
        assert {"open", "open too"} <= set(told)
