"""While another program holds SQLite's write lock for longer than anybody waits for it."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any

import pytest
from sqlalchemy import event, make_url
from sqlalchemy.pool import Pool
from websockets.exceptions import ConnectionClosed

from subcli.shared.protocol import CloseCode
from tests.server.conftest import complete

_PATIENT_MS = 10_000


@pytest.fixture
def locked(database: str) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """A context that holds the lock. In it, whoever begins a transaction waits for milliseconds instead of 10 s."""
    wait_ms = _PATIENT_MS

    def set_wait(connection: sqlite3.Connection, *_more: object) -> None:
        connection.execute(f"PRAGMA busy_timeout = {wait_ms}")

    @contextmanager
    def held() -> Iterator[None]:
        nonlocal wait_ms
        with closing(sqlite3.connect(make_url(database).database or "", isolation_level=None)) as holder:
            set_wait(holder)
            holder.execute("BEGIN IMMEDIATE")
            wait_ms = 20
            yield
            wait_ms = _PATIENT_MS

    event.listen(Pool, "checkout", set_wait)
    yield held
    event.remove(Pool, "checkout", set_wait)


async def test_nothing_but_a_sentence_in_the_log(
    start: Callable[..., Any],
    locked: Callable[[], AbstractContextManager[None]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Requests get 503 and may try again, a socket gets 1011, and judging goes on afterwards. None logs a traceback."""
    caplog.set_level(logging.INFO)
    async with start(auth=True, lease_s=3600.0) as live:
        granted = await live.be("ada")
        number = await live.submit("wait")
        once = (await live.http.post(f"/api/submissions/{number}/watch-token")).json()["token"]
        await live.until(lambda: live.judge.running == 1)
        body = {"problem": "echo", "language": "python", "source_code": "print()"}
        with locked():
            refused = [
                await live.http.post("/api/submissions", json=body),
                await live.http.post(f"/api/submissions/{number}/cancel"),
                await live.http.post("/api/auth/tokens", json={"name": "ci", "scope": "read"}),
                await live.http.post("/api/auth/logout"),
                await live.grant(grant_type="refresh_token", refresh_token=granted["refresh_token"]),
                await live.grant(grant_type="password", username="ada", password="correct horse"),
            ]
            assert [(each.status_code, each.headers.get("Retry-After")) for each in refused] == [(503, "2")] * 6
            watching = await live.watch(number, f"?token={once}")
            with pytest.raises(ConnectionClosed):
                await watching.recv()
            assert watching.close_code == CloseCode.INTERNAL_ERROR
        await live.judge.events.put(complete())
        assert (await live.ended(number))["final_status"] == "passed"
    assert "database is locked" in caplog.text
    assert [each.getMessage() for each in caplog.records if each.exc_info] == []
