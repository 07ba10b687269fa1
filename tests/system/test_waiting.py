"""The waits of sections 4 to 7 at their real length, beside each other: half a minute, a minute."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time

import pytest

from .command import Commands
from .scripted import LOG, PONG, TEXT, Answer, Request, Rest, Wire, closing, finish, scripted, some, staying
from .scripted import PING as PROTOCOL_PING
from .together import SLACK_S, Batch, together
from .watching import check_all_seen, check_backoff, check_no_storm, polled, watch

patience = Batch()


@pytest.mark.long
@pytest.mark.timeout(170)
async def test_patience(command: Commands) -> None:
    """All of them at once; the longest takes a little more than a minute."""
    await together(patience.scenarios, command, limit_s=120)


@patience
async def every_delay_of_the_specification(command: Commands) -> None:
    """A server that accepts and closes: five reconnects after 2, 4, 8, 16 and 30 s, ±20 %, then polling."""
    async with scripted(closing(1000), rest=polled("passed", 6)) as server:
        done = await watch(command, server, limit=110)
    assert done.code == 0, done
    assert len(server.connects) == 6
    for attempt, gap in enumerate(server.gaps, 1):
        check_backoff(gap, attempt)
    assert done.states().count("reconnecting") == 5
    assert "polling" in done.states()
    check_no_storm(server)


@patience
async def dead_after_a_ping(command: Commands) -> None:
    """Nothing for 30 s: `ping`, bare and RFC 6455's; 10 s of silence after it: aborted at once, and reconnected."""
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
    assert 29 <= heard[0][2] - opened <= 30 + SLACK_S
    assert 9.5 <= ended - heard[0][2] <= 10 + SLACK_S
    assert len(heard) == 2, "no close handshake with the dead"
    check_backoff(server.gaps[0], 1)


@patience
async def any_byte_is_a_sign_of_life(command: Commands) -> None:
    """A server that answers a ping only with RFC 6455's pong, or with its first byte, is alive: no reconnect."""

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


@patience
async def a_stable_connection_starts_the_attempts_again(command: Commands) -> None:
    """After 30 s of a stable connection the attempts begin again, although no new event came."""

    async def stable(wire: Wire) -> None:
        await wire.accept()
        await asyncio.sleep(31)
        await wire.close(1001)

    async with scripted(closing(1001), stable, finish) as server:
        done = await watch(command, server, "--max-attempts", "1")
    check_all_seen(done, server, connects=3)
    check_backoff(server.gaps[1], 1)


@patience
async def the_machine_slept(command: Commands) -> None:
    """The wall clock jumps while the monotonic clock does not: reconnect at once, from where it was."""
    patch = command.cwd / "sleeping"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(
        "import os, time\nreal = time.time\ntime.time = lambda: real() + (3600 if os.path.exists('slept') else 0)\n"
    )

    async def sleep(wire: Wire) -> None:
        await some(3)(wire)
        await asyncio.sleep(1)
        (command.cwd / "slept").touch()
        await wire.stay()

    async with scripted(sleep, finish) as server:
        path = {"PYTHONPATH": f"{patch}:{command.env.get('PYTHONPATH', '')}"}
        done = await watch(command, server, env=path)
    check_all_seen(done, server, connects=2)
    assert server.connects[1].at - server.connects[0].at <= 1 + 5 + SLACK_S
    assert server.gaps[0] < 0.5 + SLACK_S


@patience
async def a_handshake_without_an_answer(command: Commands) -> None:
    """A server that freezes in the handshake: given up after 10 s, then tried again."""
    async with scripted(some(1), staying, finish) as server:
        done = await watch(command, server)
    check_all_seen(done, server, connects=3)
    assert 9.5 <= server.left[1] - server.connects[1].at <= 10 + SLACK_S
    check_backoff(server.gaps[1], 2)


@patience
async def polling_slows_down(command: Commands) -> None:
    """Polling begins every 2 s and slows down to 10 s."""
    began = time.monotonic()

    def first(request: Request) -> Answer | None:
        if request.path == "/api/submissions/1" and time.monotonic() - began > 40:
            return Answer(200, {"id": 1, "status": "completed", "final_status": "passed"})
        return None

    async with scripted(closing(1001), rest=Rest(features=None, first=first)) as server:
        done = await watch(command, server, "--max-attempts", "0")
    assert done.code == 0, done
    polls = [request.at for request in server.asked("GET", "/api/submissions/1")]
    gaps = [later - earlier for earlier, later in itertools.pairwise(polls)][2:]
    assert min(gaps) >= 1.9
    assert max(gaps) <= 10 + SLACK_S
    assert gaps[-1] > 5
    assert len(server.connects) == 1


@patience
async def plain_heartbeat(command: Commands) -> None:
    """After 30 s of silence the plain view says on stderr that it is still going on."""

    async def wait(wire: Wire) -> None:
        await asyncio.sleep(34)
        await wire.text(*LOG[3:])
        await wire.close(1000)

    async with scripted(some(3, wait)) as server:
        done = await command("watch", "1", "--plain", "--server", server.url)
    assert done.code == 0
    assert "still" in done.err
