"""Section 7 of the contract over real sockets: connections that end, and sockets that are given up.

Checked of each row: the exit code, what was shown (each event once and in order), how often and when the
client connected, and that it asked for what it had missed. Delays are the contract's own.
"""

from __future__ import annotations

import asyncio
import functools
import time

import pytest

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
from .together import SLACK_S, Batch, together
from .watching import check_all_seen, check_backoff, check_failed, polled, watch

row = Batch()


@pytest.mark.long
@pytest.mark.timeout(170)
@pytest.mark.parametrize("part", range(3))
async def test_connections_that_end(command: Commands, part: int) -> None:
    """These rows of section 7, some of them beside each other."""
    await together(row.part(part, 3), command)


# -- closes that a reconnect cures ------------------------------------------------------------------


@row
async def complete_then_1000(command: Commands) -> None:
    """1000 after `complete`: exit by the verdict, at once, after a single connect."""
    async with scripted(finish) as server:
        check_all_seen(await watch(command, server), server, connects=1)


@row
async def complete_and_no_close(command: Commands) -> None:
    """`complete` and then no close: the client closes by itself with 1000 and exits within a second."""
    heard: list[tuple[int, bytes]] = []
    sent = 0.0

    async def never_closing(wire: Wire) -> None:
        nonlocal sent
        await some(6)(wire)
        sent = time.monotonic()
        while not heard or heard[-1][0] != CLOSE:
            heard.append(await wire.read())
        await wire.stay()

    async with scripted(never_closing) as server:
        done = await watch(command, server)
        ended = time.monotonic()
    check_all_seen(done, server, connects=1)
    assert heard[-1] == (CLOSE, b"\x03\xe8")
    assert ended - sent < 1.0 + SLACK_S


async def retried(script: Script, command: Commands) -> None:
    """The connection ends at seq 3; the next one goes on after 3."""
    async with scripted(script, finish) as server:
        done = await watch(command, server)
    check_all_seen(done, server, connects=2)
    assert [connect.query("after_seq") for connect in server.connects] == [None, "3"]
    check_backoff(server.gaps[0], 1)
    looked = [request.query("after_seq") for request in server.asked("GET", "/api/submissions/1/events")]
    assert "3" in looked, "what was missed is asked for before the next connect"


async def close_without_end(wire: Wire) -> None:
    """A close frame, and then neither an end nor another word."""
    await wire.frame(CLOSE, b"\x03\xe9")
    await wire.stay()


async def half_a_frame(wire: Wire) -> None:
    """The first half of a text frame, then FIN."""
    await wire.raw(b"\x81\x7e\x01\x00" + b'{"type": "test_')


async def reset(wire: Wire) -> None:
    """RST in the middle."""
    await asyncio.sleep(0.2)
    wire.reset()


for _script in (
    *(closing(code, "because", upto=3) for code in (1000, 1001, 1011, 1012, 1013, 1014, 4000, 4499)),
    closing(None, upto=3),
    some(3),
    some(3, close_without_end),
    some(3, half_a_frame),
    some(3, reset),
):
    row(functools.wraps(retried)(functools.partial(retried, _script)))


async def refused_then_cured(status: int, command: Commands) -> None:
    """The handshake is answered 500, 502, 503 or 504: once more after the backoff, with the attempt shown."""
    async with scripted(refusing(status), finish) as server:
        done = await watch(command, server)
    check_all_seen(done, server, connects=2)
    again = next(line for line in done.of("connection") if line["state"] == "reconnecting")
    assert (again["attempt"], again["code"]) == (1, status)
    assert 1.6 <= again["delay_s"] <= 2.4
    check_backoff(server.gaps[0], 1)


for _status in (500, 502, 503, 504):
    row(functools.wraps(refused_then_cured)(functools.partial(refused_then_cured, _status)))


@row
async def verdict_in_the_log(command: Commands) -> None:
    """A close without `complete` while the verdict is in the log already: done at once, without another connect."""
    async with scripted(closing(1000, upto=3), rest=Rest(log=LOG)) as server:
        done = await watch(command, server)
    check_all_seen(done, server, connects=1)
    assert done.ended - server.connects[0].at < 0.5 + SLACK_S


