"""Turns: who is served next, and how much of the processor is left to the judge."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from subcli.server.edge import slow_requests, turns
from subcli.server.edge.turns import Turns, User
from tests.hang import HANG_S


class Served:
    """Who has had a turn, in order."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.order: list[str] = []

    def ask(self, *names: str) -> None:
        """The first letter of a name is the client."""
        for name in names:
            self.turns.ask(name[0], lambda name=name: self.order.append(name))  # type: ignore[misc]

    async def all(self, count: int) -> list[str]:
        async with asyncio.timeout(HANG_S):
            while len(self.order) < count:  # noqa: ASYNC110
                await asyncio.sleep(0)
        return self.order


async def test_client_that_asks_for_little_is_next() -> None:
    """However much others have asked for before, all at once or one after the other."""
    served = Served(Turns(lambda: False))
    served.ask("a1", "a2", "a3", "a4", "b1", "b2", "c1")
    assert await served.all(7) == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]
    served.ask("a5", "a6", "b3", "d1")
    assert (await served.all(11))[7:9] == ["b3", "d1"]


async def test_expensive_turns_are_paid_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client whose requests take 10 ms lets others have ten of 1 ms for each."""
    now = 0.0
    fake = SimpleNamespace(thread_time=lambda: now, process_time=lambda: 0.0, monotonic=lambda: 0.0)
    monkeypatch.setattr(turns, "time", fake)
    served = Served(Turns(lambda: False))

    def slow() -> None:
        nonlocal now
        now += 0.010
        served.order.append("slow")
        if served.order.count("slow") < 3:
            served.turns.ask("slow", slow)

    served.turns.ask("slow", slow)
    served.ask(*(f"b{n}" for n in range(16)))
    order = await served.all(19)
    # The second was asked for before it was known what the first had cost.
    assert [place for place, name in enumerate(order) if name == "slow"] == [0, 3, 15]


async def test_new_clients_without_end_do_not_starve_a_known_one() -> None:
    """Behind a proxy every connection is a client: whoever connects anew for each request must not always be next."""
    served = Served(Turns(lambda: False))
    numbers = itertools.count()

    def come_and_go() -> None:
        served.order.append("new")
        served.turns.ask(f"client {next(numbers)}", come_and_go)

    served.ask("a1")
    await served.all(1)
    for _ in range(10):
        come_and_go()
    served.ask("a2", "a3")
    order = await served.all(200)
    # Eleven clients take turns, and the first two of a's are paid for as everybody's.
    assert [order.count("a2"), order.count("a3")] == [1, 1]


async def test_client_that_was_quiet_comes_before_those_that_ask_without_end() -> None:
    """It has some turns to its credit, so it does not wait for one of each of the others."""
    served = Served(Turns(lambda: False))

    def again(name: str) -> None:
        served.order.append(name)
        if len(served.order) < 400:
            served.turns.ask(name, lambda: again(name))

    served.ask("q1")
    for number in range(20):
        again(f"busy {number}")
    await served.all(200)
    before = len(served.order)
    served.ask("q2", "q3", "q4")
    await served.all(400)
    assert [served.order.index(name) - before for name in ("q2", "q3", "q4")] == [0, 1, 2]


def strangers(served: Served, count: int, most: int) -> None:
    """Clients that each ask again as soon as they are served, until so many turns have been served."""

    def again(name: str) -> None:
        served.order.append(name)
        if len(served.order) < most:
            served.turns.ask(name, lambda: again(name))

    for number in range(count):
        again(f"stranger {number}")


@pytest.fixture
def fixed_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every turn takes a millisecond."""
    ticks = itertools.count()
    fake = SimpleNamespace(thread_time=lambda: next(ticks) / 1000, process_time=lambda: 0.0, monotonic=lambda: 0.0)
    monkeypatch.setattr(turns, "time", fake)


@pytest.mark.usefixtures("fixed_turns")
async def test_user_is_next_however_many_strangers_ask() -> None:
    """Also one who submits and watches once for each request of a stranger, for as long as they attack."""
    served = Served(Turns(lambda: False))
    strangers(served, 200, 4000)
    waited = []
    for _ in range(15):
        await served.all(len(served.order) + 200)
        for action in ("submit", "watch", "close"):
            asked_at = len(served.order)
            served.turns.ask(User("ada"), lambda name=action: served.order.append(name))  # type: ignore[misc]
            await served.all(asked_at + 2)
            waited.append(served.order.index(action, asked_at) - asked_at)
    # One turn may be under way.
    assert max(waited) <= 1


async def test_user_is_one_client_on_all_connections() -> None:
    """Whoever asks 50 times at once has one turn while another user has one."""
    served = Served(Turns(lambda: False))
    for number in range(50):
        served.turns.ask(User("mallory"), lambda number=number: served.order.append(f"m{number}"))  # type: ignore[misc]
    for number in range(3):
        served.turns.ask(User("ada"), lambda number=number: served.order.append(f"a{number}"))  # type: ignore[misc]
    assert (await served.all(53))[:6] == ["m0", "a0", "m1", "a1", "m2", "a2"]


