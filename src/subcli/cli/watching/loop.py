"""The loop behind ``submit`` and ``watch``: any number of sessions into one view, and one exit code."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import time
from collections.abc import Sequence

import msgspec

from subcli.cli import exits
from subcli.cli.common import Common
from subcli.cli.runtime import Interrupts, stoppable
from subcli.cli.watching.notices import StderrNotices
from subcli.client.session import Session
from subcli.core.errors import InterruptedByUser, ServerError, SubcliError, WatchTimeoutError
from subcli.core.submission import Connection
from subcli.output.view import Ending, View


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What ``submit`` and ``watch`` share beyond the common options.

    Attributes:
        timeout: seconds for everything together; ``None``: none.
        fail_fast: end at the first verdict that is not passed.
        max_attempts: reconnects in a row without a new event.
        compact, plain: how the view looks.
        notify: tell the person when it is over.
        after_seq: begin after this event.
        for_server: for the commands that are suggested (:meth:`subcli.cli.common.Common.for_server`).
        follow_up: the command suggested after a verdict other than passed; default: `subcli status ID`.
        started: monotonic seconds at which the command began.
    """

    timeout: float | None = None
    fail_fast: bool = False
    max_attempts: int = 5
    compact: bool = False
    plain: bool = False
    notify: bool = False
    after_seq: int = 0
    for_server: str = ""
    follow_up: str | None = None
    started: float = msgspec.field(default_factory=time.monotonic)

    def command(self, name: str, submission_id: int) -> str:
        """A command line that will reach the same submission."""
        return f"subcli {name} {submission_id}{self.for_server}"

    def left(self) -> float | None:
        """Seconds left of ``timeout``."""
        return None if self.timeout is None else max(0.0, self.started + self.timeout - time.monotonic())


async def follow_all(
    sessions: Sequence[Session], view: View, common: Common, options: Options, interrupts: Interrupts
) -> int:
    """Follow every session to its end and show it. Each gets exactly one last line.

    Returns:
        The highest exit code among them.

    Raises:
        OSError: the output cannot be written any more.
    """
    following = _Following(view, options, StderrNotices(common, len(sessions) > 1, sys.stderr), interrupts)
    # What has been imported stays: without this it is searched for garbage over and over while events come.
    gc.freeze()
    gc.enable()
    for session in sessions:
        # All before the first event: whether there are several decides how each line begins.
        view.begin(session.watch)
    tasks = [asyncio.create_task(following.follow(session)) for session in sessions]
    ticking = asyncio.create_task(following.tick()) if view.tick_s is not None else None
    try:
        with stoppable(view):
            async with asyncio.timeout(options.left()) as limit:
                await following.all_of(tasks, options)
        # Only --fail-fast leaves any: they do not change the exit code.
        for session in following.unfinished(sessions):
            error = InterruptedByUser("Not followed to its end: --fail-fast.", hint=_resume_hint(options, session))
            following.end(session, error, exit_code=exits.NOT_PASSED)
    except TimeoutError:
        if not limit.expired():
            raise
        for session in following.unfinished(sessions):
            following.end(session, timed_out(options, _resume_hint(options, session)))
    except asyncio.CancelledError:
        if interrupts.received is None:
            raise
        for session in following.unfinished(sessions):
            following.end(session, interrupts.error(_resume_hint(options, session)))
    finally:
        if ticking is not None:
            ticking.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return max(ending.exit_code for ending in following.endings.values())


class _Following:
    """Several sessions on their way into one view.

    Attributes:
        endings: of those that have ended, by id.
    """

    def __init__(self, view: View, options: Options, aside: StderrNotices, interrupts: Interrupts) -> None:
        self.endings: dict[int, Ending] = {}
        self._options = options
        self._view = view
        self._aside = aside
        self._interrupts = interrupts
        self._flush_due = False

    async def all_of(self, tasks: Sequence[asyncio.Task[None]], options: Options) -> None:
        """Until every task has ended; with ``--fail-fast`` until one did without ``passed``."""
        for done in asyncio.as_completed(tasks):
            await done
            if options.fail_fast and any(ending.exit_code for ending in self.endings.values()):
                return

    async def follow(self, session: Session) -> None:
        """Show what one session brings, and how it ends."""
        submission_id = session.watch.submission_id
        loop = asyncio.get_running_loop()
        try:
            async with contextlib.aclosing(session.events()) as events:
                async for event in events:
                    self._view.event(submission_id, event)
                    if isinstance(event, Connection):
                        self._aside.connection(submission_id, event)
                    if not self._flush_due:
                        # Runs when the socket has nothing more at this moment: not a flush for each line.
                        self._flush_due = True
                        loop.call_soon(self._flush)
        except SubcliError as error:
            self.end(session, error)
            return
        self.end(session, None)

    def _flush(self) -> None:
        self._flush_due = False
        try:
            self._view.flush()
        except OSError as failure:
            self._interrupts.fail(failure)

    async def tick(self) -> None:
        """Tell the view that time passes."""
        assert self._view.tick_s is not None
        while True:
            await asyncio.sleep(self._view.tick_s)
            try:
                self._view.tick()
            except OSError as failure:
                self._interrupts.fail(failure)
                return

    def end(self, session: Session, error: SubcliError | None, *, exit_code: int | None = None) -> None:
        """The last line of one session: its verdict if there is one, whatever came afterwards."""
        submission_id, verdict = session.watch.submission_id, session.watch.verdict
        if verdict is not None:
            code = exits.of_verdict(verdict.final_status)
            ending = Ending(
                submission_id=submission_id,
                exit_code=code,
                verdict=verdict,
                follow_up=self._options.follow_up,
                options=self._options.for_server,
            )
        else:
            error = error or ServerError(
                "The stream ended without a verdict.", hint=_resume_hint(self._options, session)
            )
            code = exits.of_error(error) if exit_code is None else exit_code
            ending = Ending(submission_id=submission_id, exit_code=code, error=error, options=self._options.for_server)
        self.endings[submission_id] = ending
        self._view.end(ending)
        self._view.flush()
        self._aside.end(ending)

    def unfinished(self, sessions: Sequence[Session]) -> list[Session]:
        """Those that have not ended."""
        return [session for session in sessions if session.watch.submission_id not in self.endings]


def timed_out(options: Options, hint: str) -> WatchTimeoutError:
    """The error for ``--timeout``."""
    return WatchTimeoutError(f"No verdict within {options.timeout:g} s.", hint=hint)


def _resume_hint(options: Options, session: Session) -> str:
    return f"Judging goes on; `{options.command('watch', session.watch.submission_id)}` takes it up again."
