"""`watch --mine` and `--problem`: many submissions over one socket, as a program against servers that misbehave."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.hang import HANG_S

from .command import Commands, Done
from .conftest import Lines, Run, Served
from .scripted import FULL, Answer, Request, Rest, Script, Server, Wire, finish, scripted
from .terminal import Terminal
from .test_ends import interrupt

FEED = FULL | {"feed"}


def of(number: int, seq: int, kind: str, **fields: Any) -> dict[str, Any]:
    epoch = {"epoch": f"e{number}"} if seq == 1 else {}
    stamp = "2024-01-15T10:40:00Z"
    return {"type": kind, "submission_id": number, "timestamp": stamp, "seq": seq, **epoch, **fields}


def log(number: int, final_status: str = "passed") -> list[dict[str, Any]]:
    return [
        of(number, 1, "status_update", status="testing", total_tests=1),
        of(number, 2, "test_result", test_name="One", status=final_status, duration_ms=5),
        of(number, 3, "status_update", status="completed"),
        of(number, 4, "complete", final_status=final_status, summary={"total_tests": 1, "passed": 1, "failed": 0}),
    ]


def listed(*ids: int, cursor: str = "9-") -> dict[str, Any]:
    submissions = [{"submission_id": id, "problem": "p", "language": "python", "epoch": f"e{id}"} for id in ids]
    return {"type": "feed", "timestamp": "2024-01-15T10:40:00Z", "submissions": submissions, "cursor": cursor}


def feed(*messages: dict[str, Any], then: Script | None = None) -> Script:
    """Accept, send these, and go on with another script or wait for the client's end."""

    async def script(wire: Wire) -> None:
        await wire.accept()
        await wire.text(*messages)
        if then is not None:
            await then(wire)
        else:
            await wire.stay()

    return script


def rest(*rows: dict[str, Any], features: frozenset[str] = FEED) -> Rest:
    """REST that lists these submissions, and knows the problem `p`."""

    def first(request: Request) -> Answer | None:
        if request.path == "/api/submissions" and request.method == "GET":
            return Answer(200, {"submissions": list(rows)})
        if request.path == "/api/problems/p":
            return Answer(200, {"id": 7, "slug": "p"})
        if request.path == "/api/problems":
            return Answer(200, {"problems": [{"id": 7, "slug": "p"}]})
        return None

    return Rest(features=features, first=first)


async def watch(command: Commands, server: Server, *options: str) -> Done:
    """`subcli watch --mine --json`."""
    return await command("watch", *(options or ("--mine",)), "--json", "--server", server.url)


def of_each(done: Done, kind: str) -> dict[int, Any]:
    """The lines of a type, by submission; there is one of each."""
    lines = [line for line in done.lines if line["type"] == kind]
    found = {line["submission_id"]: line for line in lines}
    assert len(found) == len(lines), lines
    return found


def seqs(done: Done, number: int) -> list[int]:
    return [line["seq"] for line in done.lines if line.get("submission_id") == number and "seq" in line]


async def test_all_that_run(command: Commands) -> None:
    """One socket for all; the lines of each are those of `watch ID`; the exit code is the highest."""
    async with scripted(feed(listed(3, 4), *log(3), *log(4, "failed")), rest=rest()) as server:
        done = await watch(command, server)
    assert done.code == 1, done
    assert [connect.target for connect in server.connects] == ["/ws/feed"]
    assert of_each(done, "result")[3]["exit_code"] == 0
    assert of_each(done, "result")[4]["final_status"] == "failed"
    assert seqs(done, 3) == seqs(done, 4) == [1, 2, 3, 4]
    states = [line["state"] for line in done.lines if line["type"] == "connection" and line["submission_id"] == 3]
    assert states == ["open", "closed"]


async def test_who_comes_joins(command: Commands) -> None:
    """A submission that is announced later is followed too; the watch ends when all that it knows have ended."""
    messages = [listed(3), *log(3)[:2], listed(5, cursor="5-"), *log(3)[2:], *log(5)]
    async with scripted(feed(*messages), rest=rest()) as server:
        done = await watch(command, server, "--problem", "p")
    assert done.code == 0, done
    assert server.connects[0].query("problem") == "p"
    assert sorted(of_each(done, "result")) == [3, 5]


async def test_resuming(command: Commands) -> None:
    """After a lost connection the cursor and the positions say where to go on; nothing comes twice."""
    told: list[Any] = []

    async def resume(wire: Wire) -> None:
        told.append(wire.request.query("cursor"))
        await wire.accept()
        told.append(json.loads((await wire.read())[1]))
        await wire.text(listed(5, cursor="5-e5"), *log(4)[2:], *log(5))
        await wire.stay()

    async def lose(wire: Wire) -> None:
        await wire.close(1012)

    first = feed(listed(3, 4, cursor="4-e4"), *log(3), *log(4)[:2], then=lose)
    async with scripted(first, resume, rest=rest()) as server:
        done = await watch(command, server)
    assert done.code == 0, done
    position = {"submission_id": 4, "after_seq": 2, "epoch": "e4"}
    assert told == ["4-e4", {"type": "follow", "submissions": [position]}]
    assert seqs(done, 3) == seqs(done, 4) == seqs(done, 5) == [1, 2, 3, 4]
    states = [line["state"] for line in done.lines if line["type"] == "connection" and line["submission_id"] == 4]
    assert states == ["open", "reconnecting", "open", "closed"]


