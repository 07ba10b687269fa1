"""What ``watch``, ``submit`` and ``demo`` do once their options are parsed. Imported when it is time to connect."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

import msgspec

from subcli.cli import exits
from subcli.cli.common import Common, now
from subcli.cli.patience import Patience
from subcli.cli.prompt import prompter_for
from subcli.cli.runtime import Interrupts
from subcli.cli.runtime import run as run_async
from subcli.cli.streams import Streams
from subcli.cli.watching.loop import follow_all, follow_feed
from subcli.cli.watching.notices import StderrNotices
from subcli.cli.watching.operator import TerminalOperator
from subcli.cli.watching.options import Options
from subcli.cli.watching.views import is_live, make_view, same_name
from subcli.client.background import start_daemon_thread
from subcli.client.client import Client, epoch_of
from subcli.client.connection import connect
from subcli.client.session import Session
from subcli.core.watch import Watch
from subcli.output.view import View
from subcli.settings.config import Settings
from subcli.workspace.completion_cache import CompletionCache, cache_directory
from subcli.workspace.history import History, state_file
from subcli.workspace.source import Source

if TYPE_CHECKING:
    from subcli.client.api import FeedQuery
    from subcli.client.feed import FeedSession

RECORD_AFTER_S: Final = 0.1
"""By then the first event has been shown, without waiting for two files."""
RECORD_WITHIN_S: Final = 0.8
"""A command that is ending waits at most this long for them: Ctrl-C ends it within a second."""


class CodeToSubmit(msgspec.Struct, frozen=True, kw_only=True):
    """What to submit."""

    source: Source
    problem: str
    language: str


def watch(
    common: Common, streams: Streams, options: Options, settings: Settings, ids: list[int], beside: Sequence[View] = ()
) -> int:
    """Follow ``ids``, or the latest submission.

    Args:
        beside: views that are told everything too.

    Returns:
        The exit code.
    """

    async def main(interrupts: Interrupts) -> int:
        desk = _Desk(common, streams, options, settings, interrupts, beside)
        async with desk.connected() as client:
            numbers, epoch = ids, None
            if not ids or options.judging is not None:
                try:
                    async with desk.patience.waiting(options.left()):
                        numbers = ids or [await client.latest()]
                        if options.judging is not None:
                            epoch = await client.epoch_of_run(numbers[0], options.judging)
                except TimeoutError:
                    raise options.timed_out() from None
            describe = bool(beside) or not (common.json or common.quiet)
            history = History(state_file())
            watches = [
                Watch(
                    number,
                    after_seq=options.after_seq,
                    origin=history.epoch_of(settings.server, number),
                    url=settings.page_url(number),
                )
                for number in numbers
            ]
            if epoch is not None:
                watches[0].recognize(epoch)
            output = options.logs and not common.quiet
            sessions = [client.session(each, describe=describe, output=output) for each in watches]
            with desk.view(several=len(numbers) > 1) as view:
                return await desk.follow(sessions, view)

    return run_async(main, streams)


def watch_many(
    common: Common,
    streams: Streams,
    options: Options,
    settings: Settings,
    wanted: FeedQuery,
    beside: Sequence[View] = (),
) -> int:
    """Follow all submissions that run and are wanted, and those that join them.

    Args:
        beside: views that are told everything too.

    Returns:
        The exit code.
    """

    async def main(interrupts: Interrupts) -> int:
        desk = _Desk(common, streams, options, settings, interrupts, beside)
        async with desk.connected() as client:
            try:
                async with desk.patience.waiting(options.left()):
                    feed = await client.feed(wanted)
            except TimeoutError:
                raise options.timed_out() from None
            with desk.view(several=True) as view:
                return await desk.follow_feed(feed, view)

    return run_async(main, streams)


def submit(
    common: Common,
    streams: Streams,
    options: Options,
    settings: Settings,
    job: CodeToSubmit,
    *,
    no_watch: bool = False,
    beside: Sequence[View] = (),
) -> int:
    """Submit and, unless ``no_watch``, watch.

    Args:
        beside: views that are told everything too.

    Returns:
        The exit code.
    """

    async def main(interrupts: Interrupts) -> int:
        desk = _Desk(common, streams, options, settings, interrupts, beside)
        async with desk.connected() as client:
            try:
                async with desk.patience.waiting(options.left(), hint=exits.MAYBE_SUBMITTED):
                    answer = await client.submit(job.source, problem=job.problem, language=job.language)
            except TimeoutError:
                raise options.timed_out(exits.MAYBE_SUBMITTED) from None
            number = int(answer["submission_id"])
            epoch = epoch_of(answer)
            if streams.stderr_tty and not (common.json or common.quiet):
                _note_attempts_left(streams, answer)
            async with _recorded(settings, job, number, epoch):
                if no_watch:
                    _print_submitted(common, streams, number, answer, options.command("watch", number))
                    return exits.OK
                is_shown = options.has_page or common.json
                url = str(answer["url"]) if is_shown else None
                watched = Watch(
                    number,
                    after_seq=options.after_seq,
                    epoch=epoch,
                    problem=job.problem,
                    language=job.language,
                    url=url,
                )
                with desk.view(several=False, origin=job.source.origin) as view:
                    view.submitted(number, {**answer, "url": url})
                    view.flush()
                    session = client.session(watched, own_submit=True, output=options.logs and not common.quiet)
                    return await desk.follow([session], view)

    return run_async(main, streams, hint=exits.MAYBE_SUBMITTED)


class _Desk:
    """What both need: a connection, a prompter, a view, and the loop between them.

    Attributes:
        patience: with the server, as long as it has not answered.
    """

    def __init__(
        self,
        common: Common,
        streams: Streams,
        options: Options,
        settings: Settings,
        interrupts: Interrupts,
        beside: Sequence[View],
    ) -> None:
        self._common = common
        self._streams = streams
        self._options = msgspec.structs.replace(options, at_home=settings.at_home)
        self._settings = settings
        self._interrupts = interrupts
        self._beside = beside
        self._operator = TerminalOperator(interrupts, settings)
        self.patience = Patience(settings.server, streams)
        self._prompter = prompter_for(common, streams, self.patience)

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[Client]:
        """The server, with a countdown on stderr while a request has to wait."""
        async with connect(
            self._settings,
            prompter=self._prompter,
            max_attempts=self._options.max_attempts,
            wait=self.patience,
        ) as client:
            yield client

    @contextlib.contextmanager
    def view(self, *, several: bool, origin: Callable[[str], str | None] = same_name) -> Iterator[View]:
        """The view, which leaves the terminal to a prompt and is closed at the end."""
        view = make_view(
            self._common,
            self._options,
            self._streams,
            several=several,
            beside=self._beside,
            origin=origin,
            operator=self._operator,
        )
        if self._prompter is not None:
            self._prompter.view = view
        self._interrupts.view = view
        try:
            yield view
        finally:
            view.close()

    async def follow(self, sessions: Sequence[Session], view: View) -> int:
        """Follow the sessions to their ends; the exit code."""
        self._operator.sessions = sessions
        with self._notices(several=len(sessions) > 1) as notices:
            return await follow_all(sessions, view, notices, self._options, self._interrupts, self._streams)

    async def follow_feed(self, feed: FeedSession, view: View) -> int:
        """Follow the submissions of a feed to their ends; the exit code."""
        self._operator.feed = feed
        with self._notices(several=True) as notices:
            return await follow_feed(feed, view, notices, self._options, self._interrupts, self._streams)

    @contextlib.contextmanager
    def _notices(self, *, several: bool) -> Iterator[StderrNotices]:
        expecting = self.patience.expect_answer()
        if is_live(self._common, self._options, self._streams):
            # The screen shows the state of the connection.
            expecting.cancel()
        try:
            yield StderrNotices(self._common, several, self._streams, expecting.cancel)
        finally:
            expecting.cancel()


@contextlib.asynccontextmanager
async def _recorded(settings: Settings, job: CodeToSubmit, number: int, epoch: str | None) -> AsyncIterator[None]:
    """Add the submission to the history, after its first event has arrived, and however the watch ends.

    The watch never waits for a file that hangs, and its end waits at most :data:`RECORD_WITHIN_S`.
    """
    at = time.time()

    def record() -> None:
        History(state_file()).add(settings.server, job.problem, job.language, job.source, number, at, epoch)
        cache = CompletionCache(settings.server, cache_directory())
        cache.add(ids=number, problems=job.problem, languages=job.language)

    @functools.cache
    def begin() -> Future[None]:
        return start_daemon_thread(record)

    soon = asyncio.get_running_loop().call_later(RECORD_AFTER_S, begin)
    try:
        yield
    finally:
        soon.cancel()
        await asyncio.wait([asyncio.wrap_future(begin())], timeout=RECORD_WITHIN_S)


def _note_attempts_left(streams: Streams, answer: dict[str, Any]) -> None:
    """Say how many attempts are left, if the problem limits them."""
    left = answer.get("attempts_left")
    if isinstance(left, int) and left >= 0:
        from subcli.output.terminal.report import note

        said = f"{left} attempts left." if left > 1 else "1 attempt left." if left else "This was your last attempt."
        note(said, streams.stderr, streams.env)


def _print_submitted(common: Common, streams: Streams, number: int, answer: dict[str, Any], next_command: str) -> None:
    if common.json:
        from subcli.output.ndjson import NdjsonView

        view = NdjsonView(streams.stdout, now)
        view.submitted(number, answer)
        view.close()
    elif common.quiet:
        streams.write(f"{number}\n")
    else:
        from subcli.output.printable import one_line

        streams.write(f"Submitted #{number}  {one_line(str(answer['url']))}\n")
        streams.write_error(f"Watch it with `{next_command}`.\n")
