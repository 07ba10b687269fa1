"""All submissions of the live view, in the order in which few of many are shown. Pure.

A frame must cost the same for five submissions and five thousand. So what concerns all of them is kept up to date as
they change, one at a time: how many have passed, and the most urgent ones first. A frame asks for as many as it shows.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from enum import IntEnum
from itertools import chain, islice
from typing import Generic, NamedTuple, Protocol, TypeVar


class Urgency(IntEnum):
    """Which submissions are shown first if there is no space for all."""

    FAILING = 0
    JUDGED = 1
    WAITING = 2
    PASSED = 3


class Ranked(Protocol):
    """A submission in a roster."""

    @property
    def exit_code(self) -> int | None:
        """How it ended; ``None`` as long as it runs."""
        ...

    @property
    def urgency(self) -> Urgency:
        """The present one."""
        ...


T = TypeVar("T", bound=Ranked)


class Totals(NamedTuple):
    """How many submissions there are, and how many have ended."""

    submissions: int
    passed: int
    not_passed: int

    @property
    def running(self) -> int:
        """How many have not ended."""
        return self.submissions - self.passed - self.not_passed


class Roster(Generic[T]):
    """Changes in place; a change costs as much as moving one entry of a sorted list."""

    def __init__(self) -> None:
        self._all: list[T] = []
        self._ranks: list[Urgency] = []
        # The places in the order of joining, in ascending order.
        self._places: dict[Urgency, list[int]] = {urgency: [] for urgency in Urgency}
        self._passed = 0
        self._not_passed = 0

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[T]:
        return iter(self._all)

    def __getitem__(self, place: int) -> T:
        return self._all[place]

    def add(self, submission: T) -> int:
        """Add a submission, and return its place."""
        place = len(self._all)
        self._all.append(submission)
        self._ranks.append(submission.urgency)
        self._places[submission.urgency].append(place)
        return place

    def replace(self, place: int, submission: T) -> None:
        """Begin again with a submission, which is judged again. It counts as running, at the place that it had."""
        before = self._all[place].exit_code
        self._passed -= before == 0
        self._not_passed -= before not in (None, 0)
        self._all[place] = submission
        self.changed(place)

    def changed(self, place: int) -> None:
        """Note that the urgency of a submission may have changed."""
        before, now = self._ranks[place], self._all[place].urgency
        if now is not before:
            places = self._places[before]
            del places[bisect_left(places, place)]
            insort(self._places[now], place)
            self._ranks[place] = now

    def ended(self, place: int) -> None:
        """Count a submission that has just ended."""
        if self._all[place].exit_code == 0:
            self._passed += 1
        else:
            self._not_passed += 1
        self.changed(place)

    @property
    def totals(self) -> Totals:
        """The present counts."""
        return Totals(len(self._all), self._passed, self._not_passed)

    def visible(self, lines: int) -> list[T]:
        """Return what fits: all in the order of joining, or the most urgent ones, and one line less for the rest."""
        if len(self._all) <= lines:
            return list(self._all)
        places = chain.from_iterable(self._places.values())
        return [self._all[place] for place in islice(places, max(lines - 1, 0))]
