"""`submit` and `watch` as functions: with a client of the test's own, and no process."""

from __future__ import annotations

import asyncio
import contextlib
import types
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from subcli.cli.common import Common
from subcli.cli.runtime import Interrupts
from subcli.cli.watching import options as options_module
from subcli.cli.watching import run
from subcli.cli.watching.operator import TerminalOperator
from subcli.cli.watching.options import Options
from subcli.client.feed import FeedSession
from subcli.client.session import Session
from subcli.core.errors import WatchTimeoutError
from subcli.core.watch import Watch
from subcli.settings.config import Settings
from subcli.workspace.source import read_source
from tests.cli.sessions import complete
from tests.cli.streams import captured

SETTINGS = Settings(server="http://127.0.0.1:1")


class Clock:
    """The clock that `--timeout` reads. It stands still unless told otherwise."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Client:
    """A server that takes its time for the POST and then never judges."""

    def __init__(self, clock: Clock, post_s: float) -> None:
        self._clock = clock
        self._post_s = post_s

    async def submit(self, source: object, **given: object) -> dict[str, Any]:
        self._clock.now += self._post_s
        if self._post_s > 10:
            await asyncio.Event().wait()
        return {"submission_id": 5, "url": "http://127.0.0.1:1/submissions/5"}

    async def latest(self) -> int:
        return 5

    def session(self, watch: Watch, **given: object) -> Session:
        return Unjudged(watch)  # type: ignore[return-value]


class Unjudged:
    """A submission whose verdict comes only after everybody has lost patience."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    async def batches(self) -> AsyncIterator[object]:
        await asyncio.sleep(5)
        yield self.watch.receive(complete(self.watch.submission_id, "passed")).events


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that the client moves."""
    clock = Clock()
    monkeypatch.setattr(options_module, "time", types.SimpleNamespace(monotonic=clock.monotonic))
    return clock


def serve(monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    """Connect to this client, whatever the settings are."""

    @contextlib.asynccontextmanager
    async def connect(*_: object, **__: object) -> AsyncIterator[Client]:
        yield client

    monkeypatch.setattr(run, "connect", connect)


@pytest.fixture
def job(tmp_path: Path) -> run.CodeToSubmit:
    """Something to submit."""
    (tmp_path / "a.py").write_text("x = 1\n")
    return run.CodeToSubmit(source=read_source([str(tmp_path / "a.py")]), problem="p", language="python")


def test_timeout_includes_the_submit(
    clock: Clock, job: run.CodeToSubmit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of ten seconds the POST took almost all: the watch has the rest, and does not start a new ten."""
    serve(monkeypatch, Client(clock, post_s=9.9))
    here = captured(tmp_path)
    options = Options(timeout=10.0, started=clock.now)
    assert run.submit(Common(json=True), here.streams, options, SETTINGS, job) == 7
    assert here.json["error"]["message"] == "No verdict within 10 s."
    assert "`subcli watch 5`" in here.json["error"]["hint"]


