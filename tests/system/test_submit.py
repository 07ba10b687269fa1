"""Submitting without ghosts: what happens to a POST whose answer is lost, late, or "not now"."""

from __future__ import annotations

import pytest

from .command import Commands, Done
from .scripted import LOG, Answer, Request, Rest, Server, closing, finish, scripted

pytestmark = pytest.mark.side_by_side


async def submit(command: Commands, server: Server, *options: str) -> Done:
    """`subcli submit node.py --problem election --json`."""
    (command.cwd / "node.py").write_text("pass\n")
    words = ("submit", "node.py", "--problem", "election", "--json", *options)
    return await command(*words, "--server", server.url)


def failing_first(*answers: Answer, features: frozenset[str] | None = frozenset({"resume", "idempotency"})) -> Rest:
    """The first POSTs are answered so, the next as usual."""
    left = list(answers)

    def first(request: Request) -> Answer | None:
        if request.path == "/api/problems":
            return Answer(200, [{"id": 7, "title": "Election"}])
        return left.pop(0) if request.method == "POST" and left else None

    return Rest(features=features, first=first, log=LOG)


def posts(server: Server) -> list[Request]:
    """Every POST of a submission."""
    return server.asked("POST", "/api/submissions")


async def test_cut_post_is_repeated_with_its_key(command: Commands) -> None:
    """A POST whose connection is cut is repeated with the same key, and the submission is watched."""
    async with scripted(finish, rest=failing_first(Answer(cut=True))) as server:
        done = await submit(command, server)
    assert done.code == 0, done
    first, second = posts(server)
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    sent = {
        "problem": "election",
        "language": "python",
        "source_code": "pass\n",
        "file_name": first.json()["file_name"],
    }
    assert first.json() == second.json() == sent
    assert 1.6 <= second.at - first.at <= 2.4 + done.allowance_s


async def test_each_submission_has_its_own_key(command: Commands) -> None:
    """Two commands make two submissions: their keys differ."""
    async with scripted(finish, rest=failing_first()) as server:
        for _ in range(2):
            assert (await submit(command, server)).code == 0
    first, second = posts(server)
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]


async def test_post_without_answer_is_repeated_with_its_key(command: Commands) -> None:
    """A POST without an answer for 10 s is repeated with the same key."""
    async with scripted(finish, rest=failing_first(Answer(hang=True))) as server:
        done = await submit(command, server)
    assert done.code == 0, done
    first, second = posts(server)
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert 10 <= second.at - first.at <= 12.4 + done.allowance_s


@pytest.mark.thorough
@pytest.mark.parametrize("features", [None, frozenset({"resume"})], ids=["no features", "resume"])
@pytest.mark.parametrize("answer", [Answer(cut=True), Answer(502, {"detail": "bad gateway"})], ids=["cut", "502"])
async def test_lost_post_without_idempotency(
    command: Commands, features: frozenset[str] | None, answer: Answer
) -> None:
    """On a server without idempotency a lost POST is not repeated: exit 6 and `subcli list`."""
    async with scripted(finish, rest=failing_first(answer, features=features)) as server:
        done = await submit(command, server)
    assert done.code == 6, done
    assert "subcli list" in done.last["error"]["hint"]
    assert len(posts(server)) == 1
    assert server.connects == []


@pytest.mark.parametrize(
    "answer",
    [
        Answer(429, {"detail": "too many submissions", "retry_after": 3}),
        Answer(503, {"detail": "restarting"}, {"Retry-After": "3"}),
    ],
    ids=["429", "503"],
)
async def test_rate_limited_or_unavailable(command: Commands, answer: Answer) -> None:
    """After 429 and 503 the command waits as long as the server says, and says so on stderr."""
    async with scripted(finish, rest=failing_first(answer, features=None)) as server:
        (command.cwd / "node.py").write_text("pass\n")
        done = await command(
            *("submit", "node.py", "--problem", "election", "-q", "--no-watch", "--server", server.url)
        )
    assert (done.code, done.out) == (0, "1\n"), done
    first, second = posts(server)
    assert 3 <= second.at - first.at <= 3 + done.allowance_s
    assert second.json()["problem_id"] == 7, "a server that wants a number gets one"
    assert "retrying in 3 s" in done.err


async def test_limited_beyond_the_attempts(command: Commands) -> None:
    """429 for ever: exit 8, after as many repeats as --max-attempts says."""
    answers = [Answer(429, {"detail": "no"}, {"Retry-After": "1"})] * 9
    async with scripted(finish, rest=failing_first(*answers)) as server:
        done = await submit(command, server, "--max-attempts", "1")
    assert done.code == 8, done
    assert len(posts(server)) == 2


@pytest.mark.parametrize("status", [413, 422])
async def test_refused_post(command: Commands, status: int) -> None:
    """413 and 422 exit 2 with the server's words, shown once and with control characters escaped."""
    (command.cwd / "node.py").write_text("pass\n")
    detail = {"detail": "no \x1b]0;owned\x07 thanks \u202e"}
    async with scripted(finish, rest=failing_first(Answer(status, detail))) as server:
        done = await command("submit", "node.py", "--problem", "election", "--server", server.url)
    assert done.code == 2
    assert len(posts(server)) == 1
    assert "no ^[]0;owned^G thanks \\u202e" in done.err
    assert "\x1b" not in done.err


@pytest.mark.thorough(measured=True)
async def test_submission_not_visible_yet(command: Commands) -> None:
    """4004 right after our own submit is retried."""
    async with scripted(closing(4004), closing(4004), finish, rest=Rest()) as server:
        done = await submit(command, server)
    assert done.code == 0, done
    assert len(server.connects) == 3


async def test_submission_never_visible(command: Commands) -> None:
    """4004 after our own submit is retried for 5 s, and not longer."""
    async with scripted(closing(4004), rest=Rest()) as server:
        done = await submit(command, server)
    assert done.code == 5, done
    waited = server.connects[-1].at - server.connects[0].at
    assert 3 <= waited <= 6 + done.allowance_s
    assert len(server.connects) <= 6
    assert done.ended - server.connects[-1].at <= 3 + done.allowance_s


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, {"id": 1}),
        Answer(202, {"submission_id": "1", "url": None}),
        Answer(201, {"id": 1, "x": 2}),
    ],
    ids=["id", "digits", "more fields"],
)
async def test_accepted_answers(command: Commands, answer: Answer) -> None:
    """Any 2xx with `id` or `submission_id`, as a number or digits, is the answer to a POST."""
    async with scripted(finish, rest=failing_first(answer)) as server:
        done = await submit(command, server)
    assert done.code == 0, done
    assert done.lines[0]["url"] == f"{server.url}/submissions/1"


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        pytest.param(Answer(200, {}), "subcli list", id="object"),
        pytest.param(Answer(204), "subcli list", id="empty"),
        pytest.param(Answer(200, []), "subcli doctor", id="array"),
        pytest.param(Answer(200, b"<html>"), "subcli doctor", id="HTML"),
    ],
)
async def test_answer_without_an_id(command: Commands, answer: Answer, hint: str) -> None:
    """A 2xx without any id exits 6: `subcli list` shows whether it arrived, unless no judge answers so."""
    async with scripted(finish, rest=failing_first(answer)) as server:
        done = await submit(command, server)
    assert done.code == 6, done
    assert hint in done.last["error"]["hint"]
