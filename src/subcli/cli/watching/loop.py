"""The loop behind ``submit`` and ``watch``: any number of sessions, or a feed, into one view, and one exit code."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from subcli.cli import exits
from subcli.cli.common import with_options
from subcli.cli.runtime import Interrupts, stoppable
from subcli.cli.streams import Streams
from subcli.cli.watching.notices import StderrNotices
from subcli.cli.watching.options import Options
from subcli.client.session import Shown
from subcli.core.errors import InterruptedByUser, ServerError, SubcliError, name_submission
from subcli.core.submission import Connection
from subcli.core.watch import Watch
from subcli.output.terminal.report import report
from subcli.output.view import Ending, View
from subcli.shared.protocol import CloseCode

if TYPE_CHECKING:
    from subcli.client import feed as client_feed
    from subcli.client.singly import Followed
    from subcli.core.feed import Item

FIRST_TICK_S: Final = 0.03
"""From the first event to the first tick. A submission that is over by then never flashes up as a live view."""
_LAST_OUTPUT_S: Final = 0.2
"""How long an interrupt after the last verdict waits for those who read it."""


class Session(Protocol):
    """One submission, followed to its verdict, wherever it is judged."""

    watch: Watch

    def batches(self) -> AsyncGenerator[Sequence[Shown], None]:
        """Everything new, in order and each event once, as many at a time as there are; ends after the verdict.

        Raises:
            SubcliError: no verdict can be had.
        """
        ...


class Feed(Protocol):
    """Many submissions, which join and leave (:class:`subcli.client.feed.FeedSession`)."""

    def batches(self) -> AsyncGenerator[Sequence[client_feed.Shown], None]:
        """What happens to them, in order; ends when all have left.

        Raises:
            SubcliError: they cannot be followed.
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
    following = _Following(view, notices, options, interrupts, streams)
    for session in sessions:
        # Add all before the first event: the prefix of lines depends on whether there are several.
        following.begin(session.watch)
    return await _follow([following.follow(session) for session in sessions], following)


async def follow_feed(
    feed: Feed,
    view: View,
    notices: StderrNotices,
    options: Options,
    interrupts: Interrupts,
    streams: Streams,
) -> int:
    """Follow the submissions of a feed until all have ended. Each gets exactly one last line.

    Returns:
        As :func:`follow_all`.

    Raises:
        SubcliError: There was none, or they cannot be followed.
        OSError: The output can no longer be written.
    """
    following = _Following(view, notices, options, interrupts, streams)
    return await _follow([following.follow_feed(feed)], following)