def test_timeout_during_the_submit(
    clock: Clock, job: run.CodeToSubmit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No answer to the POST in time: nobody knows whether it arrived."""
    serve(monkeypatch, Client(clock, post_s=11.0))
    options = Options(timeout=0.05, started=clock.now)
    with pytest.raises(WatchTimeoutError) as raised:
        run.submit(Common(json=True), captured(tmp_path).streams, options, SETTINGS, job)
    assert raised.value.hint == "The submission may not have arrived; `subcli list` shows what did."


@pytest.mark.parametrize(
    ("common", "out"),
    [
        (Common(quiet=True), "5\n"),
        (Common(), "Submitted #5  http://127.0.0.1:1/submissions/5\n"),
    ],
)
def test_no_watch(
    clock: Clock,
    job: run.CodeToSubmit,
    common: Common,
    out: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The id is printed, the verdict is not waited for, and the command to watch it is named on stderr."""
    serve(monkeypatch, Client(clock, post_s=0.0))
    here = captured(tmp_path)
    assert run.submit(common, here.streams, Options(), SETTINGS, job, no_watch=True) == 0
    assert here.out.getvalue() == out
    assert ("`subcli watch 5`" in here.err.getvalue()) is not common.quiet


@pytest.mark.parametrize(
    ("left", "said"),
    [(2, "2 attempts left."), (1, "1 attempt left."), (0, "This was your last attempt."), (None, ""), ("x", "")],
)
def test_attempts_left(
    clock: Clock, job: run.CodeToSubmit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: object, said: str
) -> None:
    """A person learns it where the problem limits attempts; programs read the answer."""

    class Limited(Client):
        async def submit(self, source: object, **given: object) -> dict[str, Any]:
            return {**await super().submit(source), "attempts_left": left}

    serve(monkeypatch, Limited(clock, post_s=0.0))
    for tty, quiet in ((True, False), (False, False), (True, True)):
        here = captured(tmp_path, tty=tty)
        assert run.submit(Common(quiet=quiet), here.streams, Options(), SETTINGS, job, no_watch=True) == 0
        assert ("attempt" in here.err.getvalue()) == (tty and not quiet and said != "")
        assert said in here.err.getvalue() or not tty or quiet


def test_watch_the_latest(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an id the latest submission is watched."""
    serve(monkeypatch, Client(clock, post_s=0.0))
    here = captured(tmp_path)
    options = Options(timeout=0.01, started=clock.now)
    assert run.watch(Common(json=True), here.streams, options, SETTINGS, []) == 7
    assert here.json["submission_id"] == 5


@pytest.mark.parametrize("ids", [[], [5]])
def test_watch_an_earlier_run(clock: Clock, ids: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its log is followed by its name, and the command that goes on names it too."""
    asked: list[tuple[int, int]] = []
    followed: list[str | None] = []

    class Judged(Client):
        async def epoch_of_run(self, submission_id: int, run: int) -> str:
            asked.append((submission_id, run))
            return "name-of-1"

        def session(self, watch: Watch, **given: object) -> Session:
            followed.append(watch.epoch)
            return super().session(watch)

    serve(monkeypatch, Judged(clock, post_s=0.0))
    here = captured(tmp_path)
    options = Options(timeout=0.01, judging=1, started=clock.now)
    assert run.watch(Common(json=True), here.streams, options, SETTINGS, ids) == 7
    assert (asked, followed) == ([(5, 1)], ["name-of-1"])
    assert "`subcli watch 5 --run 1` resumes watching." in here.json["error"]["hint"]


@pytest.mark.parametrize(
    ("common", "has_page", "shown"),
    [(Common(), True, True), (Common(), False, False), (Common(json=True), False, True)],
)
def test_page_that_goes_with_the_command_is_not_named(
    clock: Clock,
    job: run.CodeToSubmit,
    common: Common,
    has_page: bool,
    shown: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who reads the screen would find a dead link there; a program may use the address in time."""
    serve(monkeypatch, Client(clock, post_s=0.0))
    here = captured(tmp_path)
    options = Options(timeout=0.01, has_page=has_page, started=clock.now)
    assert run.submit(common, here.streams, options, SETTINGS, job) == 7
    assert ("http" in here.out.getvalue()) is shown


@pytest.mark.parametrize("offered", [True, False])
def test_who_is_asked_for_output(offered: bool) -> None:
    """A feed, or each session; where a server's feeds have none, what to do instead is said."""
    asked: list[str] = []

    class Asked:
        def ask_for_output(self) -> None:
            asked.append("asked")

    operator = TerminalOperator(cast(Interrupts, None), SETTINGS)
    operator.feed = cast(FeedSession, types.SimpleNamespace(ask_for_output=lambda: offered))
    assert ("`subcli watch ID --logs`" in operator.ask_for_output()) is not offered
    operator = TerminalOperator(cast(Interrupts, None), SETTINGS)
    operator.sessions = [cast(Session, Asked()), cast(Session, Asked())]
    assert operator.ask_for_output() == ""
    assert asked == ["asked", "asked"]
    assert TerminalOperator(cast(Interrupts, None), None).ask_for_output() == ""
