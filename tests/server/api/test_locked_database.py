"""While another program holds SQLite's write lock for longer than anybody waits for it."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import make_url
from websockets.exceptions import ConnectionClosed

from subcli.shared.protocol import CloseCode
from tests.server.conftest import complete


async def test_nothing_but_a_sentence_in_the_log(
    start: Callable[..., Any], database: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Requests get 503 and may try again, a socket gets 1011, and judging goes on afterwards. None logs a traceback."""
    monkeypatch.setattr("subcli.server.log.database.LOCK_TIMEOUT_S", 0.05)
    caplog.set_level(logging.INFO)
    holder = sqlite3.connect(make_url(database).database or "", isolation_level=None)
    async with start(auth=True, lease_s=3600.0) as live:
        granted = await live.be("ada")
        number = await live.submit("wait")
        once = (await live.http.post(f"/api/submissions/{number}/watch-token")).json()["token"]
        await live.until(lambda: live.judge.running == 1)
        caplog.clear()
        holder.execute("BEGIN IMMEDIATE")
        body = {"problem": "echo", "language": "python", "source_code": "print()"}
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
        holder.execute("ROLLBACK")
        holder.close()
        await live.judge.events.put(complete())
        assert (await live.ended(number))["final_status"] == "passed"
    assert "database is locked" in caplog.text
    assert [each.getMessage() for each in caplog.records if each.exc_info] == []
