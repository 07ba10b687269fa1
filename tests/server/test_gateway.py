"""The WebSocket half over a real server and real sockets (contract, section 6)."""

from __future__ import annotations

import json
from typing import Any


async def messages(socket: Any) -> list[dict[str, Any]]:
    return [json.loads(text) async for text in socket]


async def test_every_event_then_close_1000(live: Any) -> None:
    """A watcher gets every event from 1 on, numbered without holes, then close 1000."""
    submission_id = await live.submit()
    socket = await live.watch(submission_id)
    events = await messages(socket)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["type"] for event in events][-2:] == ["status_update", "complete"]
    assert {event["submission_id"] for event in events} == {submission_id}
    assert all("timestamp" in event for event in events)
    assert socket.close_code == 1000