async def _follow(works: Sequence[Coroutine[Any, Any, None]], following: _Following) -> int:
    """Do this work to its end, or as far as time, signals and options allow; the exit code."""
    view, options = following.view, following.options
    interrupts, streams = following.interrupts, following.streams
    least = exits.OK
    # Imported objects stay: without this, the collector scans them again and again while events arrive.
    gc.freeze()
    gc.enable()
    async with following.started(works) as tasks:
        try:
            with stoppable(view.suspend, view.resume, streams):
                async with asyncio.timeout(options.left()) as limit:
                    await following.wait_for(tasks)
                    await streams.read_by_all()
        except TimeoutError:
            if not limit.expired():
                raise
            if not following.running:
                report(options.unread(), streams.stderr, streams.env)
            following.end_the_rest(options.timed_out)
            least = exits.of_kind("timeout")
        except asyncio.CancelledError:
            if interrupts.received is None:
                raise
            if following.is_over:
                streams.settle(_LAST_OUTPUT_S)
            # Who has seen all verdicts interrupts nothing.
            if not following.is_over or streams.unwritten:
                following.end_the_rest(interrupts.error)
                least = exits.of_error(interrupts.error())
        else:
            # Only --fail-fast leaves any: they do not change the exit code.
            following.end_the_rest(_cut_short, exit_code=exits.NOT_PASSED)
            await _look_around(view, interrupts, streams)
    return max(least, following.exit_code)


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
    """Passes submissions to one view.

    Attributes:
        running: the watches of those that have not ended, by id.
        exit_code: the highest one of those that have ended. Of one that was judged again, the latest judging counts.
    """

    def __init__(
        self,
        view: View,
        notices: StderrNotices,
        options: Options,
        interrupts: Interrupts,
        streams: Streams,
    ) -> None:
        self.running: dict[int, Watch] = {}
        self.view = view
        self.options = options
        self.interrupts = interrupts
        self.streams = streams
        self._notices = notices
        self._writers = streams.writers
        self._flush_due = False
        self._exit_codes: dict[int, int] = {}
        self._first_event = asyncio.Event()

    def begin(self, watch: Watch) -> None:
        """Add a submission, or one that is judged again."""
        self._exit_codes.pop(watch.submission_id, None)
        self.running[watch.submission_id] = watch
        self.view.begin(watch)

    @contextlib.asynccontextmanager
    async def started(self, works: Sequence[Coroutine[Any, Any, None]]) -> AsyncIterator[Sequence[asyncio.Task[None]]]:
        """Do each work in a task of its own; at the end stop those that still run."""
        tasks = [asyncio.create_task(work) for work in works]
        background = [asyncio.create_task(self.tick(self.view.tick_s))] if self.view.tick_s is not None else []
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
            if self._must_stop:
                return

    @property
    def is_over(self) -> bool:
        """Whether all that was begun has ended; a feed may not have begun anything yet."""
        return bool(self._exit_codes) and not self.running

    @property
    def exit_code(self) -> int:
        return max(self._exit_codes.values(), default=exits.OK)

    @property
    def _must_stop(self) -> bool:
        return self.options.fail_fast and self.exit_code != exits.OK

    async def follow(self, session: Session) -> None:
        """Show the events of one session, and how it ends."""
        watch = session.watch
        try:
            async with contextlib.aclosing(session.batches()) as batches:
                async for batch in batches:
                    self._show(watch.submission_id, batch)
                    await self._written()
        except SubcliError as error:
            self.end(watch, error)
            return
        self.end(watch, None)

    async def follow_feed(self, feed: Feed) -> None:
        """Show what happens to the submissions of a feed, and how each ends."""
        connection = Connection("connecting")
        try:
            async with contextlib.aclosing(feed.batches()) as batches:
                async for batch in batches:
                    for item in batch:
                        if isinstance(item, Connection):
                            connection = item
                            self.view.shared(list(self.running), item)
                            self._notices.connection(None, item)
                        else:
                            self._show_item(item, connection)
                    if self._must_stop:
                        return
                    await self._written()
        except SubcliError as error:
            if not self.running:
                raise
            for watch in list(self.running.values()):
                self.end(watch, _copy(error, watch.submission_id))

    def _show_item(self, item: Item | Followed, connection: Connection) -> None:
        """Show what happened to one submission of a feed.

        Args:
            connection: the state of the connection that they share.
        """
        from subcli.core.feed import Joined, Left

        match item:
            case Joined(watch):
                self.begin(watch)
                if connection.state == "open":
                    self.view.event(watch.submission_id, connection)
            case Left(watch, error):
                if watch.verdict is not None and watch.connection.state != "closed":
                    self.view.event(watch.submission_id, Connection("closed", code=CloseCode.NORMAL))
                self.end(watch, error)
            case _:
                self._show(item.watch.submission_id, item.events)

    def _show(self, submission_id: int, events: Sequence[Shown]) -> None:
        for event in events:
            self.view.event(submission_id, event)
            if isinstance(event, Connection):
                self._notices.connection(submission_id, event)
            else:
                self._first_event.set()

    async def _written(self) -> None:
        """Flush soon, and wait until there is room for more output."""
        if not self._flush_due:
            # Runs when the socket has nothing more for the moment: not after each line.
            self._flush_due = True
            asyncio.get_running_loop().call_soon(self._flush)
        for writer in self._writers:
            if writer.is_full:
                await writer.room()

    def _flush(self) -> None:
        self._flush_due = False
        try:
            self.view.flush()
        except OSError as failure:
            self.interrupts.fail(failure)

    async def tick(self, interval_s: float) -> None:
        """Tell the view regularly that time passes, and soon after the first event: that is when it first draws."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(interval_s):
                await self._first_event.wait()
                await asyncio.sleep(FIRST_TICK_S)
        while True:
            # Nobody sees a frame behind those that nobody has read yet.
            if not self.streams.unwritten:
                try:
                    self.view.tick()
                except OSError as failure:
                    self.interrupts.fail(failure)
                    return
            await asyncio.sleep(interval_s)

    def end(self, watch: Watch, error: SubcliError | None, *, exit_code: int | None = None) -> None:
        """Show the last line of one submission: its verdict if there is one, whatever came afterwards.

        Args:
            error: why there is no verdict; ``None`` if the stream simply ended.
            exit_code: instead of the error's own.
        """
        submission_id, verdict = watch.submission_id, watch.verdict
        if verdict is not None:
            error, code = None, self.options.exit_code(verdict)
        else:
            hint = self.options.resume_hint(submission_id)
            error = error or ServerError("The stream ended without a verdict.", hint=hint)
            error.hint = with_options(error.hint, self.options.for_server)
            code = exits.of_error(error) if exit_code is None else exit_code
        ending = Ending(
            submission_id=submission_id,
            exit_code=code,
            verdict=verdict,
            error=error,
            follow_up=self.options.follow_up_of(submission_id),
            at_home=self.options.at_home,
            options=self.options.for_server,
        )
        self.running.pop(submission_id, None)
        self._exit_codes[submission_id] = code
        self.view.end(ending)
        self.view.flush()
        self._notices.end(ending)

    def end_the_rest(self, why: Callable[[str], SubcliError], *, exit_code: int | None = None) -> None:
        """End all remaining submissions, each with its own error.

        Args:
            why: makes the error from a hint that says how to resume.
            exit_code: instead of the error's own.
        """
        for submission_id, watch in list(self.running.items()):
            self.end(watch, why(self.options.resume_hint(submission_id)), exit_code=exit_code)


def _copy(error: SubcliError, submission_id: int) -> SubcliError:
    """The error of one of many submissions that have the same one."""
    return name_submission(copy.copy(error), submission_id)
