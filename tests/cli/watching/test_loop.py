"""The loop behind `submit` and `watch`: who ends when, with which code, and what is said then."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import pytest

from subcli.cli.common import Common
from subcli.cli.runtime import Interrupts
from subcli.cli.watching.loop import follow_all
from subcli.cli.watching.notices import StderrNotices
from subcli.cli.watching.options import Options
from subcli.client.session import Session
from subcli.core.watch import Watch
from subcli.output.view import Ending, NullView
from tests.cli.sessions import polling, scripted
from tests.cli.streams import captured
from tests.hang import HANG_S


class Endings(NullView):
    """Keeps how each submission ended."""

    def __init__(self) -> None:
        super().__init__()
        self.by_id: dict[int, Ending] = {}

    def end(self, ending: Ending) -> None:
        assert ending.submission_id is not None
        assert ending.submission_id not in self.by_id, "one last line for each submission"
        self.by_id[ending.submission_id] = ending


async def follow(
    *sessions: Session,
    options: Options | None = None,
    interrupts: Interrupts | None = None,
    view: Endings | None = None,
) -> tuple[int, dict[int, Ending]]:
    """Follow sessions; the exit code, and how each ended."""
    view = view or Endings()
    notices = StderrNotices(Common(), len(sessions) > 1, captured(Path()).streams)
    async with asyncio.timeout(HANG_S):
        code = await follow_all(
            sessions, view, notices, options or Options(), interrupts or Interrupts(), captured(Path()).streams
        )
    return code, view.by_id


@pytest.mark.parametrize(("verdicts", "code"), [(("passed", "passed"), 0), (("passed", "failed"), 1), (("error",), 6)])
async def test_highest_code(verdicts: tuple[str, ...], code: int) -> None:
    """The exit code is the highest among the submissions."""
    found, endings = await follow(*(scripted(number, verdict) for number, verdict in enumerate(verdicts, 1)))
    assert found == code
    assert [ending.verdict and ending.verdict.final_status for ending in endings.values()] == list(verdicts)


async def test_fail_fast_ends_at_the_first_verdict_that_is_not_passed() -> None:
    """The other submission never ends; it is reported, says how to resume, and does not raise the exit code."""
    never = asyncio.Event()
    sessions = scripted(1, never), scripted(2, "failed"), scripted(3, "passed")
    code, endings = await follow(*sessions, options=Options(fail_fast=True))
    assert code == 1
    assert endings[1].error is not None
    assert endings[1].exit_code == 1
    assert "--fail-fast" in endings[1].error.message
    assert "`subcli watch 1`" in endings[1].error.hint


async def test_without_fail_fast_all_are_followed() -> None:
    """A verdict that is not passed does not end the others."""
    gate = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, gate.set)
    code, endings = await follow(scripted(1, gate, "passed"), scripted(2, "failed"))
    assert code == 1
    assert endings[1].exit_code == 0


async def test_fail_fast_passes_over_what_passed() -> None:
    """A passed submission does not end the others."""
    gate = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, gate.set)
    code, endings = await follow(scripted(1, gate, "passed"), scripted(2, "passed"), options=Options(fail_fast=True))
    assert (code, len(endings)) == (0, 2)


async def test_timeout_counts_from_the_start_of_the_command() -> None:
    """What was spent before the watch, on submitting, is not given back: 7, and the verdict that is there stands."""
    options = Options(timeout=1000.0, started=time.monotonic() - 1000.0)
    code, endings = await follow(scripted(1, asyncio.Event()), options=options)
    assert code == 7
    assert endings[1].error is not None
    assert endings[1].error.message == "No verdict within 1000 s."
    assert "`subcli watch 1`" in endings[1].error.hint


async def test_interrupt_reports_each_before_any_socket_is_closed() -> None:
    """Closing a socket may take long; the last line does not wait for it."""
    closing = asyncio.Event()
    told: list[int] = []

    class SlowToClose(Endings):
        def end(self, ending: Ending) -> None:
            super().end(ending)
            told.append(ending.exit_code)
            assert not closing.is_set()

    class Closing:
        def __init__(self) -> None:
            self.watch = scripted(1).watch

        async def batches(self):  # type: ignore[no-untyped-def]
            try:
                await asyncio.Event().wait()
                yield
            finally:
                closing.set()

    view = SlowToClose()
    notices = StderrNotices(Common(), False, captured(Path()).streams)

    async def main() -> int:
        interrupts = Interrupts(asyncio.current_task())
        asyncio.get_running_loop().call_soon(interrupts.interrupt, signal.SIGINT)
        return await follow_all([Closing()], view, notices, Options(), interrupts, captured(Path()).streams)

    assert await asyncio.create_task(main()) == 130
    assert told == [130]
    error = view.by_id[1].error
    assert error is not None
    assert error.message == "Interrupted."
    assert "`subcli watch 1`" in error.hint


@pytest.mark.parametrize(("verdict", "code"), [("passed", 0), ("failed", 1)])
async def test_interrupt_after_the_verdict(verdict: str, code: int) -> None:
    """Whoever sees the verdict and presses Ctrl-C interrupts nothing, however early it arrives."""
    task = asyncio.current_task()
    interrupts = Interrupts(task)

    class Pressed(Endings):
        def end(self, ending: Ending) -> None:
            super().end(ending)
            interrupts.interrupt(signal.SIGINT)

    assert (await follow(scripted(1, verdict), interrupts=interrupts, view=Pressed()))[0] == code


async def test_demo_does_not_suggest_a_server_that_has_ended() -> None:
    """Where the server ends with the command, neither hint nor next command names a submission on it."""
    never = asyncio.Event()
    resume = "`subcli serve` starts one that stays."
    options = Options(timeout=0.01, follow_up="subcli serve", resume=resume, started=time.monotonic() - 1)
    _, endings = await follow(scripted(1, never), options=options)
    assert endings[1].error is not None
    assert "subcli watch" not in endings[1].error.hint
    assert "`subcli serve`" in endings[1].error.hint
    assert endings[1].follow_up == "subcli serve"


async def test_stream_without_a_verdict() -> None:
    """It is never 0."""
    code, endings = await follow(scripted(1, polling("blocked")))
    assert code == 6
    assert endings[1].error is not None
    assert endings[1].error.message == "The stream ended without a verdict."


async def test_first_event_is_shown_without_waiting_for_a_tick() -> None:
    """The first event brings the first tick; a view whose ticks are an hour apart need not wait for one."""
    gate = asyncio.Event()

    class Hourly(Endings):
        tick_s: float | None = 3600.0

        def tick(self) -> None:
            gate.set()

    testing = Watch(1).receive('{"type": "status_update", "submission_id": 1, "status": "testing"}').events[0]
    code, endings = await follow(scripted(1, testing, gate, "passed"), view=Hourly())
    assert (code, len(endings)) == (0, 1)
