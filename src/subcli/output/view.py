"""The interface between a command that watches submissions and whatever shows them.

A command passes every event, keyed by submission id, to its view. A view that prints, prints it; the live screen
ignores most events and pulls :meth:`SnapshotSource.snapshot` when it draws. The simplest views are here too: the one
for ``-q``, the one that shows nothing, and the one that combines others.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Protocol, TextIO, TypeAlias

import msgspec

from subcli.core.errors import SubcliError
from subcli.core.submission import Connection, Submission
from subcli.output.printable import one_line
from subcli.shared.messages import Complete, Message

ViewEvent: TypeAlias = Message | Connection
"""An event for a view: a message of the server, or a change of the connection."""


class SnapshotSource(Protocol):
    """Provides a view with the state of one submission (a :class:`subcli.core.watch.Watch`)."""

    submission_id: int

    @property
    def has_failures(self) -> bool:
        """Whether a test does not pass at present."""
        ...

    def snapshot(self) -> Submission:
        """Return the current state, frozen and bounded in size."""
        ...


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How the watch of one submission ended: with a verdict or with an error, and the exit code for it.

    Attributes:
        submission_id: ``None`` if there never was one.
        follow_up: Command to suggest whatever the verdict, and instead of `subcli watch ID` where there is none; empty:
            there is nothing to suggest.
        at_home: The problem whose tests `subcli test` runs in this directory.
        options: Options that a suggested command needs to reach the same server, with a leading space.
    """

    submission_id: int | None
    exit_code: int
    verdict: Complete | None = None
    error: SubcliError | None = None
    follow_up: str | None = None
    at_home: str | None = None
    options: str = ""


class View(Protocol):
    """Shows the submissions of one command. All calls come from one thread, none after ``close``.

    Attributes:
        tick_s: Seconds between two calls of ``tick``; ``None`` if the view does not need them.
    """

    tick_s: float | None

    @property
    def is_held(self) -> bool:
        """Whether somebody looks around in it: the command waits for them before it closes the view."""
        ...

    def submitted(self, submission_id: int, answer: dict[str, Any]) -> None:
        """A submission was accepted; ``answer`` is the server's response (``url``, ``status``, …)."""
        ...

    def begin(self, source: SnapshotSource) -> None:
        """A submission is being watched from now on; one that has ended is judged again."""
        ...

    def event(self, submission_id: int, event: ViewEvent) -> None:
        """Something changed about one submission."""
        ...

    def shared(self, ids: Sequence[int], connection: Connection) -> None:
        """The one connection over which these submissions are watched changed; they may be none."""
        ...

    def end(self, ending: Ending) -> None:
        """The watch of one submission ended; no further event follows for it, unless it begins again."""
        ...

    def tick(self) -> None:
        """Time has passed: redraw, or print a heartbeat."""
        ...

    def flush(self) -> None:
        """No further event is waiting at the moment: flush the output."""
        ...

    def suspend(self) -> None:
        """Release the terminal for a prompt, until ``resume``."""
        ...

    def resume(self) -> None:
        """Take the terminal back."""
        ...

    def close(self) -> None:
        """Print what stays and restore the terminal. Called once, however the command ends."""
        ...


class NullView:
    """A view that shows nothing. Views that need only a few of the calls inherit from it."""

    tick_s: float | None = None

    @property
    def is_held(self) -> bool:
        """Nobody looks around in it."""
        return False

    def submitted(self, submission_id: int, answer: dict[str, Any]) -> None:
        """Do nothing."""

    def begin(self, source: SnapshotSource) -> None:
        """Do nothing."""

    def event(self, submission_id: int, event: ViewEvent) -> None:
        """Do nothing."""

    def shared(self, ids: Sequence[int], connection: Connection) -> None:
        """Take it as an event of each."""
        for submission_id in ids:
            self.event(submission_id, connection)

    def end(self, ending: Ending) -> None:
        """Do nothing."""

    def tick(self) -> None:
        """Do nothing."""

    def flush(self) -> None:
        """Do nothing."""

    def suspend(self) -> None:
        """Do nothing."""

    def resume(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class QuietView(NullView):
    """The view for ``-q``: prints each verdict and nothing else (contract, section 4).

    Args:
        stdout: Where verdicts are written.
        several: Whether more than one submission is watched; each line is then ``ID verdict``.
    """

    def __init__(self, stdout: TextIO, several: bool) -> None:
        self._stdout = stdout
        self._several = several

    def end(self, ending: Ending) -> None:
        """Print the verdict if there is one; the exit code reports an error."""
        if ending.verdict is None:
            return
        verdict = one_line(ending.verdict.final_status)
        self._stdout.write(f"{ending.submission_id} {verdict}\n" if self._several else f"{verdict}\n")
        self._stdout.flush()


class CompositeView:
    """Passes every call to several views, in order.

    Args:
        main: The view that the user sees.
        others: Views that work beside it: a report, the window title, a notification.
    """

    def __init__(self, main: View, others: Sequence[View]) -> None:
        self._views: Sequence[View] = (main, *others)
        self.tick_s = min((view.tick_s for view in self._views if view.tick_s is not None), default=None)

    @property
    def is_held(self) -> bool:
        """Whether somebody looks around in any of them."""
        return any(view.is_held for view in self._views)

    def submitted(self, submission_id: int, answer: dict[str, Any]) -> None:
        """Pass it on."""
        for view in self._views:
            view.submitted(submission_id, answer)

    def begin(self, source: SnapshotSource) -> None:
        """Pass it on."""
        for view in self._views:
            view.begin(source)

    def event(self, submission_id: int, event: ViewEvent) -> None:
        """Pass it on."""
        for view in self._views:
            view.event(submission_id, event)

    def shared(self, ids: Sequence[int], connection: Connection) -> None:
        """Pass it on."""
        for view in self._views:
            view.shared(ids, connection)

    def end(self, ending: Ending) -> None:
        """Pass it on."""
        for view in self._views:
            view.end(ending)

    def tick(self) -> None:
        """Pass it on."""
        for view in self._views:
            view.tick()

    def flush(self) -> None:
        """Pass it on."""
        for view in self._views:
            view.flush()

    def suspend(self) -> None:
        """Pass it on."""
        for view in self._views:
            view.suspend()

    def resume(self) -> None:
        """Pass it on."""
        for view in self._views:
            view.resume()

    def close(self) -> None:
        """Close all views in reverse order, even if one of them fails."""
        with ExitStack() as stack:
            for view in reversed(self._views):
                stack.callback(view.close)
