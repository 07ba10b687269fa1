"""Section 7 of the contract over real sockets: connections that end, and sockets that are given up.

Checked of each row: the exit code, what was shown (each event once and in order), how often and when the
client connected, and that it asked for what it had missed. Delays are the contract's own.
"""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.hang import HANG_S

from .command import Commands, Done
from .scripted import (
    CLOSE,
    LOG,
    Answer,
    Request,
    Rest,
    Script,
    Server,
    Wire,
    closing,
    finish,
    gone,
    refusing,
    scripted,
    some,
)
from .timing import Ending
from .watching import check_all_seen, check_backoff, check_failed, polled, watch

pytestmark = pytest.mark.side_by_side


# -- closes that a reconnect cures ------------------------------------------------------------------


async def test_close_1000_after_complete(command: Commands) -> None:
    """1000 after `complete` ends the command with the verdict, after a single connect."""
    async with scripted(finish) as server:
        check_all_seen(await watch(command, server), server, connects=1)


async def test_no_close_after_complete(command: Commands) -> None:
    """Without a close after `complete` the client closes with 1000 itself and exits within a second."""
    heard: list[tuple[int, bytes]] = []
    endings: list[Ending] = []
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def never_closing(wire: Wire) -> None:
        await some(5)(wire)
        await wire.answered()
        endings.append(Ending(await started))
        await wire.text(LOG[5])
        while not heard or heard[-1][0] != CLOSE:
            heard.append(await wire.read())
        await wire.stay()

    async def pid(process: asyncio.subprocess.Process) -> None:
        started.set_result(process.pid)

    async with scripted(never_closing) as server:
        done = await watch(command, server, during=pid)
    check_all_seen(done, server, connects=1)
    assert heard[-1] == (CLOSE, b"\x03\xe8")
    assert await endings[0].took_s() <= 1.0


async def close_without_end(wire: Wire) -> None:
    """A close frame, and then neither an end nor another word."""
    await wire.frame(CLOSE, b"\x03\xe9")
    await wire.stay()


async def half_a_frame(wire: Wire) -> None:
    """The first half of a text frame, then FIN."""
    await wire.raw(b"\x81\x7e\x01\x00" + b'{"type": "test_')


async def reset(wire: Wire) -> None:
    """RST in the middle."""
    await wire.answered()
    wire.reset()


ENDINGS = {
    **{str(code): closing(code, "because", upto=3) for code in (1000, 1001, 1011, 1012, 1013, 1014, 4000, 4499)},
    "close without a code": closing(None, upto=3),
    "FIN": some(3),
    "close frame without an end": some(3, close_without_end),
    "half a frame": some(3, half_a_frame),
    "RST": some(3, reset),
}


SEEN_AGAIN = ("1000", "1001", "1013", "1014", "4000", "4499")
"""To the client they are like 1011 and 1012; `tests/core` has them all."""


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(script, id=name, marks=pytest.mark.thorough if name in SEEN_AGAIN else ())
        for name, script in ENDINGS.items()
    ],
)
async def test_lost_connection_is_resumed(command: Commands, script: Script) -> None:
    """A connection that ends at seq 3 is followed by one that resumes after 3."""
    async with scripted(script, finish) as server:
        done = await watch(command, server)
    check_all_seen(done, server, connects=2)
    assert [connect.query("after_seq") for connect in server.connects] == [None, "3"]
    check_backoff(done, server.gaps[0], 1)
    looked = [request.query("after_seq") for request in server.asked("GET", "/api/submissions/1/events")]
    assert "3" in looked, "what was missed is asked for before the next connect"


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_refused_handshake_is_retried(command: Commands, status: int) -> None:
    """The handshake is answered 500, 502, 503 or 504: once more after the backoff, with the attempt shown."""
    async with scripted(refusing(status), finish) as server:
        done = await watch(command, server)
    check_all_seen(done, server, connects=2)
    again = next(line for line in done.of("connection") if line["state"] == "reconnecting")
    assert (again["attempt"], again["code"]) == (1, status)
    assert 1.6 <= again["delay_s"] <= 2.4
    check_backoff(done, server.gaps[0], 1)


async def test_verdict_in_the_log(command: Commands) -> None:
    """A close without `complete` whose verdict is in the log already needs no other connect."""
    async with scripted(closing(1000, upto=3), rest=Rest(log=LOG)) as server:
        done = await watch(command, server)
    check_all_seen(done, server, connects=1)
    assert done.ended - server.connects[0].at <= 0.5 + done.allowance_s


async def test_server_away_for_a_while(command: Commands) -> None:
    """A server that goes away, port and all, and comes back is connected to again."""
    async with scripted(some(3)) as server:
        port = server.port
        process = await command.start("watch", "1", "--json", "--server", server.url)
        assert process.stdout is not None
        lines: list[bytes] = []
        while not lines or json.loads(lines[-1]).get("seq") != 3:
            lines.append(await process.stdout.readline())
    while json.loads(lines[-1]).get("attempt") != 2:
        lines.append(await process.stdout.readline())
    back = Server(Rest(), [finish])
    ends: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.append(writer)
        await back.serve(reader, writer)

    listening = await asyncio.start_server(serve, "127.0.0.1", port)
    out, err = await asyncio.wait_for(process.communicate(), HANG_S)
    listening.close()
    for writer in ends:
        writer.transport.abort()
    await asyncio.sleep(0)
    assert process.returncode is not None
    done = Done(process.returncode, b"".join([*lines, out]).decode(), err.decode())
    check_all_seen(done, back, connects=1)
    attempts = [line["attempt"] for line in done.of("connection") if line["state"] == "reconnecting"]
    assert attempts[:2] == [1, 2]


