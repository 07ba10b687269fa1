"""Judging again over REST and the socket: for teachers, safe to repeat, and with the runs before kept."""

from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from subcli.client.connection import connect
from subcli.core.errors import NotFoundError
from subcli.core.submission import Connection
from subcli.core.watch import Watch
from subcli.server.accounts.permissions import Role
from subcli.settings.config import load
from tests.server.conftest import complete, result, update

pytestmark = pytest.mark.every_backend
KEY = "a-key-of-a-test"


async def rejudge(live: Any, status: int = 200, **body: Any) -> dict[str, Any]:
    response = await live.http.post("/api/rejudges", json=body)
    assert response.status_code == status, response.text
    return dict(response.json())


async def finished(live: Any, submission_id: int, run: int) -> dict[str, Any]:
    while True:
        snapshot = (await live.http.get(f"/api/submissions/{submission_id}")).json()
        if snapshot["run"] == run and snapshot["final_status"]:
            return dict(snapshot)
        await asyncio.sleep(0.01)


async def frames(watcher: Any) -> list[dict[str, Any]]:
    """What a socket sends until it is closed."""
    found = []
    async with asyncio.timeout(30):
        try:
            while True:
                found.append(json.loads(await watcher.recv()))
        except ConnectionClosed:
            return found


async def test_one_submission_again(start: Any) -> None:
    """First counted only; then judged in a run of its own, with the history, results and log of both."""
    async with start(auth=True) as live:
        await live.be("ada")
        number = await live.submit()
        before = await live.ended(number)
        await live.be("eve", Role.TEACHER)
        expected = {"dry_run": True, "matched": 1, "unfinished": 0, "unknown": 1, "users": 1}
        counted = await rejudge(live, submissions=[number, number + 99])
        assert counted == {**expected, "verdicts": {"passed": 1}}
        assert (await live.http.get(f"/api/submissions/{number}")).json()["run"] == 1
        done = await rejudge(live, submissions=[number], dry_run=False, key=KEY)
        assert (done["queued"], done["repeated"]) == (1, 0)
        now = await finished(live, number, 2)
        assert [(each["run"], each["final_status"]) for each in now["runs"]] == [(1, "passed"), (2, "passed")]
        assert now["runs"][0]["epoch"] == before["epoch"]
        assert now["compared_to"]["previous_run"] == 1
        assert (await rejudge(live, submissions=[number], dry_run=False, key=KEY))["repeated"] == 1
        path = f"/api/submissions/{number}"
        first = (await live.http.get(f"{path}?run=1")).json()
        assert (first["run"], first["epoch"], first["last_seq"]) == (1, before["epoch"], before["last_seq"])
        assert (await live.http.get(f"{path}?epoch={before['epoch']}")).json()["run"] == 1
        for tail, count in (("/events", before["last_seq"]), ("/tests", 2)):
            rows = (await live.http.get(f"{path}{tail}?run=1")).json()
            assert len(rows["events" if tail == "/events" else "tests"]) == count
        for bad, detail in (("?run=3", f"Submission {number} has no run 3."), ("/events?run=3", None)):
            missing = await live.http.get(f"{path}{bad}")
            assert missing.status_code == 404
            assert detail in (None, missing.json()["detail"])
        assert (await live.http.get(f"{path}?run=0")).status_code == 422
        # Its owner sees the same.
        await live.be("ada")
        assert (await live.http.get(path)).json()["runs"] == now["runs"]


@pytest.mark.thorough
async def test_sockets(start: Any) -> None:
    """One that names no run follows the latest, `?run=` an earlier one, and who was in the middle gets that end."""
    async with start(auth=True) as live:
        await live.be("eve", Role.TEACHER)
        number = await live.submit()
        before = await live.ended(number)
        epoch, last_seq = before["epoch"], before["last_seq"]
        await rejudge(live, submissions=[number], dry_run=False, key=KEY)
        new = (await finished(live, number, 2))["epoch"]
        headers = {"Authorization": live.http.headers["Authorization"]}

        async def told(query: str) -> list[tuple[int, str | None]]:
            watcher = await live.watch(number, query, additional_headers=headers)
            found = await frames(watcher)
            assert (watcher.close_code, found[-1]["type"]) == (1000, "complete")
            return [(each["seq"], each.get("epoch")) for each in found]

        assert (await told(""))[0] == (1, new)
        assert (await told("?run=1"))[0] == (1, epoch)
        assert (await told("?run=2"))[0] == (1, new)
        middle = await told(f"?after_seq=3&epoch={epoch}")
        assert [seq for seq, _ in middle] == list(range(4, last_seq + 1))
        for query, code, reason in (
            ("?run=3", 4004, "run not found"),
            (f"?run=1&epoch={new}", 4010, "the server's records were replaced"),
            ("?epoch=0123456789abcdef", 4010, "the records of this submission were replaced"),
        ):
            watcher = await live.watch(number, query, additional_headers=headers)
            assert await frames(watcher) == []
            assert (watcher.close_code, watcher.close_reason) == (code, reason)


