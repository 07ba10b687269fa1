"""The gateway on a real server with real sockets (contract, section 6)."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from subcli.server.log.records import Append
from tests.hang import HANG_S
from tests.server.conftest import update

pytestmark = pytest.mark.every_backend


async def messages(socket: ClientConnection) -> list[dict[str, Any]]:
    return [json.loads(text) async for text in socket]


async def next_event(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(HANG_S):
        return dict(json.loads(await socket.recv()))


async def closed(socket: ClientConnection, seconds: float = HANG_S) -> tuple[int | None, str | None]:
    async with asyncio.timeout(seconds):
        with suppress(ConnectionClosed):
            async for _ in socket:
                pass
    return socket.close_code, socket.close_reason


def seqs(events: Sequence[dict[str, Any]]) -> list[int]:
    return [event["seq"] for event in events]


async def test_every_event_then_close_1000(live: Any) -> None:
    """A watcher gets every event from 1 on without gaps, then close 1000."""
    submission_id = await live.submit()
    watcher = await live.watch(submission_id)
    events = await messages(watcher)
    assert seqs(events) == list(range(1, len(events) + 1))
    assert [event["type"] for event in events][-2:] == ["status_update", "complete"]
    assert {event["submission_id"] for event in events} == {submission_id}
    assert all(event["timestamp"].endswith("Z") for event in events)
    assert watcher.close_code == 1000


async def test_late_watcher_gets_the_same_events(live: Any) -> None:
    """A client that connects after the verdict gets the same texts, and so does the log over REST."""
    submission_id = await live.submit()
    early = [text async for text in await live.watch(submission_id)]
    late = [text async for text in await live.watch(submission_id, "?token=whatever")]
    page = (await live.http.get(f"/api/submissions/{submission_id}/events")).json()
    assert early == late
    assert [json.loads(text) for text in early] == page["events"]


async def test_resuming_after_a_position(live: Any) -> None:
    """`after_seq=N` sends the events after N; after the last one only close 1000, and 4010 beyond it."""
    submission_id = await live.submit()
    whole = await messages(await live.watch(submission_id))
    rest = await messages(await live.watch(submission_id, "?token=&after_seq=3"))
    assert rest == whole[3:]
    for after, code in ((len(whole), 1000), (len(whole) + 1, 4010), (10**17, 4010)):
        watcher = await live.watch(submission_id, f"?after_seq={after}")
        with suppress(ConnectionClosedError):
            assert await messages(watcher) == []
        assert watcher.close_code == code


async def test_resuming_another_log(live: Any) -> None:
    """Event 1 names the log; with another name there is no event, only close 4010."""
    submission_id = await live.submit()
    first, *rest = await messages(await live.watch(submission_id))
    assert not any("epoch" in event for event in rest)
    assert await messages(await live.watch(submission_id, f"?after_seq=1&epoch={first['epoch']}")) == rest
    for query in ("?epoch=another", "?after_seq=1&epoch=another"):
        watcher = await live.watch(submission_id, query)
        with pytest.raises(ConnectionClosedError):
            await anext(aiter(watcher))
        assert (watcher.close_code, watcher.close_reason) == (4010, "the records of this submission were replaced")


async def test_watcher_of_a_log_that_is_replaced(live: Any, sql: Any) -> None:
    """A backup is restored under it, and its id given to another submission: 4010, and none of its events."""
    submission_id = await live.submit("wait")
    watcher = await live.watch(submission_id)
    await live.until(lambda: live.judge.running == 1)
    live.judge.events.put_nowait(update("building"))
    live.judge.events.put_nowait(update("testing"))
    seen = [await next_event(watcher) for _ in range(3)]
    # The log of the other one is shorter at first; its next event has the seq that the watcher waits for.
    sql(f"DELETE FROM events WHERE submission_id = {submission_id} AND seq > 1")
    sql(f"UPDATE submissions SET epoch = 'another', last_seq = 1, fence = 9 WHERE id = {submission_id}")
    store, journal = live.services.store, live.services.journal
    await journal.append(Append(submission_id, [update(f"other {number}") for number in range(4)]))
    assert await closed(watcher) == (4010, "the records of this submission were replaced")
    assert [event["status"] for event in seen] == ["pending", "building", "testing"]
    assert store.lookup.ends([submission_id])[submission_id].last_seq == 5
    # Nor does the worker of the old one write into the new one's log.
    await live.until(lambda: live.judge.running == 0)
    assert store.lookup.ends([submission_id])[submission_id].last_seq == 5


async def test_events_are_delivered_live(live: Any) -> None:
    """Two watchers, one of them late, get each event when it happens, with the same seq."""
    submission_id = await live.submit("wait")
    first = await live.watch(submission_id)
    assert (await next_event(first))["status"] == "pending"
    await live.judge.events.put({"type": "status_update", "status": "building"})
    building = await next_event(first)
    second = await live.watch(submission_id)
    assert (await next_event(second))["seq"] == 1
    assert await next_event(second) == building
    for name in ("One", "Two"):
        await live.judge.events.put({"type": "test_result", "test_name": name, "status": "passed"})
        event = await next_event(first)
        assert event["test_name"] == name
        assert await next_event(second) == event
    await live.judge.events.put({"type": "complete", "final_status": "passed", "summary": {}})
    assert (await next_event(first))["type"] == (await next_event(second))["type"] == "complete"
    assert await closed(first) == await closed(second) == (1000, "")


async def test_unknown_submission_is_4004(live: Any, subtests: pytest.Subtests) -> None:
    """An unknown submission or a malformed id: accepted, then closed with 4004."""
    await live.submit()
    for path in ("9999", "abc", "-1", "1.5", "9" * 40, "%2e%2e", "", "1/2", "٣"):
        with subtests.test(path):
            assert await closed(await live.watch(path)) == (4004, "submission not found")


async def test_unknown_path_is_404(live: Any) -> None:
    """It is the path that is wrong, such as a prefix that is there twice, and not the submission: HTTP, not 4004."""
    for path in ("/other", "/api/ws/submissions/1", "/ws", "/"):
        with pytest.raises(InvalidStatus) as refused:
            await connect(live.url.replace("http", "ws") + path, compression=None, proxy=None, open_timeout=HANG_S)
        assert refused.value.response.status_code == 404
        assert json.loads(refused.value.response.body or b"") == {"detail": "Not Found"}


async def test_handshake_without_upgrade_is_426(live: Any) -> None:
    """As a proxy makes one: it is not the submission that is missing."""
    submission_id = await live.submit()
    for number in (submission_id, submission_id + 99):
        response = await live.http.get(f"/ws/submissions/{number}?after_seq=3")
        assert (response.status_code, response.headers["upgrade"]) == (426, "websocket")
        assert "Upgrade" in response.json()["detail"]


async def test_invalid_position_is_1008(live: Any, subtests: pytest.Subtests) -> None:
    """An `after_seq` that is not a number: 1008, and the reason names it."""
    submission_id = await live.submit()
    for after in ("-1", "x", "", "1.5", "9" * 30):
        with subtests.test(after):
            code, reason = await closed(await live.watch(submission_id, f"?after_seq={after}"))
            assert (code, "after_seq" in str(reason)) == (1008, True)


@pytest.mark.thorough
async def test_eleventh_connection_is_refused(live: Any) -> None:
    """Ten connections per submission; the eleventh is told when to retry, and is accepted once one has closed."""
    submission_id = await live.submit("wait")
    watchers = [await live.watch(submission_id) for _ in range(10)]
    for watcher in watchers:
        await next_event(watcher)
    assert await closed(await live.watch(submission_id)) == (4029, "retry_after=5")
    other = await live.watch(await live.submit())
    assert await next_event(other)
    await watchers[3].close()
    await live.until(lambda: live.services.metrics.connections == 10)
    assert (await next_event(await live.watch(submission_id)))["seq"] == 1


@pytest.mark.parametrize("ping", ["ping", '{"type":"ping"}', '{ "type" : "ping", "id": 7 }'])
async def test_both_pings_are_answered(live: Any, ping: str) -> None:
    """The bare ping of the specification's client and the JSON one get the text `pong`."""
    watcher = await live.watch(await live.submit("wait"))
    await next_event(watcher)
    await watcher.send(ping)
    async with asyncio.timeout(HANG_S):
        assert await watcher.recv() == "pong"