async def test_plain_view_says_once_that_it_reconnects(command: Commands) -> None:
    """One line for all of them, and each of the others names its submission, even if it is the only one."""

    async def lose(wire: Wire) -> None:
        await wire.close(1012)

    async def resume(wire: Wire) -> None:
        await wire.accept()
        await wire.read()
        await wire.text(listed(cursor="4-"), *log(3), *log(4))
        await wire.stay()

    first = feed(listed(3, cursor="3-"), *log(3)[:1], listed(4, cursor="4-"), then=lose)
    async with scripted(first, resume, rest=rest()) as server:
        done = await command("watch", "--mine", "--plain", "--server", server.url)
    assert done.code == 0, done
    assert done.err.count("1012") == done.err.count("connected again") == 1
    assert done.out.startswith("#3 ")
    assert all(line.startswith("#") for line in done.out.splitlines()[:-1])
    assert done.out.splitlines()[-1] == "2 of 2 submissions passed"


async def test_dropped(command: Commands) -> None:
    """One that the server drops ends with its error, and the others go on."""
    dropped = {"type": "dropped", "submission_id": 3, "code": 4010, "reason": "replaced"}
    async with scripted(feed(listed(3, 4), dropped, *log(4)), rest=rest()) as server:
        done = await watch(command, server)
    assert done.code == 6, done
    assert "`subcli status 3 " in of_each(done, "error")[3]["error"]["hint"]
    assert of_each(done, "result")[4]["exit_code"] == 0


async def test_nothing_runs(command: Commands) -> None:
    """There is no verdict to wait for, so it is not 0."""
    async with scripted(feed(listed()), rest=rest()) as server:
        done = await watch(command, server)
    assert done.code == 5, done
    assert done.last["error"]["kind"] == "not_found"


@pytest.mark.parametrize(
    ("code", "exit_code", "kind"), [(4003, 4, "auth"), (4010, 6, "server"), (1008, 6, "server"), (4004, 5, "not_found")]
)
async def test_closes_that_end_it(command: Commands, code: int, exit_code: int, kind: str) -> None:
    """As for a single socket: each submission gets its last line."""

    async def close(wire: Wire) -> None:
        await wire.close(code, "because")

    async with scripted(feed(listed(3, 4), then=close), feed(then=close), rest=rest()) as server:
        done = await watch(command, server)
    assert done.code == exit_code, done
    assert {number: line["error"]["kind"] for number, line in of_each(done, "error").items()} == {3: kind, 4: kind}


@pytest.mark.parametrize("blocked", [False, True])
async def test_without_a_feed(command: Commands, blocked: bool) -> None:
    """On a server without one, or where its socket is refused for good, each is followed alone."""

    async def only_alone(wire: Wire) -> None:
        if wire.request.path == "/ws/feed":
            await wire.refuse(426)
        else:
            await finish(wire)

    rows = [{"submission_id": 2, "status": "completed"}, {"submission_id": 1, "status": "testing", "problem": "p"}]
    listing = rest(*rows, features=FEED if blocked else FULL)
    async with scripted(only_alone, rest=listing) as server:
        done = await watch(command, server)
    assert done.code == 0, done
    assert sorted(of_each(done, "result")) == [1]
    assert seqs(done, 1) == [1, 2, 3, 4, 5, 6]
    assert {connect.path for connect in server.connects} == {"/ws/submissions/1"} | ({"/ws/feed"} if blocked else set())


async def test_unknown_problem(command: Commands) -> None:
    """A problem that the server does not know is named before anything is followed."""
    async with scripted(finish, rest=rest()) as server:
        done = await watch(command, server, "--problem", "q")
    assert done.code == 5, done
    assert not server.connects


@pytest.mark.parametrize("more", [["12"], ["--after-seq", "3"], ["--run", "1"], ["--all"]])
async def test_usage(command: Commands, more: Sequence[str]) -> None:
    """What to watch is said once."""
    done = await command("watch", "--mine", *more)
    assert (done.code, "`--mine`" in done.err) == (2, True), done


@pytest.mark.thorough(measured=True)
async def test_fail_fast_and_timeout(command: Commands) -> None:
    """`--fail-fast` ends at the first that is not passed; `--timeout` ends all that still run."""
    async with scripted(feed(listed(3, 4), *log(3, "failed")), rest=rest()) as server:
        done = await watch(command, server, "--mine", "--fail-fast")
        assert done.code == 1, done
        assert "fail-fast" in of_each(done, "error")[4]["error"]["message"]
    async with scripted(feed(listed(3, 4), *log(3)), rest=rest()) as server:
        done = await watch(command, server, "--mine", "--timeout", "2")
        assert done.code == 7, done
        assert "`subcli watch --mine" in of_each(done, "error")[4]["error"]["hint"]


