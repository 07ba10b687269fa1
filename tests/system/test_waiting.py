"""The waits of sections 4 to 7 of the contract, at their real length: half a minute, a minute."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time

import pytest

from .command import Commands
from .scripted import LOG, PONG, TEXT, Answer, Request, Rest, Wire, closing, finish, scripted, some, staying
from .scripted import PING as PROTOCOL_PING
from .watching import check_all_seen, check_backoff, check_connects_are_throttled, polled, watch

pytestmark = pytest.mark.side_by_side


async def test_every_delay_of_the_specification(command: Commands) -> None:
    """A server that accepts and closes sees five reconnects, after 2, 4, 8, 16 and 30 s, ±20 %, then polling."""
    async with scripted(closing(1000), rest=polled("passed", 6)) as server:
        done = await watch(command, server, limit=110)
    assert done.code == 0, done
    assert len(server.connects) == 6
    for attempt, gap in enumerate(server.gaps, 1):
        check_backoff(done, gap, attempt)
    assert done.states().count("reconnecting") == 5
    assert "polling" in done.states()
    check_connects_are_throttled(server)


async def test_unanswered_ping_aborts_the_connection(command: Commands) -> None:
    """After 30 s of silence both pings are sent; after 10 s more the connection is aborted and made again."""
    heard: list[tuple[int, bytes, float]] = []
    opened = ended = 0.0

    async def frozen(wire: Wire) -> None:
        nonlocal opened, ended
        await some(2)(wire)
        opened = time.monotonic()
        with contextlib.suppress(Exception):
            while True:
                heard.append((*await wire.read(), time.monotonic()))
        ended = time.monotonic()

    async with scripted(frozen, finish) as server:
        done = await watch(command, server)
    check_all_seen(done, server, connects=2)
    assert (heard[0][0], heard[0][1]) == (TEXT, b"ping")
    assert heard[1][0] == PROTOCOL_PING
    assert 29 <= heard[0][2] - opened <= 30 + done.allowance_s
    assert 9.5 <= ended - heard[0][2] <= 10 + done.allowance_s
    assert len(heard) == 2, "no close handshake with a dead peer"
    check_backoff(done, server.gaps[0], 1)


async def test_protocol_pong_keeps_the_connection(command: Commands) -> None:
    """A server that answers with RFC 6455's pong only is alive: no reconnect."""

    async def answering(wire: Wire) -> None:
        await some(2)(wire)
        began = time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(44):
                while True:
                    opcode, payload = await wire.read()
                    if opcode == PROTOCOL_PING:
                        await wire.frame(PONG, payload)
        assert time.monotonic() - began >= 43
        await wire.text(*LOG[2:])
        await wire.close(1000)

    async with scripted(answering) as server:
        done = await watch(command, server)
    check_all_seen(done, server, connects=1)


async def test_stable_connection_resets_the_attempts(command: Commands) -> None:
    """A connection that was stable for 30 s resets the attempts, although no new event came."""

    async def stable(wire: Wire) -> None:
        await wire.accept()
        await asyncio.sleep(31)
        await wire.close(1001)

    async with scripted(closing(1001), stable, finish) as server:
        done = await watch(command, server, "--max-attempts", "1")
    check_all_seen(done, server, connects=3)
    check_backoff(done, server.gaps[1], 1)


async def test_machine_that_slept(command: Commands) -> None:
    """After a suspend, seen as a jump of the wall clock, the command reconnects at once and resumes."""
    patch = command.cwd / "sleeping"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(
        "import os, time\nreal = time.time\ntime.time = lambda: real() + (3600 if os.path.exists('slept') else 0)\n"
    )

    slept_at = 0.0

    async def sleep(wire: Wire) -> None:
        nonlocal slept_at
        await some(3)(wire)
        await wire.answered()
        (command.cwd / "slept").touch()
        slept_at = time.monotonic()
        await wire.stay()

    async with scripted(sleep, finish) as server:
        path = {"PYTHONPATH": f"{patch}:{command.env.get('PYTHONPATH', '')}"}
        done = await watch(command, server, env=path)
    check_all_seen(done, server, connects=2)
    assert server.connects[1].at - slept_at <= 5 + done.allowance_s
    assert server.gaps[0] <= done.allowance_s


@pytest.mark.thorough
async def test_handshake_timeout(command: Commands) -> None:
    """A handshake without an answer is given up after 10 s and tried again."""
    async with scripted(some(1), staying, finish) as server:
        done = await watch(command, server)
    check_all_seen(done, server, connects=3)
    assert 9.5 <= server.left[1] - server.connects[1].at <= 10 + done.allowance_s
    check_backoff(done, server.gaps[1], 2)


async def test_polling_slows_down(command: Commands) -> None:
    """Polling starts at every 2 s and slows down to every 10 s."""

    def first(request: Request) -> Answer | None:
        looks = [look.at for look in server.asked("GET", "/api/submissions/1")]
        if request.path == "/api/submissions/1" and len(looks) > 4 and looks[-1] - looks[-2] > 5:
            return Answer(200, {"id": 1, "status": "completed", "final_status": "passed"})
        return None

    async with scripted(closing(1001), rest=Rest(features=None, first=first)) as server:
        done = await watch(command, server, "--max-attempts", "0")
    assert done.code == 0, done
    polls = [request.at for request in server.asked("GET", "/api/submissions/1")]
    gaps = [later - earlier for earlier, later in itertools.pairwise(polls)][2:]
    assert min(gaps) >= 1.9
    assert max(gaps) <= 10 + done.allowance_s
    assert gaps[-1] > 5
    assert len(server.connects) == 1


@pytest.mark.thorough(measured=True)
async def test_plain_heartbeat(command: Commands) -> None:
    """After 30 s of silence the plain view prints a heartbeat on stderr."""

    async def wait(wire: Wire) -> None:
        await asyncio.sleep(34)
        await wire.text(*LOG[3:])
        await wire.close(1000)

    async with scripted(some(3, wait)) as server:
        done = await command("watch", "1", "--plain", "--server", server.url)
    assert done.code == 0
    assert "still" in done.err