@pytest.mark.usefixtures("fixed_turns")
async def test_user_is_next_when_strangers_come_back() -> None:
    """Strangers who were quiet have turns to their credit, but a user who has just submitted has more."""
    served = Served(Turns(lambda: False))
    strangers(served, 200, 400)
    await served.all(599)
    # Meanwhile, others are served.
    strangers(served, 1, 700)
    await served.all(700)
    for _ in range(20):
        served.turns.ask(User("ada"), lambda: served.order.append("earlier"))
    await served.all(len(served.order) + 20)
    for number in range(200):
        name = f"stranger {number}"
        served.turns.ask(name, lambda name=name: served.order.append(name))  # type: ignore[misc]
    served.turns.ask(User("ada"), lambda: served.order.append("now"))
    count = len(served.order)
    assert (await served.all(count + 201))[count] == "now"


@pytest.mark.usefixtures("fixed_turns")
async def test_users_do_not_starve_strangers() -> None:
    """Someone who wants to log in has a turn for every ten of each user."""
    served = Served(Turns(lambda: False))

    def again(name: str) -> None:
        served.order.append(name)
        served.turns.ask(User(name), lambda: again(name))

    again("ada")
    again("bob")
    served.ask("s1")
    await served.all(600)
    served.ask("s2")
    await served.all(700)
    served.ask("s3")
    order = await served.all(800)
    assert [order.index(name) - asked_at <= 21 for name, asked_at in (("s2", 600), ("s3", 700))] == [True, True]


async def test_what_a_turn_begins_comes_before_the_next() -> None:
    """Otherwise all requests would be begun before the first is answered."""
    served = Served(Turns(lambda: False))

    async def answer() -> None:
        served.order.append("answered")

    tasks = []
    served.turns.ask("a", lambda: tasks.append(asyncio.ensure_future(answer())))
    served.ask("b1")
    assert await served.all(2) == ["answered", "b1"]


@pytest.mark.parametrize(("judging", "rested"), [(True, [0.01, 0.02]), (False, [])])
async def test_rest_while_judging(monkeypatch: pytest.MonkeyPatch, judging: bool, rested: list[float]) -> None:
    """What 5 and 10 ms of work have taken of the processor is three times as long the judge's, rests included."""
    now = wall = 0.0
    fake = SimpleNamespace(thread_time=lambda: now, process_time=lambda: now, monotonic=lambda: wall)
    monkeypatch.setattr(turns, "time", fake)
    loop = asyncio.get_running_loop()
    rests: list[float] = []

    def later(delay: float, callback: Callable[[], None]) -> Any:
        nonlocal wall
        rests.append(delay)
        wall += delay
        return loop.call_soon(callback)

    monkeypatch.setattr(loop, "call_later", later)
    served = Served(Turns(lambda: judging))

    def work(seconds: float) -> None:
        nonlocal now, wall
        now, wall = now + seconds, wall + seconds
        served.order.append("worked")

    for seconds in (0.001, 0.004, 0.010, 0.001):
        served.turns.ask("a", lambda seconds=seconds: work(seconds))  # type: ignore[misc]
    await served.all(4)
    assert rests == pytest.approx(rested)


async def test_dead_connection_has_no_turn(start: Callable[..., Any]) -> None:
    """A client that is gone when its turn comes costs nothing, and the next is served."""
    async with start() as live:
        host, _, port = live.url.removeprefix("http://").partition(":")
        for _ in range(20):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 100)
            writer.transport.abort()
        assert (await live.http.get("/healthz")).status_code == 200


HEADS = {
    "header lines": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: y\r\n" * 128 + b"\r\n",
    "fields of a query": b"GET /healthz?" + b"a&" * 3000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "cookies": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: " + b"a=b;" * 3000 + b"\r\n\r\n",
    "addresses": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: " + b"1," * 3000 + b"\r\n\r\n",
    "escapes": b"GET /" + b"%41" * 3000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
}


async def test_heads_that_take_long_to_parse(live: Any, subtests: pytest.Subtests) -> None:
    """Refused, whatever they consist of, before a million of such parts has arrived."""
    host, _, port = live.url.removeprefix("http://").partition(":")
    for name, head in HEADS.items():
        with subtests.test(name):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(head)
            assert (await reader.read(12)) == b"HTTP/1.1 400"
            writer.close()


async def write_for_ever(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b" " * 10_000)
        await writer.drain()


async def test_refused_before_the_body(start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may not submit, or has submitted too often, hears so before the body; what follows is not read for ever."""
    monkeypatch.setattr(slow_requests, "_MAX_DISCARDED_BYTES", 100_000)
    async with start(auth=True, submits=1) as live:
        live.add_user("ada")
        await live.be("ada")
        await live.submit("wait")
        host, _, port = live.url.removeprefix("http://").partition(":")
        bearer = live.http.headers["Authorization"].encode()
        for authorization, status in ((b"Bearer x", b"401"), (bearer, b"429")):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(
                b"POST /api/submissions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                b"Authorization: %s\r\nContent-Length: 2000000\r\n\r\n" % authorization
            )
            async with asyncio.timeout(HANG_S):
                assert (await reader.read(12)) == b"HTTP/1.1 " + status
                with pytest.raises(ConnectionError):
                    await write_for_ever(writer)
            writer.close()