async def test_interrupt(command: Commands) -> None:
    """Ctrl-C ends it within a second, and says how to go on."""
    read = asyncio.Event()

    async def wait(wire: Wire) -> None:
        await wire.answered()
        read.set()
        await wire.stay()

    async with scripted(feed(listed(3, 4), then=wait), rest=rest()) as server:
        process = await command.start("watch", "--mine", "-q", "--server", server.url)
        await asyncio.wait_for(read.wait(), HANG_S)
        done = await interrupt(command, process, signal.SIGINT)
    assert done.code == 130, done
    assert "`subcli watch --mine" in done.err


@pytest.mark.thorough(measured=True)
async def test_live_screen_of_thousands(command: Commands) -> None:
    """5,000 submissions on one screen of a real terminal: those that fail first, all counted, and a way out."""
    ids = range(1, 5001)
    lists = [listed(*ids[start : start + 200], cursor=f"{start}-") for start in range(0, 5000, 200)]
    begun = [message for number in ids for message in log(number)[:1]]
    failing = of(4711, 2, "test_result", test_name="Split Vote", status="failed", duration_ms=5)
    first = [{**each, "more": True} for each in lists[:-1]]
    script = feed(*first, lists[-1], *begun, failing)
    async with (
        scripted(script, rest=rest()) as server,
        Terminal(command, "watch", "--mine", "--server", server.url) as tty,
    ):
        await tty.until(lambda text: "5,000 submissions   5,000 running" in text and "#4711" in text)
        assert len(server.connects) == 1
        tty.press(b"q")
        assert await tty.end() == 130


async def test_output(command: Commands) -> None:
    """`--logs` asks for what is printed, shows it where it belongs, and resumes after the last piece."""

    def piece(number: int) -> dict[str, Any]:
        return {"type": "output", "submission_id": 3, "stream": "stdout", "text": f"{number}\n",
                "output_seq": number, "after_seq": number}  # fmt: skip

    first, *rest_of_log = log(3)
    told: list[Any] = []

    async def lose(wire: Wire) -> None:
        await wire.close(1012)

    async def resume(wire: Wire) -> None:
        told.append(wire.request.query("events"))
        await wire.accept()
        told.append(json.loads((await wire.read())[1]))
        await wire.text(listed(), piece(1), rest_of_log[0], piece(2), *rest_of_log[1:])
        await wire.stay()

    async with scripted(
        feed(listed(3), first, piece(1), then=lose), resume, rest=rest(features=FEED | {"output", "feed_output"})
    ) as server:
        done = await watch(command, server, "--mine", "--logs")
    assert done.code == 0, done
    shown = [line for line in done.lines if line["type"] in ("output", "test_result")]
    assert [(line.get("output_seq"), line.get("seq")) for line in shown] == [(1, None), (None, 2), (2, None)], done
    position = {"submission_id": 3, "after_seq": 1, "output_after": 1, "epoch": "e3"}
    assert told == ["output", {"type": "follow", "submissions": [position]}]


@pytest.mark.thorough(measured=True)
async def test_everybodys(command: Commands) -> None:
    """`--all` asks REST first, which says why it refuses, and names itself in the hint that resumes."""
    features = FEED | {"feed_all"}
    async with scripted(feed(listed(3), *log(3)), rest=rest(features=features)) as server:
        done = await watch(command, server, "--all", "--problem", "p")
        assert seqs(done, 3) == [1, 2, 3, 4]
        assert server.connects[0].target == "/ws/feed?problem=p&all=true"
    async with scripted(feed(listed(3), *log(3)[:1]), rest=rest(features=features)) as server:
        done = await watch(command, server, "--all", "--timeout", "2")
        assert (done.code, "`subcli watch --all --server" in str(done.lines[-1])) == (7, True), done
    async with scripted(feed(listed(3)), rest=rest()) as server:
        assert (await watch(command, server, "--all")).code == 6


@pytest.mark.thorough
def test_real_server(held: Served, run: Run, follow: Callable[..., Lines], tmp_path: Path) -> None:
    """Our own server: what runs is watched together, what is submitted meanwhile joins, and each log is complete."""
    ours = ("--server", held.url)
    submit = ("submit", "a.py", "--problem", "held", "--no-watch", "-q", *ours)
    for _ in range(2):
        run(*submit)
    watching = follow("watch", "--problem", "held", "--json", *ours)
    watching.until(lambda line: line["submission_id"] == 2)
    run(*submit)
    watching.until(lambda line: line["submission_id"] == 3)
    (tmp_path / "enough").touch()
    assert watching.end() == 1
    lines = watching.lines
    assert {line["submission_id"] for line in watching.of("result")} == {1, 2, 3}
    for number in (1, 2, 3):
        told = [line["seq"] for line in lines if line["submission_id"] == number and "seq" in line]
        assert told == list(range(1, len(told) + 1))
