"""Schedules of a feed, a few hundred of them by default, and faults planted by hand that they find.

`make soak` plays many thousands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from subcli.client.feed import FeedSession
from subcli.core.feed import Feed, Heard
from subcli.core.watch import Watch
from subcli.server.gateway.feed import FeedReader
from subcli.server.gateway.new_runs import NewRuns
from subcli.server.log.bus import Channel
from subcli.server.log.feed import Journal, Reader
from subcli.server.log.records import EventPage, Record
from tests.simulation.feed import BrokenPromise, Database, play

SCHEDULES = 500
CHUNK = 100
BY_DEFAULT = 200
SEEDS = 400
"""So many schedules at most until a planted fault must have been found."""
RARE = {
    "arrivals_not_compared": 230,
    "end_before_the_list_is_known": 30,
    "events_overtake_what_is_being_sent": 140,
    "gaps_of_the_bus_not_noticed": 100,
    "holes_not_filled": 320,
    "positions_never_compared": 40,
    "runs_forgotten": 60,
    "runs_not_noticed": 30,
    "runs_not_waited_for": 40,
}
"""Faults that show only later than in the first schedules: where to begin."""

Plant = Callable[[pytest.MonkeyPatch], None]


@pytest.mark.thorough
@pytest.mark.parametrize(
    "first",
    [
        pytest.param(first, marks=() if first < BY_DEFAULT else pytest.mark.thorough)
        for first in range(0, SCHEDULES, CHUNK)
    ],
)
def test_promises_of_a_feed_hold_in_every_schedule(first: int) -> None:
    """Who runs or comes joins, once; the events of each are shown in order and once; it ends when all have ended."""
    for seed in range(first, first + CHUNK):
        play(seed)


def positions_not_sent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Feed, "positions", lambda self: iter(()))


def cursor_forgotten(patch: pytest.MonkeyPatch) -> None:
    right = FeedSession._connect

    async def faulty(self: FeedSession, delay_s: float) -> Any:
        self.feed.cursor = None
        return await right(self, delay_s)

    patch.setattr(FeedSession, "_connect", faulty)


def holes_not_filled(patch: pytest.MonkeyPatch) -> None:
    right = Feed.receive_all

    def faulty(self: Feed, frames: Any) -> Heard:
        heard = right(self, frames)
        self.holes.clear()
        return heard

    patch.setattr(Feed, "receive_all", faulty)


def end_before_the_list_is_known(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Feed, "is_over", property(lambda self: self.joined > 0 and not self.watches))


def arrivals_not_noticed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FeedReader, "_look_again", lambda self: None)


def arrivals_not_compared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Database, "newest", lambda self: 0)


def events_overtake_what_is_being_sent(patch: pytest.MonkeyPatch) -> None:
    def faulty(self: FeedReader, records: Sequence[Record], frames: bytes) -> bool:
        self._kept_relay = self._relay or getattr(self, "_kept_relay", None)  # type: ignore[attr-defined]
        relay = self._kept_relay  # type: ignore[attr-defined]
        return relay is not None and bool(relay.take(records, frames))

    patch.setattr(FeedReader, "pass_on", faulty)


def pages_of_another_position(patch: pytest.MonkeyPatch) -> None:
    right = Database.pages

    def faulty(self: Database, positions: Any) -> dict[int, EventPage]:
        return right(self, {number: max(after - 1, 0) for number, after in positions.items()})

    patch.setattr(Database, "pages", faulty)


def positions_never_compared(patch: pytest.MonkeyPatch) -> None:
    async def never(self: Journal) -> None:
        return

    patch.setattr(Journal, "compare_positions", never)


def gaps_of_the_bus_not_noticed(patch: pytest.MonkeyPatch) -> None:
    def faulty(self: Channel, position: int) -> Sequence[Record] | None:
        return [each for each in self._tail if each.seq > position] or (None if self._ended else ())

    patch.setattr(Channel, "after", faulty)


def output_not_looked_for_before_events(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Reader, "reread", lambda self: None)


def output_resumed_one_too_far(patch: pytest.MonkeyPatch) -> None:
    right = Feed._position

    def faulty(self: Feed, watch: Watch) -> dict[str, object]:
        return right(self, watch) | {"output_after": watch.last_output + 1}

    patch.setattr(Feed, "_position", faulty)


def runs_not_noticed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FeedReader, "_look_for_runs_again", lambda self: None)


def runs_not_waited_for(patch: pytest.MonkeyPatch) -> None:
    right = NewRuns.take
    patch.setattr(NewRuns, "take", lambda self, reading, followed, room: right(self, (), followed, room))


def runs_forgotten(patch: pytest.MonkeyPatch) -> None:
    right = Feed.positions

    def faulty(self: Feed) -> Iterator[str]:
        self.runs = None
        return right(self)

    patch.setattr(Feed, "positions", faulty)


def runs_not_recognized(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("subcli.core.feed._is_other_run", lambda one, other: False)


@pytest.mark.parametrize(
    "plant",
    [
        runs_not_noticed,
        runs_not_waited_for,
        runs_forgotten,
        runs_not_recognized,
        positions_not_sent,
        cursor_forgotten,
        holes_not_filled,
        end_before_the_list_is_known,
        arrivals_not_noticed,
        arrivals_not_compared,
        events_overtake_what_is_being_sent,
        pages_of_another_position,
        positions_never_compared,
        gaps_of_the_bus_not_noticed,
        output_not_looked_for_before_events,
        output_resumed_one_too_far,
    ],
)
def test_planted_fault_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them breaks a promise in one of the schedules."""
    plant(monkeypatch)
    with pytest.raises(BrokenPromise):
        _play_many(RARE.get(plant.__name__, 0))


def _play_many(first: int) -> None:
    for seed in range(first, first + SEEDS):
        play(seed)
