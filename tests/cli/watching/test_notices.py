"""What stderr says beside `-q` and `--json`, and while a request waits to be repeated."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from rich.cells import cell_len

from subcli.cli.common import Common
from subcli.cli.watching.notices import Countdown, StderrNotices
from subcli.core.errors import InterruptedByUser, NetworkError
from subcli.core.submission import Connection, ConnectionState
from subcli.output.view import Ending
from tests.cli.sessions import polling
from tests.cli.streams import Captured, captured


@pytest.fixture
def streams(tmp_path: Path) -> Captured:
    """Streams in memory."""
    return captured(tmp_path)


def test_polling_is_said_once(streams: Captured) -> None:
    """The state is reported at every attempt; a log wants to read it once for each submission."""
    notices = StderrNotices(Common(quiet=True), several=True, streams=streams.streams)
    for _ in range(3):
        notices.connection(1, polling("HTTP 403"))
        notices.connection(1, Connection("reconnecting"))
    notices.connection(2, polling(""))
    assert streams.err.getvalue() == (
        "#1 polling, without the WebSocket: HTTP 403\n#2 polling, without the WebSocket\n"
    )


@pytest.mark.parametrize("common", [Common(), Common(json=True)])
def test_other_views_say_it_themselves(streams: Captured, common: Common) -> None:
    """Without `-q` the view shows that it polls."""
    StderrNotices(common, several=False, streams=streams.streams).connection(1, polling("HTTP 403"))
    assert streams.err.getvalue() == ""


INTERRUPTED = InterruptedByUser("Interrupted.", hint="`subcli watch 1`", signal_number=2)
LOST = NetworkError("No server answers.", hint="`--server`")


@pytest.mark.parametrize(
    ("common", "error", "said"),
    [
        (Common(quiet=True), LOST, True),
        (Common(quiet=True), INTERRUPTED, True),
        (Common(json=True), INTERRUPTED, True),
        (Common(json=True), LOST, False),
        (Common(), INTERRUPTED, False),
    ],
)
def test_why_there_is_no_verdict(
    streams: Captured, common: Common, error: InterruptedByUser | NetworkError, said: bool
) -> None:
    """`-q` says why; `--json` says on stderr how to resume; other views have said it."""
    notices = StderrNotices(common, several=False, streams=streams.streams)
    notices.end(Ending(submission_id=1, exit_code=6, error=error))
    assert (error.message in streams.err.getvalue()) is said
    assert (error.hint in streams.err.getvalue()) is said


async def test_short_waits_are_silent(streams: Captured) -> None:
    """What is over at once needs no line."""
    await Countdown(streams.streams)(0.0, "busy", False)
    assert streams.err.getvalue() == ""


async def test_long_waits_are_explained(streams: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where stderr is no terminal: one line with the reason, made harmless."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("subcli.cli.watching.notices.asyncio.sleep", sleep)
    await Countdown(streams.streams)(7.2, "busy\x1b[2J", True)
    assert slept == [7.2]
    assert streams.err.getvalue() == "retrying in 8 s: busy^[[2J\n"


@pytest.mark.parametrize("reason", ["the server is busy, " * 20, "\u4e2d\u6587" * 100])
async def test_countdown_stays_on_one_line(reason: str, tmp_path: Path) -> None:
    """A reason that wraps would leave a row of itself on the terminal every second."""

    streams = captured(tmp_path, tty=True, TERM="xterm")
    waiting = asyncio.ensure_future(Countdown(streams.streams)(30, reason, True))
    await asyncio.sleep(0)
    waiting.cancel()
    (shown,) = filter(None, streams.err.getvalue().split("\r\x1b[K"))
    assert shown.startswith("retrying in 30 s: ")
    assert cell_len(shown) < 80


@pytest.mark.parametrize("env", [{}, {"TERM": "dumb"}])
async def test_terminal_without_a_cursor(env: dict[str, str], tmp_path: Path) -> None:
    """A buffer in an editor, a serial console: a line, which no sequence takes back."""
    streams = captured(tmp_path, tty=True, **env)
    waiting = asyncio.ensure_future(Countdown(streams.streams)(30, "busy", True))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert streams.err.getvalue() == "retrying in 30 s: busy\n"


@pytest.mark.parametrize(
    ("common", "state", "answered"),
    [
        (Common(), "connecting", False),
        (Common(), "reconnecting", True),
        (Common(json=True), "reconnecting", False),
        (Common(quiet=True), "reconnecting", False),
        (Common(quiet=True), "open", True),
        (Common(json=True), "polling", True),
    ],
)
def test_what_ends_the_wait_for_an_answer(
    streams: Captured, common: Common, state: ConnectionState, answered: bool
) -> None:
    """A connection, or a line of the view that says why there is none."""
    calls: list[bool] = []
    notices = StderrNotices(common, False, streams.streams, lambda: calls.append(True))
    notices.connection(1, Connection(state))
    assert bool(calls) is answered
