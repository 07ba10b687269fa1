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

pytestmark = pytest.mark.side_by_side
AT = ("--profile", "other")
SUBMIT = ("submit", "o.py", "--problem", "leader-election", *AT)


@contextlib.asynccontextmanager
async def running(command: Commands, platform: OtherPlatform) -> AsyncIterator[tuple[Server, Commands]]:
    """Serve the platform, and run the program with a profile that leads to it."""
    (command.cwd / "o.py").write_text("pass")
    async with scripted(platform.socket, rest=platform) as server:
        home = command.cwd / f"home-{server.port}"
        write_profile(home, profile(server))
        yield server, Commands({**command.env, "HOME": str(home)}, command.cwd, command.printed)


def write_profile(home: Path, text: str) -> None:
    """Write a user file."""
    directory = home / ".config/subcli"
    directory.mkdir(parents=True)
    (directory / "config.toml").write_text(text)


@pytest.mark.parametrize(("failing", "code"), [(False, 0), (True, 1)], ids=["passing", "failing"])
async def test_ndjson(command: Commands, failing: bool, code: int) -> None:
    """`--json` shows its events as they came, each once; the verdict is the snapshot's, as `complete` never comes."""
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


async def test_with_complete(command: Commands) -> None:
    """Where `complete` does come, it decides."""
    platform = OtherPlatform(completes=True)
    async with running(command, platform) as (_, subcli):
        done = await subcli(*SUBMIT, "--json")
    assert done.code == 0
    assert done.last["summary"]["duration_ms"] == 600


async def test_plain_and_quiet(command: Commands) -> None:
    """`--plain` shows results and the analysis, `-q` nothing but the verdict."""
    async with running(command, OtherPlatform(failing=True)) as (_, subcli):
        plain = await subcli(*SUBMIT, "--plain")
    assert plain.code == 1, plain
    for words in ("Test 1", "Test 2", "Test 3", "The node did not answer in time.", "Look at the election timeout."):
        assert plain.out.count(words) >= 1, plain.out
    assert "verdict: failed" in plain.out
    async with running(command, OtherPlatform()) as (_, subcli):
        quiet = await subcli("watch", "7", "-q", *AT)
    assert (quiet.code, quiet.out, quiet.err) == (0, "passed\n", "")


async def test_live_view(command: Commands) -> None:
    """A terminal shows the progress while it runs, and the summary stays."""
    async with (
        running(command, OtherPlatform(failing=True, pace_s=0.6)) as (_, subcli),
        Terminal(subcli, *SUBMIT) as tty,
    ):
        await tty.until(lambda text: "Test 1" in text)
        assert await tty.end(60) == 1, tty.text
        assert "Test 2" in tty.text
        assert "failed" in tty.text
        assert tty.after == tty.before


async def test_silent_socket(command: Commands) -> None:
    """While a socket stays silent REST is asked every 10 s, and what is new is shown as if the socket had sent it."""
    platform = OtherPlatform(silent=True, failing=True, pace_s=1)
    async with running(command, platform) as (server, subcli):
        done = await subcli(*SUBMIT, "--json")
    assert done.code == 1, done
    assert [line["test_name"] for line in done.of("test_result")] == ["Test 1", "Test 2", "Test 3"]
    assert [line["status"] for line in done.of("status_update")][-1] == "completed"
    looks = [request.at for request in server.asked("GET", f"{API}/submissions/7")]
    assert 9 <= looks[-1] - looks[-2] <= 10 + done.allowance_s
    assert done.states().count("open") == 1, "the socket itself is not given up"


@pytest.mark.long
async def test_completed_without_results(command: Commands) -> None:
    """`completed` without any result is not a verdict: exit 6 after asking again for 30 s, never 0."""
    platform = OtherPlatform(without_results=True, silent=True, pace_s=0.01)
    async with running(command, platform) as (_, subcli):
        done = await subcli("watch", "7", "--json", *AT)
    assert done.code == 6, done
    assert done.last["error"]["kind"] == "server"


async def test_verdict_told_by_a_status(command: Commands) -> None:
    """A terminal status on the socket asks for the snapshot at once, not after ten seconds of silence."""
    platform = OtherPlatform(statuses_only=True, pace_s=0.01)
    async with running(command, platform) as (server, subcli):
        done = await subcli("watch", "7", "--json", *AT)
    assert done.code == 0, done
    assert len(done.of("test_result")) == 3
    # The heartbeat would have asked in ten seconds.
    at = [request.at for request in server.asked("GET", f"{API}/submissions/7")]
    assert at[-1] - at[0] < 8


async def test_completed_with_results_that_still_run(command: Commands) -> None:
    """It is no verdict yet: what ends a moment later counts, here a failure."""
    platform = OtherPlatform(failing=True, unfinished=2, statuses_only=True, pace_s=0.05)
    async with running(command, platform) as (_, subcli):
        done = await subcli("watch", "7", "--json", *AT)
    assert (done.code, done.last["final_status"]) == (1, "failed"), done
    assert done.last["summary"]["total_tests"] == 3


