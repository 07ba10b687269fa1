"""`/ws/feed` on a real server with real sockets (docs/protocol.md, "Following many submissions")."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any, Final

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from subcli.server.accounts.permissions import Role
from subcli.server.log.records import Append
from tests.hang import HANG_S
from tests.sampling import first
from tests.server.conftest import Live, complete, make_problem, result, update

pytestmark = pytest.mark.every_backend

OTHER: Final = dataclasses.replace(make_problem(), id=8, slug="other")


class Feed:
    """A client of a feed, which sorts what it gets."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.announced: list[dict[str, Any]] = []
        self.cursor: str | None = None
        self.texts: dict[int, list[str]] = {}
        self.dropped: dict[int, int] = {}

    async def read_until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(HANG_S):
            while not done():
                self._sort(str(await self.socket.recv()))

    def _sort(self, text: str) -> None:
        message = json.loads(text)
        number = message.get("submission_id")
        if message["type"] == "feed":
            self.announced += message["submissions"]
            assert ("cursor" in message) is not message.get("more", False)
            self.cursor = message.get("cursor", self.cursor)
        elif message["type"] == "dropped":
            self.dropped[number] = message["code"]
        else:
            assert number in {each["submission_id"] for each in self.announced} | self.followed
            self.texts.setdefault(number, []).append(text)

    followed: frozenset[int] = frozenset()

    async def follow(self, *positions: dict[str, Any]) -> None:
        self.followed |= {each["submission_id"] for each in positions}
        await self.socket.send(json.dumps({"type": "follow", "submissions": positions}))

    @property
    def ids(self) -> list[int]:
        return [each["submission_id"] for each in self.announced]

    def has_ended(self, ids: Collection[int]) -> bool:
        return all('"complete"' in self.texts.get(each, [""])[-1] for each in ids)

    async def code(self) -> tuple[int | None, str | None]:
        async with asyncio.timeout(HANG_S):
            with suppress(ConnectionClosed):
                async for _ in self.socket:
                    pass
        return self.socket.close_code, self.socket.close_reason


async def feed(live: Live, query: str = "", **options: Any) -> Feed:
    url = f"{live.url.replace('http', 'ws')}/ws/feed{query}"
    options = {"compression": None, "proxy": None, **options}
    return Feed(await live.sockets.enter_async_context(connect(url, open_timeout=HANG_S, **options)))


async def append(live: Live, submission_id: int, *batch: Any) -> None:
    await live.services.journal.append(Append(submission_id, batch))


async def log(live: Live, submission_id: int) -> list[str]:
    """The log of a submission that has ended, as a single socket sends it."""
    return [str(text) async for text in await live.watch(submission_id)]


async def waiting(live: Live, count: int = 1, **more: Any) -> list[int]:
    """Submissions that wait: the judge is busy with the first one until the test ends it."""
    return [await live.submit("wait", **more) for _ in range(count)]


async def test_all_that_run(live: Live) -> None:
    """The feed announces what runs, sends each log from its beginning, then live; what has ended is not in it."""
    ended = await live.submit()
    await live.ended(ended)
    numbers = await waiting(live, 4)
    followed = await feed(live)
    await followed.read_until(lambda: followed.cursor is not None)
    assert followed.ids == numbers
    assert {each["problem"] for each in followed.announced} == {"echo"}
    for number in numbers[1:]:
        await append(live, number, update("building"), result("One"))
    for number in numbers[1:]:
        await append(live, number, complete())
    await followed.read_until(lambda: followed.has_ended(numbers[1:]))
    for number in numbers[1:]:
        assert followed.texts[number] == await log(live, number)


async def test_new_submissions_join(live: Live) -> None:
    """A feed without anything says so; what is submitted later joins by itself, whenever it ends."""
    followed = await feed(live)
    await followed.read_until(lambda: followed.cursor is not None)
    assert followed.announced == []
    quick = [await live.submit() for _ in range(3)]
    await followed.read_until(lambda: followed.has_ended(quick) and len(followed.ids) == 3)
    assert followed.ids == quick
    assert followed.texts[quick[-1]] == await log(live, quick[-1])