async def test_unknown_messages_are_ignored(live: Any) -> None:
    """Binary, malformed and unknown messages are ignored; the socket stays open."""
    watcher = await live.watch(await live.submit("wait"))
    await next_event(watcher)
    deep = "[" * 20_000 + '"ping"'
    for strange in (b"ping", "{", "[]", '"ping"', '{"type":"other"}', '{"type":["ping"]}', "PING", "", deep):
        await watcher.send(strange)
    await watcher.send("ping")
    async with asyncio.timeout(HANG_S):
        assert await watcher.recv() == "pong"


async def test_pongs_and_events_do_not_mix(live: Any) -> None:
    """Under a flood of pings every message stays whole, and every event arrives."""
    submission_id = await live.submit("wait")
    watcher = await live.watch(submission_id)

    async def ping() -> None:
        for _ in range(300):
            await watcher.send("ping")

    async def judge() -> None:
        for number in range(300):
            await live.judge.events.put(
                {"type": "test_result", "test_name": f"{number}", "status": "passed", "output": "x" * 500}
            )
        await live.judge.events.put({"type": "complete", "final_status": "passed", "summary": {}})

    pinging, judging = asyncio.create_task(ping()), asyncio.create_task(judge())
    texts = [text async for text in watcher]
    await asyncio.gather(judging, pinging, return_exceptions=True)
    events = [json.loads(text) for text in texts if text != "pong"]
    assert seqs(events) == list(range(1, len(events) + 1))
    assert len(events) >= 302