@pytest.mark.thorough
async def test_a_client_follows_an_earlier_run(start: Any) -> None:
    """`subcli watch --run 1` shows the events that came then, with the verdict that they led to, and no others."""
    async with start(auth=True) as live:
        granted = await live.be("eve", Role.TEACHER)
        number = await live.submit()
        await live.ended(number)
        path = f"/api/submissions/{number}/events"
        logs = [(await live.http.get(path)).json()["events"]]
        await rejudge(live, submissions=[number], dry_run=False, key=KEY)
        await finished(live, number, 2)
        logs.append((await live.http.get(path)).json()["events"])
        env = {"SUBCLI_TOKEN": granted["access_token"]}
        async with connect(load({"server": live.url}, env, Path("/"), None)) as client:
            for run, log in enumerate(logs, 1):
                watch = Watch(number)
                watch.recognize(await client.epoch_of_run(number, run))
                session = client.session(watch, describe=True)
                shown = [each.raw async for each in session.events() if not isinstance(each, Connection)]
                assert shown == log
            with pytest.raises(NotFoundError, match="has no run 3"):
                await client.epoch_of_run(number, 3)


@pytest.mark.thorough
async def test_a_selection(start: Any) -> None:
    """Taken page by page; what is repeated with its key is not judged a third time, and new ones are judged first."""
    async with start(auth=True) as live:
        await live.be("eve", Role.TEACHER)
        numbers = [await live.submit() for _ in range(3)]
        for number in numbers:
            await live.ended(number)
        waiting = await live.submit("wait")
        assert (await rejudge(live, problem="echo", verdict="failed"))["matched"] == 0
        counted = await rejudge(live, problem="7")
        assert (counted["matched"], counted["unfinished"], counted["verdicts"]) == (3, 1, {"passed": 3})
        done = await rejudge(live, problem="echo", dry_run=False, key=KEY)
        assert (done["queued"], "next_cursor" in done) == (3, False)
        fresh = await live.submit()
        for event in (update("testing", total_tests=1), result("One"), complete()):
            live.judge.events.put_nowait(event)
        for number in numbers:
            await finished(live, number, 2)
        order = [next(iter(job.files.values())) for job in live.judge.jobs]
        assert len(order) == 8
        ended = [(await live.ended(number))["finished_at"] for number in (fresh, *numbers)]
        assert ended == sorted(ended)
        for event in (update("testing", total_tests=1), result("One"), complete()):
            live.judge.events.put_nowait(event)
        done = await rejudge(live, problem="echo", dry_run=False, key=KEY)
        assert (done["queued"], done["repeated"]) == (2, 3)
        assert (await finished(live, waiting, 2))["runs"][0]["final_status"] == "passed"


@pytest.mark.thorough
async def test_who_stops_it(start: Any) -> None:
    """Not the owner, who could keep a verdict that way, but a teacher; the run before stays as it was."""
    async with start(auth=True) as live:
        await live.be("ada")
        blocking = await live.submit("wait")
        for event in (update("testing", total_tests=1), result("One"), complete()):
            live.judge.events.put_nowait(event)
        await live.ended(blocking)
        await live.be("eve", Role.TEACHER)
        await rejudge(live, submissions=[blocking], dry_run=False, key=KEY)
        await live.be("ada")
        refused = await live.http.post(f"/api/submissions/{blocking}/cancel")
        assert refused.status_code == 403
        assert refused.json()["detail"] == "Only teachers may have submissions judged again, and stop that."
        await live.be("bob")
        assert (await live.http.post(f"/api/submissions/{blocking}/cancel")).status_code == 404
        await live.be("eve")
        assert (await live.http.post(f"/api/submissions/{blocking}/cancel")).json()["final_status"] == "cancelled"
        first = (await live.http.get(f"/api/submissions/{blocking}?run=1")).json()
        assert first["final_status"] == "passed"