async def test_only_one_problem(start: Callable[..., Any]) -> None:
    """With `problem`, by slug or id, only submissions to this one; an unknown one is closed with 4004."""
    async with start(problems={"echo": make_problem(), "other": OTHER}) as live:
        first, second = await feed(live, "?problem=other"), await feed(live, "?problem=7")
        others = [await live.submit(problem="other"), await live.submit(problem="other")]
        echo = await live.submit()
        await first.read_until(lambda: first.has_ended(others))
        await second.read_until(lambda: second.has_ended([echo]))
        assert (first.ids, second.ids) == (others, [echo])
        assert await (await feed(live, "?problem=nothing")).code() == (4004, "problem not found")


@pytest.mark.thorough
async def test_resuming(live: Live) -> None:
    """With cursor and positions nothing is lost and nothing comes twice, whatever happened meanwhile."""
    first, *numbers = await waiting(live, 3)
    followed = await feed(live)
    await followed.read_until(lambda: followed.cursor is not None and len(followed.texts) == 3)
    for number in numbers:
        await append(live, number, update("building"))
    await followed.read_until(lambda: all(len(followed.texts[number]) >= 2 for number in numbers))
    await followed.socket.close()
    # Meanwhile one goes on, one ends, and another one is submitted and ends.
    await append(live, numbers[0], result("One"))
    await append(live, numbers[1], complete())
    [hasty] = await waiting(live)
    await append(live, hasty, complete())
    again = await feed(live, f"?cursor={followed.cursor}")
    again.texts = {number: list(texts) for number, texts in followed.texts.items()}
    await again.follow(*[{"submission_id": n, "after_seq": len(followed.texts[n])} for n in (first, *numbers)])
    await again.read_until(lambda: again.has_ended([numbers[1], hasty]) and len(again.texts[numbers[0]]) >= 3)
    assert again.ids == [hasty]
    await append(live, numbers[0], complete())
    await again.read_until(lambda: again.has_ended(numbers))
    for number in (*numbers, hasty):
        assert [json.loads(text)["seq"] for text in again.texts[number]] == list(range(1, len(again.texts[number]) + 1))
        assert again.texts[number] == await log(live, number)
    assert again.cursor != followed.cursor


@pytest.mark.thorough
async def test_many_positions(live: Live) -> None:
    """Several messages of positions; one that was announced already, or asked for twice, is followed once."""
    numbers = await waiting(live, 12)
    followed = await feed(live)
    for number in numbers:
        await followed.follow({"submission_id": number})
        await followed.follow({"submission_id": number, "after_seq": 0, "epoch": None})
    await followed.read_until(lambda: len(followed.texts) == len(numbers) and followed.cursor is not None)
    for number in numbers[1:]:
        await append(live, number, complete())
    await followed.read_until(lambda: followed.has_ended(numbers[1:]))
    assert [len(set(texts)) for texts in followed.texts.values()] == [len(texts) for texts in followed.texts.values()]


async def test_position_that_comes_late(live: Live) -> None:
    """A submission that has ended on this connection is not sent again, whatever the client asks."""
    _, number = await waiting(live, 2)
    followed = await feed(live)
    await followed.read_until(lambda: number in followed.texts)
    await append(live, number, complete())
    await followed.read_until(lambda: followed.has_ended([number]))
    told = list(followed.texts[number])
    await followed.follow({"submission_id": number}, {"submission_id": 99_999})
    await followed.read_until(lambda: 99_999 in followed.dropped)
    await followed.socket.send("ping")
    async with asyncio.timeout(HANG_S):
        while (text := await followed.socket.recv()) != "pong":
            followed._sort(str(text))
    assert followed.texts[number] == told


async def test_dropped(guarded: Live) -> None:
    """Others' submissions and nonexistent ones look alike; another log, or a position beyond its end, is 4010."""
    foreign = await guarded.submit()
    await guarded.be("eve")
    [mine, _] = await waiting(guarded, 2)
    headers = {"Authorization": str(guarded.http.headers["Authorization"])}
    followed = await feed(guarded, "?cursor=0-", additional_headers=headers)
    await followed.read_until(lambda: followed.cursor is not None)
    assert foreign not in followed.ids
    await followed.follow({"submission_id": foreign}, {"submission_id": 99_999, "after_seq": 3})
    await followed.read_until(lambda: followed.dropped == {foreign: 4004, 99_999: 4004})
    again = await feed(guarded, f"?cursor={followed.cursor}", additional_headers=headers)
    await again.follow({"submission_id": mine, "after_seq": 1, "epoch": "another"})
    await again.follow({"submission_id": mine + 1, "after_seq": 1000})
    await again.read_until(lambda: again.dropped == {mine: 4010, mine + 1: 4010})


