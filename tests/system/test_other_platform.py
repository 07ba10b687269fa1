"""Another platform built from the same specification: right results on it in each output mode (contract, section 6)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .command import Commands
from .conftest import CANARIES
from .other_platform import API, OtherPlatform, profile
from .scripted import Server, scripted
from .terminal import Terminal
from .together import SLACK_S, Batch, together

other = Batch()
AT = ("--profile", "other")
SUBMIT = ("submit", "o.py", "--problem", "leader-election", *AT)


@pytest.mark.long
@pytest.mark.timeout(170)
async def test_other_platform(command: Commands) -> None:
    """All of its habits, in all modes, beside each other."""
    (command.cwd / "o.py").write_text("pass")
    await together(other.scenarios, command)


@contextlib.asynccontextmanager
async def running(command: Commands, platform: OtherPlatform) -> AsyncIterator[tuple[Server, Commands]]:
    """The platform on a socket, and the program with a profile that leads to it."""
    async with scripted(platform.socket, rest=platform) as server:
        home = command.cwd / f"home-{server.port}"
        write_profile(home, profile(server))
        yield server, Commands({**command.env, "HOME": str(home)}, command.cwd, command.printed)


def write_profile(home: Path, text: str) -> None:
    """A user file."""
    directory = home / ".config/subcli"
    directory.mkdir(parents=True)
    (directory / "config.toml").write_text(text)


@other
async def ndjson(command: Commands) -> None:
    """`--json`: its events as they came, each once; the verdict from the snapshot, since `complete` never comes."""
    for failing, code in ((False, 0), (True, 1)):
        platform = OtherPlatform(failing=failing)
        async with running(command, platform) as (server, subcli):
            done = await subcli(*SUBMIT, "--json")
        assert done.code == code, done
        assert platform.posted[0].json()["problem_id"] == 3
        assert platform.posted[0].path == f"{API}/submissions"
        assert done.lines[0]["url"] == f"{server.url}/submissions/7"
        assert [line["test_name"] for line in done.of("test_result")] == ["Test 1", "Test 2", "Test 3"]
        assert done.of("test_result")[2]["test_type"] == "chaos"
        assert done.last["final_status"] == ("failed" if failing else "passed")
        counts = {name: done.last["summary"][name] for name in ("total_tests", "passed", "failed")}
        assert counts == {"total_tests": 3, "passed": 3 - failing, "failed": int(failing)}
        assert [line["status"] for line in done.of("status_update")][-1] == "completed"
        if failing:
            assert done.of("error_analysis")[0]["analysis"]["category"] == "timeout"
        assert platform.pongs == 1, "its own ping was answered"
        assert len(server.connects) == 1


@other
async def with_complete(command: Commands) -> None:
    """Where `complete` does come it decides, at once."""
    platform = OtherPlatform(completes=True)
    async with running(command, platform) as (_, subcli):
        done = await subcli(*SUBMIT, "--json")
    assert done.code == 0
    assert done.last["summary"]["duration_ms"] == 600


@other
async def plain_and_quiet(command: Commands) -> None:
    """`--plain` shows results and the analysis; `-q` the verdict and nothing else."""
    async with running(command, OtherPlatform(failing=True)) as (_, subcli):
        plain = await subcli(*SUBMIT, "--plain")
    assert plain.code == 1, plain
    for words in ("Test 1", "Test 2", "Test 3", "The node did not answer in time.", "Look at the election timeout."):
        assert plain.out.count(words) >= 1, plain.out
    assert "✗ failed" in plain.out
    async with running(command, OtherPlatform()) as (_, subcli):
        quiet = await subcli("watch", "7", "-q", *AT)
    assert (quiet.code, quiet.out, quiet.err) == (0, "passed\n", "")


@other
async def live(command: Commands) -> None:
    """On a terminal: its progress while it runs, and the summary that stays."""
    async with (
        running(command, OtherPlatform(failing=True, pace_s=0.6)) as (_, subcli),
        Terminal(subcli, *SUBMIT) as tty,
    ):
        await tty.until(lambda text: "Test 1" in text)
        assert await tty.end(60) == 1, tty.text
        assert "Test 2" in tty.text
        assert "failed" in tty.text
        assert tty.after == tty.before


@other
async def accepts_and_never_sends(command: Commands) -> None:
    """A socket that never says anything: after 10 s REST is asked, and what is new is shown as if it had come."""
    platform = OtherPlatform(silent=True, failing=True, pace_s=1)
    async with running(command, platform) as (server, subcli):
        done = await subcli(*SUBMIT, "--json")
    assert done.code == 1, done
    assert [line["test_name"] for line in done.of("test_result")] == ["Test 1", "Test 2", "Test 3"]
    assert [line["status"] for line in done.of("status_update")][-1] == "completed"
    looks = [request.at for request in server.asked("GET", f"{API}/submissions/7")]
    assert 9 <= looks[-1] - looks[-2] <= 10 + SLACK_S
    assert done.states().count("open") == 1, "the socket itself is not given up"


@other
async def completed_without_results(command: Commands) -> None:
    """`completed` with no result at all is no verdict: exit 6, never 0."""
    platform = OtherPlatform(without_results=True, silent=True, pace_s=0.01)
    async with running(command, platform) as (_, subcli):
        done = await subcli("watch", "7", "--json", *AT)
    assert done.code == 6, done
    assert done.last["error"]["kind"] == "server"


@other
async def other_terminal_statuses(command: Commands) -> None:
    """Every terminal status but `completed` is `failed`: exit 1."""
    for status in ("failed", "build_failed", "deploy_failed", "validation_failed", "cancelled"):
        platform = OtherPlatform(status=status)
        platform.start = lambda: None  # type: ignore[method-assign]
        async with running(command, platform) as (_, subcli):
            done = await subcli("watch", "7", "-q", *AT)
        assert (done.code, done.out) == (1, "failed\n"), (status, done)


@other
async def bad_token(command: Commands) -> None:
    """A bad token: the handshake fails with 403, REST says 401; exit 4. With the right one all is well."""
    async with running(command, OtherPlatform(token="another")) as (server, subcli):
        done = await subcli("watch", "7", "--json", *AT)
    assert done.code == 4, done
    assert len(server.connects) == 1
    async with running(command, OtherPlatform(token=CANARIES["token"])) as (_, subcli):
        done = await subcli("watch", "7", "--json", *AT)
    assert done.code == 0, done


@other
async def several_commands(command: Commands) -> None:
    """`status` and an unknown problem work on it as well."""
    async with running(command, OtherPlatform(status="completed", done=3)) as (_, subcli):
        status = await subcli("status", "7", "--json", *AT)
        unknown = await subcli("submit", "o.py", "--problem", "leader-erection", *AT)
    assert status.code == 0, status
    assert len(status.lines[0]["tests"]) == 3
    assert (unknown.code, "leader-election, log-replication" in unknown.err) == (5, True), unknown
