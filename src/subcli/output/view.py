"""What a view is: the one interface between a command that watches and whatever shows it.

A command hands every event, keyed by submission id, to its view. A view that prints, prints it; the live
screen ignores most of them and pulls :meth:`Source.snapshot` when it draws.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import msgspec

from subcli.core.errors import SubcliError
from subcli.core.submission import Connection, Submission
from subcli.shared.protocol import Complete, Message

Shown: TypeAlias = Message | Connection


class Source(Protocol):
    """Where a view pulls the picture of one submission from (a :class:`subcli.core.watch.Watch`)."""

    submission_id: int

    def snapshot(self) -> Submission:
        """The picture at this moment, frozen and bounded."""
        ...


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How the watch of one submission ended: with a verdict, or with an error, and the exit code of either.

    Attributes:
        submission_id: ``None`` where there never was one.
        follow_up: command to type after a verdict other than passed; ``None``: `subcli status ID`.
        options: what every suggested command needs to reach the same server, with a space before it.
    """

    submission_id: int | None
    exit_code: int
    verdict: Complete | None = None
    error: SubcliError | None = None
    follow_up: str | None = None
    options: str = ""

    @property
    def next_command(self) -> str:
        """What to type now to see more."""
        return self.follow_up or f"subcli status {self.submission_id}{self.options}"


class View(Protocol):
    """Shows the submissions of one command. All calls come from one thread, never after ``close``.

    Attributes:
        tick_s: seconds between two calls of ``tick``; ``None`` where it is not wanted.
    """

    tick_s: float | None

    def submitted(self, submission_id: int, answer: dict[str, Any]) -> None:
        """Code was handed in; ``answer`` is the server's (``url``, ``status``, …)."""
        ...

    def begin(self, source: Source) -> None:
        """A submission is being watched from now on."""
        ...

    def event(self, submission_id: int, event: Shown) -> None:
        """Something new about one submission."""
        ...

    def end(self, ending: Ending) -> None:
        """The watch of one submission ended; nothing more comes for it."""
        ...

    def tick(self) -> None:
        """Time has passed: draw again, or say that it is still going on."""
        ...

    def flush(self) -> None:
        """Nothing more is waiting to be shown at this moment: let the reader have it."""
        ...

    def suspend(self) -> None:
        """Leave the terminal to a prompt, until ``resume``."""
        ...

    def resume(self) -> None:
        """Take the terminal again."""
        ...

    def close(self) -> None:
        """Print what stays, and leave the terminal as it was. Called once, however the command ends."""
        ...