async def test_status_error(command: Commands) -> None:
    """`error` is the judge's own fault: exit 6, and what it says about it is shown."""
    reasons = {"error_message": "no machine is free", "build_logs": "line 1\nline 2"}
    async with running(command, OtherPlatform(status="error", judges=False, reasons=reasons)) as (_, subcli):
        watched = await subcli("watch", "7", "--plain", *AT)
        status = await subcli("status", "7", *AT)
    assert (watched.code, status.code) == (6, 0), watched
    for done in (watched, status):
        assert "no machine is free" in done.out
        assert "line 2" in done.out


@pytest.mark.thorough
async def test_failure_says_why(command: Commands) -> None:
    """`details.error` of a result is its message, over the socket and over REST."""
    async with running(command, OtherPlatform(failing=True)) as (_, subcli):
        watched = await subcli("watch", "7", "--plain", *AT)
        status = await subcli("status", "7", *AT)
    assert "no leader after 5 s" in watched.out
    assert "no leader after 5 s" in status.out


@pytest.mark.thorough
async def test_three_tests_called_basic(command: Commands) -> None:
    """Known by id on the socket, by their rows over REST: three tests, one of them failed, in each view and report."""
    platform = OtherPlatform(failing=True, basic=True, pace_s=0.05)
    report = command.cwd / "r.xml"
    async with running(command, platform) as (_, subcli):
        done = await subcli("watch", "7", "--json", "--junit-xml", str(report), *AT)
    assert done.code == 1, done
    assert [line["status"] for line in done.of("test_result")] == ["passed", "failed", "passed"]
    assert done.last["summary"]["total_tests"] == 3
    text = report.read_text()
    assert text.count("<testcase ") == 3
    for kind in ("functional", "performance", "chaos"):
        assert f".{kind}" in text


@pytest.mark.thorough(measured=True)
async def test_doctor(command: Commands) -> None:
    """Without `/info` and `/auth/me`, a request says whether a token is needed, and whether ours is accepted."""
    for token, given, state, words in (
        (None, "", "ok", "none needed"),
        ("right", "", "failed", "none for this server"),
        ("right", "right", "ok", "accepted"),
        ("right", "expired", "failed", "not accepted"),
    ):
        async with running(command, OtherPlatform(token=token)) as (_, subcli):
            done = await subcli("doctor", "--json", *AT, env={"SUBCLI_TOKEN": given})
        found = {line["name"]: line for line in done.lines[0]["doctor"]["findings"]}["token"]
        assert (found["state"], words in found["detail"]) == (state, True), found


async def test_list_cancel_and_open(command: Commands) -> None:
    """It ignores the filter, so the client applies it; it cannot cancel, and says so."""
    async with running(command, OtherPlatform()) as (_, subcli):
        listed = await subcli("list", "--problem", "leader-election", "-q", *AT)
        cancelled = await subcli("cancel", "7", *AT)
        absent = await subcli("cancel", "8", *AT)
    assert (listed.code, listed.out) == (0, "7\n"), listed
    assert (cancelled.code, "cannot cancel" in cancelled.err) == (6, True), cancelled
    assert absent.code == 5, absent


@pytest.mark.parametrize(
    "status",
    [
        "deploy_failed",
        *(
            pytest.param(status, marks=pytest.mark.thorough)
            for status in ("failed", "build_failed", "validation_failed", "cancelled")
        ),
    ],
)
async def test_other_terminal_statuses(command: Commands, status: str) -> None:
    """Every terminal status but `completed` counts as `failed`: exit 1."""
    async with running(command, OtherPlatform(status=status, judges=False)) as (_, subcli):
        done = await subcli("watch", "7", "-q", *AT)
    assert (done.code, done.out) == (1, "failed\n"), done


@pytest.mark.thorough(measured=True)
async def test_bad_token(command: Commands) -> None:
    """A bad token, for which the handshake fails with 403 and REST says 401, exits 4; the right one works."""
    async with running(command, OtherPlatform(token="another")) as (server, subcli):
        done = await subcli("watch", "7", "--json", *AT)
    assert done.code == 4, done
    assert len(server.connects) == 1
    async with running(command, OtherPlatform(token=CANARIES["token"])) as (_, subcli):
        done = await subcli("watch", "7", "--json", *AT)
    assert done.code == 0, done


async def test_status_and_unknown_problem(command: Commands) -> None:
    """`status` shows its results, and an unknown problem lists those that exist."""
    async with running(command, OtherPlatform(status="completed", done=3)) as (_, subcli):
        status = await subcli("status", "7", "--json", *AT)
        unknown = await subcli("submit", "o.py", "--problem", "leader-erection", *AT)
    assert status.code == 0, status
    assert len(status.lines[0]["tests"]) == 3
    assert (unknown.code, "leader-election, log-replication" in unknown.err) == (5, True), unknown