BAD: list[dict[str, Any]] = [
    {},
    {"submissions": []},
    {"submissions": [0]},
    {"submissions": [2**63]},
    {"submissions": ["1"] * 101},
    {"submissions": [1], "problem": "echo"},
    {"problem": "echo", "dry_run": False},
    {"problem": "echo", "dry_run": False, "key": "short"},
    {"problem": "echo", "dry_run": False, "key": "k" * 65},
    {"problem": "echo", "verdict": "a\0b"},
    {"problem": "echo", "cursor": "nonsense"},
    {"problem": "echo", "since": "yesterday"},
]


@pytest.mark.thorough
async def test_bad_requests(guarded: Any) -> None:
    """Refused with a sentence, and a problem that does not exist is not found."""
    await guarded.be("eve", Role.TEACHER)
    for body in BAD:
        assert "detail" in await rejudge(guarded, 422, **body), body
    await rejudge(guarded, 404, problem="nothing")
    for query in ("which=worst", "limit=0", "limit=501", "cursor=nonsense"):
        assert (await guarded.http.get(f"/api/problems/echo/results?{query}")).status_code == 422, query
    assert (await guarded.http.get("/api/problems/nothing/results")).status_code == 404
    for query in ("cursor=x", "verdict=a%00b", "verdict=", "status=%1b", "since=soon", "limit=101"):
        assert (await guarded.http.get(f"/api/submissions?{query}")).status_code == 422, query


@pytest.mark.thorough
async def test_results_in_pages(start: Any) -> None:
    """A row for each student and for whoever has tried, by name, however few at a time; without those who left."""
    async with start(auth=True) as live:
        for name in ("ada", "bob", "cyd", "dan"):
            live.add_user(name)
        await live.be("eve", Role.TEACHER)
        mine = await live.submit()
        await live.ended(mine)
        await live.be("bob")
        first = [await live.submit() for _ in range(2)]
        for number in first:
            await live.ended(number)
        live.accounts.users.disable("dan")
        live.add_user("zoe", role=Role.TEACHER)
        await live.be("eve")
        found: list[dict[str, Any]] = []
        cursor = ""
        for _ in itertools.count():
            response = await live.http.get(f"/api/problems/echo/results?limit=1{cursor}")
            body = response.json()
            found += body["results"]
            if "next_cursor" not in body:
                break
            cursor = f"&cursor={body['next_cursor']}"
        assert [(row["user"], row["attempts"], row.get("submission_id")) for row in found] == [
            ("ada", 0, None),
            ("bob", 2, first[0]),
            ("cyd", 0, None),
            ("eve", 1, mine),
        ]
        assert found[1]["passed"] == found[1]["total_tests"] == 2
        last = (await live.http.get("/api/problems/echo/results?which=last")).json()["results"]
        assert last[1]["submission_id"] == first[1]


@pytest.mark.thorough
async def test_lists_are_paged_and_filtered(start: Any) -> None:
    """The pages of a list are the list; a teacher's filters combine."""
    async with start(auth=True) as live:
        await live.be("ada")
        ada = [await live.submit() for _ in range(3)]
        await live.be("eve", Role.TEACHER)
        mine = await live.submit()
        for number in (*ada, mine):
            await live.ended(number)

        async def listed(query: str) -> list[int]:
            found: list[int] = []
            cursor = ""
            while True:
                body = (await live.http.get(f"/api/submissions?{query}&limit=2{cursor}")).json()
                found += [row["id"] for row in body["submissions"]]
                if "next_cursor" not in body:
                    return found
                cursor = f"&cursor={body['next_cursor']}"

        assert await listed("all=1") == [mine, *reversed(ada)]
        assert await listed("all=1&user=ada&problem=echo&verdict=passed&status=completed") == ada[::-1]
        assert await listed("all=1&verdict=failed") == []
        assert await listed("since=2100-01-01") == []
        assert await listed("since=2020-01-01T00:00:00Z") == [mine]
        await live.be("ada")
        assert await listed("verdict=passed") == ada[::-1]