@pytest.mark.thorough
async def test_silent_client_is_closed_with_1001(start: Callable[..., Any]) -> None:
    """Without any message for the connection timeout: 1001. One that pings stays, though connected for longer."""
    async with start(idle_s=1.0) as live:
        submission_id = await live.submit("wait")
        pinging = await live.watch(submission_id)
        await next_event(pinging)
        silent = asyncio.create_task(closed(await live.watch(submission_id)))
        while not silent.done():
            await pinging.send("ping")
            while await pinging.recv() != "pong":
                pass
        assert await silent == (1001, "no message for 1 s")
        assert pinging.close_code is None


async def test_too_large_message_is_1009(live: Any) -> None:
    """A client's message over 64 KB closes with 1009; one of 64 KB does not."""
    watcher = await live.watch(await live.submit("wait"))
    await watcher.send("x" * 65_536)
    await watcher.send("ping")
    while await watcher.recv() != "pong":
        pass
    await watcher.send("x" * 65_537)
    assert (await closed(watcher))[0] == 1009


@pytest.mark.thorough
async def test_internal_error_is_1011(live: Any, sql: Callable[[str], Any]) -> None:
    """If the server fails after the handshake, the client gets a close code."""
    submission_id = await live.submit()
    await live.ended(submission_id)
    sql("ALTER TABLE events RENAME TO elsewhere")
    assert (await closed(await live.watch(submission_id)))[0] == 1011


async def test_stopping_server_closes_with_1012(start: Callable[..., Any]) -> None:
    """Watchers of a server that stops are told that it restarts."""
    async with start() as live:
        watcher = await live.watch(await live.submit("wait"))
        await next_event(watcher)
        live.server.should_exit = True
        assert (await closed(watcher))[0] == 1012


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example:8000"},
    ],
)
async def test_other_web_pages_are_refused(live: Any, headers: dict[str, str]) -> None:
    """A page of another origin, or one that uses DNS rebinding, gets nothing."""
    submission_id = await live.submit()
    options: dict[str, Any] = {"additional_headers": {k: v for k, v in headers.items() if k != "Host"}}
    if "Host" in headers:
        port = int(live.url.rsplit(":", 1)[1])
        options.update(host="127.0.0.1", port=port)
        watcher = await live.watch(submission_id, url=f"ws://{headers['Host']}", **options)
    else:
        watcher = await live.watch(submission_id, **options)
    assert (await closed(watcher))[0] == 4003


async def test_own_page_may_watch(live: Any) -> None:
    """A page that this server served may open the socket; one on another port is not its own."""
    watcher = await live.watch(await live.submit(), additional_headers={"Origin": live.url})
    assert (await messages(watcher))[-1]["type"] == "complete"


