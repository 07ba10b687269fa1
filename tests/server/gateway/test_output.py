"""What builds and tests print, over a real server's sockets: for those who ask, resumable, and gone in time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event
from websockets.exceptions import ConnectionClosedError

from subcli.server.log.driver import DriverTransaction
from tests.server.conftest import complete, result, update
from tests.server.gateway.test_gateway import closed, messages, next_event, raw_watcher

pytestmark = pytest.mark.every_backend
ASKING = "?events=output"


def printed(text: str, test_id: str = "t1", stream: str = "stdout") -> dict[str, Any]:
    return {"type": "output", "test_id": test_id, "stream": stream, "text": text}


def told(events: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """What came, in order: a word and a number for each."""
    return [("output", each["output_seq"]) if each["type"] == "output" else ("event", each["seq"]) for each in events]


async def judged(live: Any) -> int:
    """A submission with output before, between and after its events."""
    submission_id = await live.submit("wait")
    await live.until(lambda: live.judge.running == 1)
    script = [
        *(update("building"), printed("cc main.c\n", "", "build"), update("testing", total_tests=2)),
        *(printed("one\n"), printed("oh no\n", stream="stderr"), result("One")),
        *(printed("two\n", "t2"), result("Two"), printed("bye\n", ""), complete(passed=2)),
    ]
    for each in script:
        live.judge.events.put_nowait(each)
    await live.ended(submission_id)
    return int(submission_id)


async def test_only_who_asks_gets_output(live: Any) -> None:
    """For all others the messages are the same as ever, and REST has nothing else."""
    submission_id = await judged(live)
    plain = await messages(await live.watch(submission_id))
    assert [each["seq"] for each in plain] == list(range(1, 7))
    for query in (ASKING, "?events=other,output", "?events=other&events=output", "?events=output&output_after=0"):
        full = await messages(await live.watch(submission_id, query))
        assert [each for each in full if each["type"] != "output"] == plain
        assert told(full) == [
            *(("event", 1), ("event", 2), ("output", 1), ("event", 3), ("output", 2), ("output", 3), ("event", 4)),
            *(("output", 4), ("event", 5), ("output", 5), ("event", 6)),
        ]
    first = full[2]
    assert {name: first[name] for name in ("submission_id", "stream", "text", "output_seq", "after_seq")} == {
        "submission_id": submission_id,
        "stream": "build",
        "text": "cc main.c\n",
        "output_seq": 1,
        "after_seq": 2,
    }
    assert first["timestamp"].endswith("Z")
    for query in ("?events=none", "?output_after=0", "?events=outputs"):
        assert await messages(await live.watch(submission_id, query)) == plain
    page = (await live.http.get(f"/api/submissions/{submission_id}/events")).json()
    assert page["events"] == plain


@pytest.mark.thorough
async def test_output_is_resumed_by_its_number(live: Any) -> None:
    """At any pair of positions; beyond the end, as after a restored backup, 4010."""
    submission_id = await judged(live)
    full = await messages(await live.watch(submission_id, ASKING))
    for position in range(len(full) + 1):
        seq = max((each["seq"] for each in full[:position] if "seq" in each), default=0)
        number = max((each["output_seq"] for each in full[:position] if "output_seq" in each), default=0)
        query = f"{ASKING}&after_seq={seq}&output_after={number}"
        assert await messages(await live.watch(submission_id, query)) == full[position:]
    # As a client that asks only when it has seen the events.
    late = await messages(await live.watch(submission_id, f"{ASKING}&after_seq=6"))
    assert told(late) == [("output", number) for number in range(1, 6)]
    beyond = await live.watch(submission_id, f"{ASKING}&output_after=6")
    with pytest.raises(ConnectionClosedError):
        await anext(aiter(beyond))
    assert beyond.close_code == 4010
    assert (await closed(await live.watch(submission_id, f"{ASKING}&output_after=x")))[0] == 1008


async def test_output_comes_while_it_is_printed(live: Any) -> None:
    """Each piece before the test ends, and in order with the events; an event waits for no output."""
    submission_id = await live.submit("wait")
    watcher = await live.watch(submission_id, ASKING)
    assert (await next_event(watcher))["status"] == "pending"
    await live.until(lambda: live.judge.running == 1)
    for number in range(1, 6):
        live.judge.events.put_nowait(printed(f"line {number}\n"))
        piece = await next_event(watcher)
        assert (piece["text"], piece["output_seq"]) == (f"line {number}\n", number)
        live.judge.events.put_nowait(result(f"Test {number}"))
        assert (await next_event(watcher))["test_name"] == f"Test {number}"
    live.judge.events.put_nowait(printed("last\n"))
    live.judge.events.put_nowait(complete())
    assert [each["type"] for each in await messages(watcher)] == ["output", "complete"]
    assert watcher.close_code == 1000


@pytest.mark.thorough
async def test_output_of_a_submission_that_is_judged_again(live: Any) -> None:
    """The numbers go on."""
    submission_id = await live.submit("wait")
    watcher = await live.watch(submission_id, ASKING)
    await live.until(lambda: live.judge.running == 1)
    live.judge.events.put_nowait(printed("first\n"))
    live.judge.events.put_nowait(RuntimeError("the judge failed"))
    await live.until(lambda: len(live.judge.jobs) == 2)
    live.judge.events.put_nowait(printed("second\n"))
    live.judge.events.put_nowait(complete())
    pieces = [each for each in await messages(watcher) if each["type"] == "output"]
    assert [(each["text"], each["output_seq"]) for each in pieces] == [("first\n", 1), ("second\n", 2)]


@pytest.mark.thorough
async def test_the_judge_is_told_how_much_may_be_stored(start: Callable[..., Any]) -> None:
    """Of the whole submission, so the second try gets what the first has left; nothing if there is none left."""
    async with start(output_bytes=1000, output_per_s=50, retry_s=0.01) as live:
        submission_id = await live.submit("wait")
        for text in ("x" * 300, "y" * 700):
            await live.until(lambda: live.judge.running == 1)
            live.judge.events.put_nowait(printed(text))
            live.judge.events.put_nowait(RuntimeError("the judge failed"))
            await live.until(lambda: live.judge.running == 0)
        await live.until(lambda: len(live.judge.jobs) == 3)
        outputs = [job.output for job in live.judge.jobs]
        assert outputs[0].total_bytes == 1000
        assert outputs[0].bytes_per_s == 50
        assert 400 < outputs[1].total_bytes < 700
        assert outputs[2] is None
        live.judge.events.put_nowait(complete())
        await live.ended(submission_id)


async def test_output_is_deleted_after_the_verdict(start: Callable[..., Any], sql: Any) -> None:
    """By a job that runs from time to time; the log stays, and positions in the output stay valid."""
    async with start(output_keep_s=0, cleanup_s=0.02) as live:
        submission_id = await judged(live)
        await live.until(lambda: sql("SELECT count(*) FROM outputs")[0][0] == 0)
        for query in (ASKING, f"{ASKING}&output_after=3", f"{ASKING}&output_after=5"):
            late = await messages(await live.watch(submission_id, query))
            assert told(late) == [("event", seq) for seq in range(1, 7)]


async def test_output_is_another_users_secret(guarded: Any) -> None:
    """As the events are: 4004."""
    submission_id = await judged(guarded)
    granted = await guarded.be("eve")
    watcher = await guarded.watch(submission_id, f"{ASKING}&token={granted['access_token']}")
    assert (await closed(watcher))[0] == 4004


async def test_who_does_not_ask_costs_no_statement_more(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the worker's writing of events nor a gateway's parked watchers."""
    submission_id = await live.submit("wait")
    watchers = [await live.watch(submission_id) for _ in range(3)]
    for each in watchers:
        await next_event(each)
    await live.until(lambda: live.judge.running == 1)
    live.judge.events.put_nowait(update("testing"))
    for each in watchers:
        await next_event(each)
    written: list[str] = []
    read: list[str] = []
    right = DriverTransaction.exec_driver_sql

    def counting(self: DriverTransaction, statement: str, parameters: Any) -> Any:
        written.append(statement)
        return right(self, statement, parameters)

    def reading(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "outputs" in statement or "output_seq" in statement:
            read.append(statement)

    monkeypatch.setattr(DriverTransaction, "exec_driver_sql", counting)
    engine = live.services.store._write
    event.listen(engine, "before_cursor_execute", reading)
    for number in range(5):
        live.judge.events.put_nowait(result(f"Test {number}"))
        for each in watchers:
            await next_event(each)
    assert len(written) == 15
    assert not any("outputs" in each for each in written)
    assert read == []


@pytest.mark.thorough
async def test_a_slow_reader_holds_little(start: Callable[..., Any]) -> None:
    """A watcher that asks and does not read is closed like any other; meanwhile the gateway keeps a page and a tail."""
    async with start(send_s=0.5, output_bytes=100 * 1024 * 1024) as live:
        submission_id = await live.submit("wait")
        slow = await asyncio.to_thread(raw_watcher, live.url, submission_id, "?events=output")
        await live.until(lambda: live.judge.running == 1)
        for _ in range(400):
            live.judge.events.put_nowait(printed("x" * 40_000))
        output_bus = live.services.journal._output_bus
        local = getattr(output_bus, "_local", output_bus)
        most = 0
        while live.services.metrics.connections:
            most = max([most, *(channel._bytes for channel in local._channels.values())])
            await asyncio.sleep(0.01)
        assert most <= 256 * 1024 + 64 * 1024
        live.judge.events.put_nowait(complete())
        await live.ended(submission_id)
        slow.close()
        late = await live.watch(submission_id, "?events=output", max_size=None)
        assert [json.loads(text)["type"] async for text in late].count("output") == 400
