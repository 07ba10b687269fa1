"""The floods of `bench.floods`, in a process of their own. `python -m bench.attackers URL FLOOD ADDRESSES TOKEN CORE`

Each attacker is a task that begins again whatever happens to it, at one of `ADDRESSES`. The process prints a line when
the attackers have begun, and what they did when its stdin ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeAlias
from urllib.parse import urlsplit

ATTACKERS: Final = 200
NETWORK: Final = "10.77.0.0/16"
PROXY: Final = "127.0.0.1"
PROXIED: Final = "proxied"
ADDRESSES: Final[dict[str, Callable[[int], str]]] = {
    "one": lambda _number: "10.77.0.2",
    "many": lambda number: f"10.77.1.{number + 1}",
    PROXIED: lambda number: f"10.77.1.{number + 1}",
}
"""Of the attackers, by number, all in `NETWORK`; `PROXIED` are those that a proxy forwards."""
_FORM: Final = "Content-Type: application/x-www-form-urlencoded\r\n"
_HANDSHAKE: Final = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NQ==\r\n"
)
_Flood: TypeAlias = Callable[["Attacker"], Awaitable[None]]


class Attacker:
    """One of them, on one connection at a time.

    Args:
        port: of the server.
        number: from 0 up.
        address: to connect from.
        is_proxied: whether a proxy connects, and says that this is the address.
        token: of a user who may log in, and attacks.
        done: counts the answers by status, and what else happened.
    """

    def __init__(self, port: int, number: int, address: str, is_proxied: bool, token: str, done: Counter[str]) -> None:
        self._port = port
        self.number = number
        self._address = PROXY if is_proxied else address
        self._common = "Host: 127.0.0.1\r\n" + (f"X-Forwarded-For: {address}\r\n" if is_proxied else "")
        self.token = token
        self._done = done
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def run(self, flood: _Flood) -> None:
        """Connect and flood, again and again."""
        while True:
            with suppress(OSError, EOFError, ValueError, asyncio.LimitOverrunError):
                opened = asyncio.open_connection("127.0.0.1", self._port, local_addr=(self._address, 0), limit=1 << 18)
                self.reader, self.writer = await opened
                try:
                    await flood(self)
                finally:
                    self.writer.transport.abort()
            self._done["connections lost"] += 1
            await asyncio.sleep(0.01)

    def head(self, method: str, path: str, more: str = "") -> bytes:
        """The head of a request without the empty line at its end."""
        return f"{method} {path} HTTP/1.1\r\n{self._common}{more}".encode()

    async def ask(self, method: str, path: str, more: str = "", body: str = "") -> None:
        """Send a request and read its answer."""
        head = self.head(method, path, f"{more}Content-Length: {len(body)}\r\n\r\n")
        self.writer.write(head + body.encode())
        answer = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        self._done[answer[9:12].decode()] += 1
        length = answer.partition(b"content-length:")[2].partition(b"\r\n")[0]
        await self.reader.readexactly(int(length or b"0"))

    async def stay(self) -> None:
        """Read until the server closes."""
        while await self.reader.read(1 << 16):
            pass

    @property
    def bearer(self) -> str:
        """The header of a logged-in attacker."""
        return f"Authorization: Bearer {self.token}\r\n"


async def _half_open(each: Attacker) -> None:
    await each.stay()


async def _slow_heads(each: Attacker) -> None:
    each.writer.write(each.head("GET", "/healthz", "X-Slow: "))
    while not each.reader.at_eof():
        each.writer.write(b"x")
        await each.writer.drain()
        await asyncio.sleep(0.05)


async def _slow_bodies(each: Attacker) -> None:
    each.writer.write(each.head("POST", "/api/submissions", "Content-Length: 100000\r\n\r\n"))
    while not each.reader.at_eof():
        each.writer.write(b" ")
        await each.writer.drain()
        await asyncio.sleep(0.05)


async def _big_bodies(each: Attacker) -> None:
    await each.ask("POST", "/api/submissions", f"Content-Type: application/json\r\n{each.bearer}", "[" * 2_000_000)


async def _unread(each: Attacker) -> None:
    each.writer.write(each.head("GET", "/static/swagger-ui-bundle.js", "\r\n") * 4)
    await asyncio.sleep(3600)


async def _pipelined(each: Attacker) -> None:
    each.writer.write(each.head("GET", "/healthz", "\r\n") * 500)
    await each.stay()


async def _sockets(each: Attacker) -> None:
    each.writer.write(each.head("GET", f"/ws/submissions/1?token={each.token}", f"{_HANDSHAKE}\r\n"))
    await each.stay()


async def _refused_sockets(each: Attacker) -> None:
    await each.ask("GET", "/ws/submissions/1?token=guessed", _HANDSHAKE)


def _asking(method: str, path: str, more: str = "", body: str = "", *, logged_in: bool = False) -> _Flood:
    """A flood of requests. `{n}` in the body is the attacker's number."""

    async def flood(each: Attacker) -> None:
        headers = more + (each.bearer if logged_in else "")
        while True:
            await each.ask(method, path, headers, body.replace("{n}", str(each.number)))

    return flood


_PASSWORD: Final = "grant_type=password&password=wrong&username="

FLOODS: Final[dict[str, _Flood]] = {
    "half-open connections": _half_open,
    "slow heads": _slow_heads,
    "slow bodies": _slow_bodies,
    "big bodies": _big_bodies,
    "responses that nobody reads": _unread,
    "pipelined requests": _pipelined,
    "wrong passwords, one account": _asking("POST", "/api/auth/token", _FORM, _PASSWORD + "ada"),
    "wrong passwords, many accounts": _asking("POST", "/api/auth/token", _FORM, _PASSWORD + "user{n}"),
    "guessed refresh tokens": _asking(
        "POST", "/api/auth/token", _FORM, "grant_type=refresh_token&refresh_token=guessed{n}"
    ),
    "watch tokens": _asking("POST", "/api/submissions/1/watch-token", logged_in=True),
    "reads of the log": _asking("GET", "/api/submissions/1/events", logged_in=True),
    "/readyz": _asking("GET", "/readyz"),
    "sockets of a user": _sockets,
    "sockets with guessed tokens": _refused_sockets,
}


async def main(url: str, flood: str, addresses: str, token: str, core: str) -> None:
    """Attack until stdin ends."""
    os.sched_setaffinity(0, {int(core)})
    done: Counter[str] = Counter()
    port = urlsplit(url).port
    assert port is not None
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, ended.set)
    tasks = [
        asyncio.create_task(
            Attacker(port, n, ADDRESSES[addresses](n), addresses == PROXIED, token, done).run(FLOODS[flood])
        )
        for n in range(ATTACKERS)
    ]
    print("attacking", flush=True)
    await ended.wait()
    for task in tasks:
        task.cancel()
    print(json.dumps(done), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
