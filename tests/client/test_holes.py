"""A hole in seq whose log cannot be read: the replay of the next connection closes it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from subcli.client.connection import connect
from subcli.core.recovery import moves
from subcli.core.watch import Watch
from subcli.settings.config import load
from subcli.shared.messages import Message
from tests.hang import HANG_S
from tests.system.scripted import Answer, Request, Rest, Wire, scripted

EVENTS: list[dict[str, Any]] = [
    {"type": "status_update", "submission_id": 1, "seq": 1, "status": "testing"},
    *({"type": "test_result", "submission_id": 1, "seq": n, "test_name": f"t{n}", "status": "passed"} for n in (2, 3)),
    {"type": "complete", "submission_id": 1, "seq": 4, "final_status": "passed", "summary": {}},
]


@pytest.mark.parametrize("status", [400, 403, 404, 500])
async def test_replay_closes_a_hole(status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the log answers, as long as the submission is there."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(moves, "wait", lambda *_: 0.01)

    async def with_a_hole(wire: Wire) -> None:
        await wire.accept()
        await wire.text(EVENTS[0], EVENTS[2])
        await wire.stay()

    async def replay(wire: Wire) -> None:
        assert wire.after_seq == 1
        await wire.accept()
        await wire.text(*EVENTS[1:])
        await wire.close(1000)

    def no_log(request: Request) -> Answer | None:
        return Answer(status, {"detail": "no log"}) if request.path.endswith("/events") else None

    async with scripted(with_a_hole, replay, rest=Rest(first=no_log)) as server:
        settings = load({"server": server.url}, {}, Path("/"), None)
        async with connect(settings) as client, asyncio.timeout(HANG_S):
            shown = [event async for event in client.session(Watch(1)).events() if isinstance(event, Message)]
    assert [event.seq for event in shown] == [1, 2, 3, 4]