@pytest.mark.thorough
async def test_records_that_are_replaced(live: Live, sql: Any) -> None:
    """A backup is restored under a feed: a cursor of other records is closed with 4010."""
    await waiting(live, 2)
    followed = await feed(live)
    await followed.read_until(lambda: followed.cursor is not None)
    latest = followed.ids[-1]
    assert followed.cursor is not None
    for cursor in (f"{latest}-{'0' * 16}", f"{latest + 1}{followed.cursor.removeprefix(str(latest))}"):
        assert await (await feed(live, f"?cursor={cursor}")).code() == (4010, "the server's records were replaced")
    sql(f"UPDATE submissions SET epoch = 'another' WHERE id = {latest}")
    await live.submit()
    assert (await followed.code())[0] == 4010


@pytest.mark.parametrize("said", ["{", "[]", '{"type":"other"}', '{"type":"follow"', "pong", b"\xff"])
async def test_what_is_ignored(live: Live, said: str | bytes) -> None:
    """Messages that are no `follow` are ignored, or refused if they nearly are."""
    followed = await feed(live)
    await followed.socket.send(said)
    if said == '{"type":"follow"':
        assert (await followed.code())[0] == 1008
        return
    await followed.socket.send("ping")
    async with asyncio.timeout(HANG_S):
        while await followed.socket.recv() != "pong":
            pass


@pytest.mark.parametrize(
    "submissions",
    first(
        4,
        [
            None,
            [1],
            [{}],
            [{"submission_id": "1"}],
            [{"submission_id": 0}],
            [{"submission_id": True}],
            [{"submission_id": 2**63}],
            [{"submission_id": 1, "after_seq": -1}],
            [{"submission_id": 1, "after_seq": 1.5}],
            [{"submission_id": 1, "output_after": True}],
            [{"submission_id": 1, "epoch": 1}],
        ],
    ),
)
async def test_positions_that_are_none(live: Live, submissions: object) -> None:
    """A `follow` that is not valid is closed with 1008."""
    followed = await feed(live)
    await followed.socket.send(json.dumps({"type": "follow", "submissions": submissions}))
    assert await followed.code() == (1008, "not a valid message of type follow")


@pytest.mark.parametrize("cursor", ["", "1", "x-", "-1-", "1-xyz", f"{10**18}-", "1-" + "a" * 33])
async def test_cursors_that_are_none(live: Live, cursor: str) -> None:
    """A cursor that is not one of ours is closed with 1008."""
    assert await (await feed(live, f"?cursor={cursor}")).code() == (1008, "cursor: not a cursor of a feed")


@pytest.mark.thorough
async def test_identity(guarded: Live) -> None:
    """A feed takes access tokens, in the header or the URL, and neither none nor a watch token; logout ends it."""
    [number] = await waiting(guarded)
    bearer = str(guarded.http.headers["Authorization"])
    token = bearer.removeprefix("Bearer ")
    made = (await guarded.http.post(f"/api/submissions/{number}/watch-token")).json()["token"]
    assert await (await feed(guarded)).code() == (4003, "token missing")
    assert (await (await feed(guarded, f"?token={made}")).code())[0] == 4003
    by_url = await feed(guarded, f"?token={token}")
    by_header = await feed(guarded, additional_headers={"Authorization": bearer})
    await by_url.read_until(lambda: by_url.ids == [number])
    await by_header.read_until(lambda: by_header.ids == [number])
    # The watch token was not used up by the attempt.
    assert json.loads(await (await guarded.watch(number, f"?token={made}")).recv())["seq"] == 1
    await guarded.http.post("/api/auth/logout", json={})
    assert await by_url.code() == await by_header.code() == (4003, "session ended")


@pytest.mark.thorough
async def test_submissions_of_others(guarded: Live) -> None:
    """A user's feed has their own submissions only, also those that come later."""
    mine = await waiting(guarded, 2)
    followed = await feed(guarded, additional_headers={"Authorization": str(guarded.http.headers["Authorization"])})
    await followed.read_until(lambda: followed.cursor is not None)
    ada = str(guarded.http.headers["Authorization"])
    await guarded.be("eve")
    await waiting(guarded, 3)
    guarded.http.headers["Authorization"] = ada
    mine += await waiting(guarded)
    await followed.read_until(lambda: len(followed.ids) == 3)
    assert followed.ids == mine