def raw_watcher(url: str, submission_id: int, query: str = "") -> socket.socket:
    """A WebSocket that completes the handshake and then reads nothing."""
    host, port = url.removeprefix("http://").split(":")
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect((host, int(port)))
    key = base64.b64encode(os.urandom(16)).decode()
    raw.sendall(
        f"GET /ws/submissions/{submission_id}{query} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    return raw


MASKED: Final = bytes(4)


async def shaken(live: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A WebSocket without a library, on a running submission."""
    raw = raw_watcher(live.url, await live.submit("wait"))
    raw.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=raw)
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


@pytest.mark.thorough
async def test_flooding_client_does_not_starve_others(live: Any) -> None:
    """Messages that arrived at once are not all answered in one turn of the event loop."""
    reader, writer = await shaken(live)
    count, turns, answers = 3000, 0, b""

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    turning = asyncio.create_task(turn())
    writer.write((b"\x81\x84" + MASKED + b"ping") * count)
    async with asyncio.timeout(HANG_S):
        while answers.count(b"\x81\x04pong") < count:
            answers += await reader.read(65_536)
    turning.cancel()
    writer.close()
    assert turns > count // 2


@pytest.mark.thorough
async def test_pongs_do_not_pile_up_for_slow_readers(start: Callable[..., Any]) -> None:
    """Pongs are not buffered for a peer that does not read them."""
    # However long it takes here, the server does not disconnect the peer meanwhile.
    async with start(send_s=600) as live:
        _, writer = await shaken(live)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        # The kernel then keeps little of it for us: 300 x 200 pongs are more than its buffers and a megabyte.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(300):
            writer.write((b"\x89\xfd" + MASKED + bytes(125)) * 200)
            await writer.drain()
        (peer,) = [each for each in live.server.server_state.connections if hasattr(each, "close_now")]
        assert peer.transport.get_write_buffer_size() < 1024 * 1024
        writer.transport.abort()


@pytest.mark.thorough
async def test_slow_reader_is_closed_with_1013(start: Callable[..., Any]) -> None:
    """It is closed with 1013 after a bounded time, and never delays other watchers."""
    async with start(send_s=0.3) as live:
        submission_id = await live.submit("wait")
        frozen = raw_watcher(live.url, submission_id)
        healthy = await live.watch(submission_id, max_queue=None)
        count = 200
        for number in range(count):
            live.judge.events.put_nowait(
                {"type": "test_result", "test_name": f"{number}", "status": "passed", "output": "x" * 60_000}
            )
        live.judge.events.put_nowait({"type": "complete", "final_status": "passed", "summary": {}})
        async with asyncio.timeout(HANG_S):
            events = await messages(healthy)
        assert seqs(events) == list(range(1, len(events) + 1))
        assert len(events) > count
        await live.until(lambda: len(live.server.server_state.tasks) == 0)
        frozen.settimeout(0)
        received = b""
        while True:
            try:
                chunk = frozen.recv(1 << 20)
            except BlockingIOError:
                await asyncio.sleep(0.001)
                continue
            except ConnectionResetError:
                break
            received += chunk
            if not chunk or received.endswith(b"reading too slowly"):
                break
        frozen.close()
        assert received.endswith((1013).to_bytes(2, "big") + b"reading too slowly")
        assert len(received) < 1_000_000


async def test_frozen_reader_is_disconnected(start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that does not even read the close frame is disconnected, so connections do not pile up."""
    monkeypatch.setattr("subcli.server.gateway.socket._SLOW_READER_LINGER_S", 0.2)
    async with start(send_s=0.2) as live:
        submission_id = await live.submit("wait")
        frozen = raw_watcher(live.url, submission_id)
        for number in range(200):
            live.judge.events.put_nowait(
                {"type": "test_result", "test_name": f"{number}", "status": "passed", "output": "x" * 60_000}
            )

        def sockets() -> int:
            return sum(hasattr(c, "close_now") for c in live.server.server_state.connections)

        await live.until(lambda: sockets() == 1)
        await live.until(lambda: sockets() == 0, seconds=10)
        frozen.close()
