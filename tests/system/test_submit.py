"""Submitting without ghosts: what happens to a POST whose answer is lost, late, or "not now"."""

from __future__ import annotations

import time

import pytest

from .command import Commands, Done
from .scripted import LOG, Answer, Request, Rest, Server, closing, finish, scripted
from .together import SLACK_S, Batch, together

submitting = Batch()


@pytest.mark.long
@pytest.mark.timeout(170)
async def test_submit_without_ghosts(command: Commands) -> None:
    """Every way in which handing in goes wrong."""
    (command.cwd / "node.py").write_text("pass\n")
    await together(submitting.scenarios, command)


async def submit(command: Commands, server: Server, *options: str) -> Done:
    """`subcli submit node.py --problem election --json`."""
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
    """What was handed in."""
    return server.asked("POST", "/api/submissions")


@submitting
async def cut_with_idempotency(command: Commands) -> None:
    """POST cut: the same once more with the same key, and the submission is followed."""
    async with scripted(finish, rest=failing_first(Answer(cut=True))) as server:
        done = await submit(command, server)
    assert done.code == 0, done
    first, second = posts(server)
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert first.json() == second.json() == {"problem": "election", "language": "python", "source_code": "pass\n"}
    assert 1.6 <= second.at - first.at <= 2.4 + SLACK_S


@submitting
async def each_submission_has_its_own_key(command: Commands) -> None:
    """Two submissions meant are two: their keys differ."""
    async with scripted(finish, rest=failing_first()) as server:
        for _ in range(2):
            assert (await submit(command, server)).code == 0
    first, second = posts(server)
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]


@submitting
async def timed_out_with_idempotency(command: Commands) -> None:
    """POST without an answer for 10 s: repeated with the same key."""
    async with scripted(finish, rest=failing_first(Answer(hang=True))) as server:
        done = await submit(command, server)
    assert done.code == 0, done
    first, second = posts(server)
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert 10 <= second.at - first.at <= 12.4 + SLACK_S


@submitting
async def lost_without_idempotency(command: Commands) -> None:
    """The same on a server without the feature: no twin, exit 6 and `subcli list`."""
    for features in (None, frozenset({"resume"})):
        for answer in (Answer(cut=True), Answer(502, {"detail": "bad gateway"})):
            async with scripted(finish, rest=failing_first(answer, features=features)) as server:
                done = await submit(command, server)
            assert done.code == 6, (features, done)
            assert "subcli list" in done.last["error"]["hint"]
            assert len(posts(server)) == 1
            assert server.connects == []


@submitting
async def limited_and_unavailable(command: Commands) -> None:
    """429 and 503 are waited for anywhere, as long as the server says, and the wait is said on stderr."""
    limited = Answer(429, {"detail": "too many submissions", "retry_after": 3})
    unavailable = Answer(503, {"detail": "restarting"}, {"Retry-After": "3"})
    for answer in (limited, unavailable):
        async with scripted(finish, rest=failing_first(answer, features=None)) as server:
            done = await command(
                *("submit", "node.py", "--problem", "election", "-q", "--no-watch", "--server", server.url)
            )
        assert (done.code, done.out) == (0, "1\n"), done
        first, second = posts(server)
        assert 3 <= second.at - first.at <= 3 + SLACK_S
        assert second.json()["problem_id"] == 7, "a server that wants a number gets one"
        assert "retrying in 3 s" in done.err


@submitting
async def limited_beyond_the_attempts(command: Commands) -> None:
    """429 for ever: exit 8, after as many repeats as --max-attempts says."""
    answers = [Answer(429, {"detail": "no"}, {"Retry-After": "1"})] * 9
    async with scripted(finish, rest=failing_first(*answers)) as server:
        done = await submit(command, server, "--max-attempts", "1")
    assert done.code == 8, done
    assert len(posts(server)) == 2


@submitting
async def refused_for_good(command: Commands) -> None:
    """413 and 422 are said in the server's words, once, with exit 2; control characters in them do no harm."""
    for status in (413, 422):
        detail = {"detail": "no \x1b]0;owned\x07 thanks \u202e"}
        async with scripted(finish, rest=failing_first(Answer(status, detail))) as server:
            done = await command("submit", "node.py", "--problem", "election", "--server", server.url)
        assert done.code == 2
        assert len(posts(server)) == 1
        assert "no ^[]0;owned^G thanks \\u202e" in done.err
        assert "\x1b" not in done.err


@submitting
async def not_visible_yet(command: Commands) -> None:
    """4004 right after our own submit is borne for 5 s, and not longer."""
    async with scripted(closing(4004), closing(4004), finish, rest=Rest()) as server:
        done = await submit(command, server)
    assert done.code == 0, done
    assert len(server.connects) == 3
    async with scripted(closing(4004), rest=Rest()) as server:
        done = await submit(command, server)
    assert done.code == 5, done
    waited = server.connects[-1].at - server.connects[0].at
    assert 3 <= waited <= 6 + SLACK_S
    assert len(server.connects) <= 6
    assert time.monotonic() - server.connects[-1].at < 3 + SLACK_S


@submitting
async def answers_of_many_shapes(command: Commands) -> None:
    """`id` or `submission_id`, number or digits, any 2xx; without any id: exit 6 and `subcli list`."""
    for answer in (
        Answer(200, {"id": 1}),
        Answer(202, {"submission_id": "1", "url": None}),
        Answer(201, {"id": 1, "x": 2}),
    ):
        async with scripted(finish, rest=failing_first(answer)) as server:
            done = await submit(command, server)
        assert done.code == 0, done
        assert done.lines[0]["url"] == f"{server.url}/submissions/1"
    for answer in (Answer(200, {}), Answer(200, []), Answer(200, b"<html>"), Answer(204)):
        async with scripted(finish, rest=failing_first(answer)) as server:
            done = await submit(command, server)
        assert done.code == 6, done