async def test_output(live: Live) -> None:
    """Who asks gets what is printed, between the events, live and resumed by its number; nobody else does."""

    def printed(text: str) -> dict[str, Any]:
        return {"type": "output", "stream": "stdout", "text": text, "test_id": "t1"}

    def ways(texts: Sequence[str]) -> list[int]:
        return [-said["output_seq"] if said["type"] == "output" else said["seq"] for said in map(json.loads, texts)]

    _, number, other = await waiting(live, 3)
    followed, without = await feed(live, "?events=output"), await feed(live)
    await append(live, number, update("building"), printed("1"), printed("2"), update("testing"), printed("3"))
    await append(live, other, printed("4"), complete())
    await followed.read_until(lambda: ways(followed.texts.get(number, []))[-1:] == [-3] and followed.has_ended([other]))
    begun = ways(followed.texts[number])
    assert [each for each in begun if each < 0] == [-1, -2, -3]
    assert begun.index(-1) == begun.index(-2) - 1 == begun.index(json.loads(followed.texts[number][-2])["seq"]) - 2
    assert ways(followed.texts[other])[-2:][0] == -1
    await followed.socket.close()
    await append(live, number, printed("5"))
    again = await feed(live, f"?events=output&cursor={followed.cursor}")
    await again.follow({"submission_id": number, "after_seq": max(begun), "output_after": 2})
    await again.read_until(lambda: len(again.texts.get(number, [])) == 2)
    await append(live, number, printed("6"), complete())
    await again.read_until(lambda: again.has_ended([number]))
    await without.read_until(lambda: without.has_ended([number]))
    assert ways(again.texts[number]) == [-3, -4, -5, max(begun) + 1]
    assert without.texts[number] == await log(live, number)


async def test_everybodys(guarded: Live) -> None:
    """A teacher's feed with `all` has everybody's, also those that come later, and resumes; a student gets none."""
    ada = str(guarded.http.headers["Authorization"])
    numbers = await waiting(guarded, 2)
    await guarded.be("eve", Role.TEACHER)
    headers = {"Authorization": str(guarded.http.headers["Authorization"])}
    followed = await feed(guarded, "?all=true", additional_headers=headers)
    await followed.read_until(lambda: followed.cursor is not None and len(followed.texts) == 2)
    numbers += await waiting(guarded)
    guarded.http.headers["Authorization"] = ada
    numbers += await waiting(guarded)
    await followed.read_until(lambda: len(followed.ids) == 4)
    assert followed.ids == numbers
    numbers += await waiting(guarded)
    again = await feed(guarded, f"?all=true&cursor={followed.cursor}", additional_headers=headers)
    await again.follow({"submission_id": numbers[1]})
    await again.read_until(lambda: again.texts.keys() == {numbers[1], numbers[4]})
    own = await feed(guarded, "?all=false", additional_headers=headers)
    await own.read_until(lambda: own.cursor is not None)
    assert own.ids == [numbers[2]]
    refused = await feed(guarded, "?all=true", additional_headers={"Authorization": ada})
    assert await refused.code() == (4003, "Only teachers may see other users' submissions.")


async def test_everybodys_without_logins(live: Live) -> None:
    """There, all submissions are one's own."""
    numbers = await waiting(live, 2)
    followed = await feed(live, "?all=true")
    await followed.read_until(lambda: followed.cursor is not None)
    assert followed.ids == numbers


@pytest.mark.thorough
async def test_limits(start: Callable[..., Any]) -> None:
    """Too many feeds, or too many submissions in one: 4029 with the wait; too many positions: 1008."""
    async with start(feeds=2, feed_submissions=3) as live:
        followed, _ = await feed(live), await feed(live)
        assert await (await feed(live)).code() == (4029, "retry_after=5")
        await waiting(live, 3)
        await followed.read_until(lambda: len(followed.texts) == 3)
        await waiting(live)
        assert await followed.code() == (4029, "retry_after=30")
    async with start(feed_submissions=9) as live:
        followed = await feed(live)
        await followed.follow(*[{"submission_id": number} for number in range(1, 11)])
        assert await followed.code() == (1008, "follow at most 9 submissions")


