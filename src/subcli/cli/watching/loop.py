"""The loop behind ``submit`` and ``watch``: any number of sessions into one view, and one exit code."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Final, Protocol

from subcli.cli import exits
from subcli.cli.common import with_options
from subcli.cli.runtime import Interrupts, stoppable
from subcli.cli.streams import Streams
from subcli.cli.watching.notices import StderrNotices
from subcli.cli.watching.options import Options
from subcli.client.session import Shown
from subcli.core.errors import InterruptedByUser, ServerError, SubcliError
from subcli.core.submission import Connection
from subcli.core.watch import Watch
from subcli.output.terminal.report import report
from subcli.output.view import Ending, View

FIRST_TICK_S: Final = 0.03
"""From the first event to the first tick. A submission that is over by then never flashes up as a live view."""


class Session(Protocol):
    """One submission, followed to its verdict, wherever it is judged."""

    watch: Watch

    def batches(self) -> AsyncGenerator[Sequence[Shown], None]:
        """Everything new, in order and each event once, as many at a time as there are; ends after the verdict.

        Raises:
            SubcliError: no verdict can be had.
        """
        ...


async def follow_all(
    sessions: Sequence[Session],
    view: View,
    notices: StderrNotices,
    options: Options,
    interrupts: Interrupts,
    streams: Streams,
) -> int:
    """Follow every session to its end. Each gets exactly one last line.

    Returns:
        The highest exit code among them; if nobody reads the last line, that of ``--timeout`` or the signal.

    Raises:
        OSError: The output can no longer be written.
    """
    following = _Following(sessions, view, notices, options, interrupts, streams)
    least = exits.OK
    # Imported objects stay: without this, the collector scans them again and again while events arrive.
    gc.freeze()
    gc.enable()
    for session in sessions:
        # Add all before the first event: the prefix of lines depends on whether there are several.
        view.begin(session.watch)
    async with following.started() as tasks:
        try:
            with stoppable(view.suspend, view.resume, streams):
                async with asyncio.timeout(options.left()) as limit:
                    await following.wait_for(tasks)
                    await streams.read_by_all()
        except TimeoutError:
            if not limit.expired():
                raise
            if len(following.endings) == len(sessions):
                report(options.unread(), streams.stderr, streams.env)
            following.end_the_rest(options.timed_out)
            least = exits.of_kind("timeout")
        except asyncio.CancelledError:
            if interrupts.received is None:
                raise
            following.end_the_rest(interrupts.error)
            least = exits.of_error(interrupts.error())
        else:
            # Only --fail-fast leaves any: they do not change the exit code.
            following.end_the_rest(_cut_short, exit_code=exits.NOT_PASSED)
            await _look_around(view, interrupts, streams)
    return max(least, *(ending.exit_code for ending in following.endings.values()))


async def _look_around(view: View, interrupts: Interrupts, streams: Streams) -> None:
    """Wait as long as somebody looks around in the view. All is judged by then: Ctrl-C only ends this."""
    try:
        with stoppable(view.suspend, view.resume, streams):
            while view.is_held:
                view.tick()
                await asyncio.sleep(view.tick_s or 1)
    except asyncio.CancelledError:
        if interrupts.received is None:
            raise


def _cut_short(hint: str) -> InterruptedByUser:
    return InterruptedByUser("Not followed to its end, because of --fail-fast.", hint=hint)


class _Following:
    """Passes several sessions to one view.

    Attributes:
        endings: of those that have ended, by id.
    """

    def __init__(
        self,
        sessions: Sequence[Session],
        view: View,
        notices: StderrNotices,
        options: Options,
        interrupts: Interrupts,
        streams: Streams,
    ) -> None:
        self.endings: dict[int, Ending] = {}
        self._sessions = sessions
        self._view = view
        self._notices = notices
        self._options = options
        self._interrupts = interrupts
        self._streams = streams
        self._writers = streams.writers
        self._flush_due = False
        self._first_event = asyncio.Event()

    @contextlib.asynccontextmanager
    async def started(self) -> AsyncIterator[Sequence[asyncio.Task[None]]]:
        """Follow each session in a task of its own; at the end stop those that still run."""
        tasks = [asyncio.create_task(self.follow(session)) for session in self._sessions]
        background = [asyncio.create_task(self.tick(self._view.tick_s))] if self._view.tick_s is not None else []
        try:
            yield tasks
        finally:
            for task in (*background, *tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def wait_for(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Wait until every session has ended; with ``--fail-fast``, until one has without ``passed``."""
        for done in asyncio.as_completed(tasks):
            await done
            if self._options.fail_fast and any(ending.exit_code for ending in self.endings.values()):
                return

    async def follow(self, session: Session) -> None:
        """Show the events of one session, and how it ends."""
        submission_id = session.watch.submission_id
        loop = asyncio.get_running_loop()
        try:
            async with contextlib.aclosing(session.batches()) as batches:
                async for batch in batches:
                    for event in batch:
                        self._view.event(submission_id, event)
                        if isinstance(event, Connection):
                            self._notices.connection(submission_id, event)
                        else:
                            self._first_event.set()
                    if not self._flush_due:
                        # Runs when the socket has nothing more for the moment: not after each line.
                        self._flush_due = True
                        loop.call_soon(self._flush)
                    for writer in self._writers:
                        if writer.is_full:
                            await writer.room()
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

    async def tick(self, interval_s: float) -> None:
        """Tell the view regularly that time passes, and soon after the first event: that is when it first draws."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(interval_s):
                await self._first_event.wait()
                await asyncio.sleep(FIRST_TICK_S)
        while True:
            # Nobody sees a frame behind those that nobody has read yet.
            if not self._streams.unwritten:
                try:
                    self._view.tick()
                except OSError as failure:
                    self._interrupts.fail(failure)
                    return
            await asyncio.sleep(interval_s)

    def end(self, session: Session, error: SubcliError | None, *, exit_code: int | None = None) -> None:
        """Show the last line of one session: its verdict if there is one, whatever came afterwards.

        Args:
            error: why there is no verdict; ``None`` if the stream simply ended.
            exit_code: instead of the error's own.
        """
        submission_id, verdict = session.watch.submission_id, session.watch.verdict
        if verdict is not None:
            error, code = None, self._options.exit_code(verdict)
        else:
            hint = self._options.resume_hint(submission_id)
            error = error or ServerError("The stream ended without a verdict.", hint=hint)
            error.hint = with_options(error.hint, self._options.for_server)
            code = exits.of_error(error) if exit_code is None else exit_code
        ending = Ending(
            submission_id=submission_id,
            exit_code=code,
            verdict=verdict,
            error=error,
            follow_up=self._options.follow_up,
            at_home=self._options.at_home,
            options=self._options.for_server,
        )
        self.endings[submission_id] = ending
        self._view.end(ending)
        self._view.flush()
        self._notices.end(ending)

    def end_the_rest(self, why: Callable[[str], SubcliError], *, exit_code: int | None = None) -> None:
        """End all remaining submissions, each with its own error.

        Args:
            why: makes the error from a hint that says how to resume.
            exit_code: instead of the error's own.
        """
        for session in self._sessions:
            submission_id = session.watch.submission_id
            if submission_id not in self.endings:
                self.end(session, why(self._options.resume_hint(submission_id)), exit_code=exit_code)