@row
async def server_away_for_a_while(command: Commands) -> None:
    """The server dies, port and all, and comes back: refused connections are outlived."""
    async with scripted(some(3)) as server:
        before = server.port
        process = await command.start("watch", "1", "--json", "--server", server.url)
        await server.connected.wait()
        await asyncio.sleep(0.2)
    await asyncio.sleep(2.6)
    back = Server(Rest(), [finish])
    listening = await asyncio.start_server(back.serve, "127.0.0.1", before)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    listening.close()
    done = Done(process.returncode or 0, out.decode(), err.decode(), 0)
    check_all_seen(done, back, connects=1)
    attempts = [line["attempt"] for line in done.of("connection") if line["state"] == "reconnecting"]
    assert attempts[:2] == [1, 2]


# -- giving up the socket ---------------------------------------------------------------------------


@row
async def attempts_used_up_then_polling(command: Commands) -> None:
    """Attempts used up: REST is polled, which is said on stderr, and its verdict decides."""
    async with scripted(closing(1011, "broken"), rest=polled("passed", 2)) as server:
        done = await command("watch", "1", "--plain", "--max-attempts", "1", "--server", server.url)
    assert done.code == 0, done
    assert len(server.connects) == 2
    assert "polling instead" in done.err
    polls = [request.at for request in server.asked("GET", "/api/submissions/1")][-2:]
    assert 1.9 <= polls[1] - polls[0] <= 3 + SLACK_S


@row
async def nothing_answers_any_more(command: Commands) -> None:
    """The socket is lost for good and REST is silent too: exit 6, and how to take it up again."""
    rest = Rest(first=lambda request: Answer(cut=True) if request.path != "/api/info" else None)
    async with scripted(some(3), gone, rest=rest) as server:
        done = await watch(command, server, "--max-attempts", "1")
    check_failed(done, 6, "network", "subcli watch")
    assert done.seqs == [1, 2, 3]


@row
async def no_attempts_at_all(command: Commands) -> None:
    """--max-attempts 0: the first trouble gives up the socket, and polling still brings the verdict."""
    async with scripted(closing(1012), rest=polled("failed", 1)) as server:
        done = await watch(command, server, "--max-attempts", "0")
    assert done.code == 1, done
    assert len(server.connects) == 1
    assert "polling" in done.states()


async def incurable(script: Script, command: Commands) -> None:
    """A handshake answered by what no retry cures: twice, then polling; REST's verdict decides."""
    async with scripted(script, rest=polled("passed", 2)) as server:
        done = await watch(command, server)
    assert done.code == 0, done
    assert len(server.connects) == 2
    assert "polling" in done.states()
    check_backoff(server.gaps[0], 1)


async def not_http(wire: Wire) -> None:
    """Bytes that are no HTTP."""
    await wire.raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")


async def wrong_accept(wire: Wire) -> None:
    """101, from something that is no WebSocket server."""
    await wire.raw(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: nonsense\r\n\r\n"
    )


for _script in (*(refusing(status) for status in (200, 204, 400, 405, 426)), not_http, wrong_accept):
    row(functools.wraps(incurable)(functools.partial(incurable, _script)))


@row
async def redirect_to_another_origin(command: Commands) -> None:
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


@row
async def redirect_within_the_origin(command: Commands) -> None:
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


@row
async def locations_that_are_no_addresses(command: Commands) -> None:
    """A Location that cannot be read is a redirect to nowhere, not a fault of ours."""

    async def led_to(location: str) -> None:
        rest = Rest(first=lambda request: Answer(307, None, {"Location": location}))
        async with scripted(refusing(307, Location=location), rest=rest) as server:
            done = await watch(command, server, "--max-attempts", "0")
            status = await command("status", "1", "--server", server.url)
        assert (done.code, status.code) == (6, 6), (location, done, status)
        assert "redirect" in status.err
        assert len(server.asked("GET", "/api/submissions/1")) <= 12, "not asked again and again"

    locations = ("http://[", "ws://[::1", "javascript:alert(1)", "//", "http://127.0.0.1:99999/")
    await asyncio.gather(*map(led_to, locations))