async def test_nothing_is_kept(live: Live) -> None:
    """What has ended is let go of, and everything when the feed is closed."""
    bus = live.services.journal._bus
    _, *numbers = await waiting(live, 3)
    followed = await feed(live)
    await followed.read_until(lambda: len(followed.texts) == 3)
    for number in numbers:
        await append(live, number, complete())
    await followed.read_until(lambda: followed.has_ended(numbers))
    await live.until(lambda: not set(numbers) & set(bus.watched()))
    await followed.socket.close()
    await live.until(lambda: live.services.metrics.connections == 0)
    assert 0 not in bus.watched()


@pytest.mark.thorough
async def test_slow_reader(start: Callable[..., Any]) -> None:
    """A feed whose client does not read is closed with 1013, and what it missed comes after a new connect."""
    async with start(send_s=0.2) as live:
        _, number = await waiting(live, 2)
        followed = await feed(live, max_queue=1)
        await followed.read_until(lambda: len(followed.texts) == 2)
        before = list(followed.texts[number])
        for each in range(40):
            await append(live, number, *[result(f"{each}.{part}", output="x" * 60_000) for part in range(5)])
        await live.until(lambda: live.services.metrics.connections == 0)
        assert (await followed.code())[0] == 1013
        again = await feed(live, f"?cursor={followed.cursor}")
        await again.follow({"submission_id": number, "after_seq": len(before)})
        await append(live, number, complete())
        await again.read_until(lambda: again.has_ended([number]))
        assert before + again.texts[number] == await log(live, number)


@pytest.mark.thorough
@pytest.mark.parametrize("backends", [("sqlite", "redis")], indirect=True)
async def test_two_gateways(start: Callable[..., Any]) -> None:
    """A submission that is made at another gateway joins, and its events come over Redis."""
    async with start() as here, start() as there:
        followed = await feed(here)
        await followed.read_until(lambda: followed.cursor is not None)
        numbers: Sequence[int] = [await there.submit() for _ in range(3)]
        await followed.read_until(lambda: followed.has_ended(numbers))
        assert followed.texts[numbers[0]] == await log(there, numbers[0])


# -- judged again ---------------------------------------------------------------------------------


async def again(live: Live, *numbers: int) -> None:
    begun = await live.services.journal.judge_again(numbers, "a-key-of-a-test")
    assert sorted(begun.records) == sorted(numbers)
    for number in numbers:
        live.services.queue.put(number)


async def test_a_feed_that_was_interrupted_gets_the_run_that_it_followed(live: Live) -> None:
    """The end of that log, and nothing of the next one; the cursor still holds."""
    number = await live.submit("wait")
    first = await feed(live)
    live.judge.events.put_nowait(update("testing", total_tests=1))
    await first.read_until(lambda: '"testing"' in first.texts.get(number, [""])[-1])
    seen, epoch = json.loads(first.texts[number][-1])["seq"], first.announced[0]["epoch"]
    await first.socket.close()
    for each in (result("One"), complete()):
        live.judge.events.put_nowait(each)
    await live.ended(number)
    await again(live, number)
    second = await feed(live, f"?cursor={first.cursor}")
    await second.follow({"submission_id": number, "after_seq": seen, "epoch": epoch})
    await second.read_until(lambda: second.has_ended([number]))
    assert [json.loads(text)["seq"] for text in second.texts[number]] == [seen + 1, seen + 2]
    assert (second.ids, second.dropped) == ([], {})


async def test_a_feed_begins_with_what_is_being_judged_again(live: Live) -> None:
    """Under the name of its latest log, from its first event on; one that is open announces nothing."""
    number = await live.submit("wait")
    for each in (result("One"), complete()):
        live.judge.events.put_nowait(each)
    before = await live.ended(number)
    early = await feed(live)
    await early.read_until(lambda: early.cursor is not None)
    await again(live, number)
    late = await feed(live)
    await late.read_until(lambda: bool(late.texts.get(number)))
    [announced] = late.announced
    event = json.loads(late.texts[number][0])
    assert (event["seq"], event["run"], event["epoch"]) == (1, 2, announced["epoch"])
    assert announced["epoch"] != before["epoch"]
    for each in (result("One"), complete()):
        live.judge.events.put_nowait(each)
    await late.read_until(lambda: late.has_ended([number]))
    fresh = await live.submit()
    await early.read_until(lambda: early.has_ended([fresh]))
    assert early.ids == [fresh]