# -- giving up the socket ---------------------------------------------------------------------------


@pytest.mark.thorough
async def test_attempts_used_up_then_polling(command: Commands) -> None:
    """Once the attempts are used up REST is polled, stderr says so, and its verdict decides."""
    async with scripted(closing(1011, "broken"), rest=polled("passed", 2)) as server:
        done = await command("watch", "1", "--plain", "--max-attempts", "1", "--server", server.url)
    assert done.code == 0, done
    assert len(server.connects) == 2
    assert "polling instead" in done.err
    polls = [request.at for request in server.asked("GET", "/api/submissions/1")][-2:]
    assert 1.9 <= polls[1] - polls[0] <= 2.4 + done.allowance_s


async def test_neither_socket_nor_rest_answers(command: Commands) -> None:
    """Without a socket and without REST: exit 6, and how to resume."""
    rest = Rest(first=lambda request: Answer(cut=True) if request.path != "/api/info" else None)
    async with scripted(some(3), gone, rest=rest) as server:
        done = await watch(command, server, "--max-attempts", "1")
    check_failed(done, 6, "network", "subcli watch")
    assert done.seqs == [1, 2, 3]


async def test_max_attempts_zero(command: Commands) -> None:
    """--max-attempts 0 gives up the socket at the first failure, and polling still brings the verdict."""
    async with scripted(closing(1012), rest=polled("failed", 1)) as server:
        done = await watch(command, server, "--max-attempts", "0")
    assert done.code == 1, done
    assert len(server.connects) == 1
    assert "polling" in done.states()


async def not_http(wire: Wire) -> None:
    """Bytes that are not HTTP."""
    await wire.raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")


async def wrong_accept(wire: Wire) -> None:
    """101, from something that is not a WebSocket server."""
    await wire.raw(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: nonsense\r\n\r\n"
    )


NO_WEBSOCKET = {
    **{str(status): refusing(status) for status in (200, 204, 400, 405, 426)},
    "not HTTP": not_http,
    "wrong Sec-WebSocket-Accept": wrong_accept,
}


@pytest.mark.parametrize("script", NO_WEBSOCKET.values(), ids=NO_WEBSOCKET.keys())
async def test_handshake_that_no_retry_cures(command: Commands, script: Script) -> None:
    """A handshake answered by something else than a WebSocket is tried twice, then REST is polled for the verdict."""
    async with scripted(script, rest=polled("passed", 2)) as server:
        done = await watch(command, server)
    assert done.code == 0, done
    assert len(server.connects) == 2
    assert "polling" in done.states()
    check_backoff(done, server.gaps[0], 1)


async def test_redirect_to_another_origin(command: Commands) -> None:
    """A redirect elsewhere is not followed, by socket or REST: the other server never hears of us."""
    async with scripted(finish) as elsewhere:

        def moved(request: Request) -> Answer | None:
            return Answer(307, None, {"Location": f"{elsewhere.url}{request.target}"})

        ws = elsewhere.url.replace("http", "ws") + "/ws/submissions/1"
        async with scripted(refusing(302, Location=ws), rest=polled("passed", 2)) as server:
            done = await watch(command, server)
        assert done.code == 0
        assert len(server.connects) == 2
        async with scripted(finish, rest=Rest(first=moved)) as server:
            status = await command("status", "1", "--server", server.url)
        assert status.code == 6
        assert "redirect" in status.err
    assert elsewhere.requests == []


async def test_redirect_within_the_origin(command: Commands) -> None:
    """A redirect within the origin is followed, however its address is written, and the token goes along."""
    for target in ("/ws/elsewhere", "{url}/ws/elsewhere"):

        async def moved(wire: Wire, target: str = target) -> None:
            await wire.refuse(307, Location=target.format(url=server.url))

        def also(request: Request) -> Answer | None:
            if request.path == "/api/submissions/1":
                return Answer(308, None, {"Location": "/api/submissions/1/"})
            return Answer(200, {"id": 1, "status": "testing"}) if request.path == "/api/submissions/1/" else None

        async with scripted(moved, finish, rest=Rest(first=also)) as server:
            done = await watch(command, server)
            status = await command("status", "1", "--server", server.url)
        check_all_seen(done, server, connects=2)
        assert status.code == 0, status
        assert server.connects[1].path == "/ws/elsewhere"
        assert {request.headers["authorization"] for request in server.requests} == {
            f"Bearer {command.env['SUBCLI_TOKEN']}"
        }


@pytest.mark.parametrize("location", ["http://[", "ws://[::1", "javascript:alert(1)", "//", "http://127.0.0.1:99999/"])
async def test_invalid_redirect_location(command: Commands, location: str) -> None:
    """A Location that is not a valid URL is reported as a redirect that cannot be followed: exit 6."""
    rest = Rest(first=lambda request: Answer(307, None, {"Location": location}))
    async with scripted(refusing(307, Location=location), rest=rest) as server:
        done = await watch(command, server, "--max-attempts", "0")
        status = await command("status", "1", "--server", server.url)
    assert (done.code, status.code) == (6, 6), (done, status)
    assert "redirect" in status.err
    assert len(server.asked("GET", "/api/submissions/1")) <= 12, "not asked again and again"
