"""Several views of the same submissions: the one that is looked at, and those that keep to themselves beside it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from subcli.output.view import Ending, Shown, Source, View


class NullView:
    """A view that shows nothing. What works beside another view begins here and says only what it wants to know."""

    tick_s: float | None = None

    def submitted(self, submission_id: int, answer: dict[str, Any]) -> None:
        """Nothing."""

    def begin(self, source: Source) -> None:
        """Nothing."""

    def event(self, submission_id: int, event: Shown) -> None:
        """Nothing."""

    def end(self, ending: Ending) -> None:
        """Nothing."""

    def tick(self) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing."""

    def suspend(self) -> None:
        """Nothing."""

    def resume(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class CompositeView:
    """Hands everything to ``main``, then to the others.

    Args:
        main: the view that is looked at; it is asked how often time is to pass, unless only others want to know.
        others: in the order in which they are told.
    """

    def __init__(self, main: View, others: Sequence[View]) -> None:
        self._views: Sequence[View] = (main, *others)
        self.tick_s = min((view.tick_s for view in self._views if view.tick_s is not None), default=None)

    def submitted(self, submission_id: int, answer: dict[str, Any]) -> None:
        """Code was handed in."""
        for view in self._views:
            view.submitted(submission_id, answer)

    def begin(self, source: Source) -> None:
        """A submission is being watched from now on."""
        for view in self._views:
            view.begin(source)

    def event(self, submission_id: int, event: Shown) -> None:
        """Something new."""
        for view in self._views:
            view.event(submission_id, event)

    def end(self, ending: Ending) -> None:
        """The watch of one submission ended."""
        for view in self._views:
            view.end(ending)

    def tick(self) -> None:
        """Time has passed."""
        for view in self._views:
            view.tick()

    def flush(self) -> None:
        """Nothing more is waiting."""
        for view in self._views:
            view.flush()

    def suspend(self) -> None:
        """Leave the terminal, each in its turn."""
        for view in self._views:
            view.suspend()

    def resume(self) -> None:
        """Take it again."""
        for view in self._views:
            view.resume()

    def close(self) -> None:
        """Close all of them, also where one fails."""
        with ExitStack() as closing:
            for view in reversed(self._views):
                closing.callback(view.close)
