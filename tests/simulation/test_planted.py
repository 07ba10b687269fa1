"""Faults planted by hand: the simulation finds each of them, and says which seed plays it again.

What it is for is shown by what it finds. Each fault is one that was made somewhere, or nearly here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from subcli.client import heartbeat, missed, session
from subcli.client.api import EventLog
from subcli.client.session import OpenSocket
from subcli.core import backoff, catchup, identity, watch
from subcli.core.identity import ResultIndex
from subcli.core.inputs import Input, Opened, Progressed, Read
from subcli.core.recovery import disconnects, moves, rest_answers, step
from subcli.core.recovery.state import State, Step
from subcli.core.tally import Tally
from subcli.core.watch import Received, Watch
from subcli.shared.messages import Message, Output, Row, TestResult
from tests.simulation.judgement import BrokenPromise, play
from tests.simulation.server import Server

SEEDS = 5_000
RARE = {"rows_of_namesakes_not_counted": 11_000, "early_events_kept_for_any_log": 11_000}
"""Faults that show only later than in the first schedules: where to begin."""
SELDOM = {
    *("a_lost_last_event_waited_for", "early_events_kept_for_any_log", "rows_of_namesakes_not_counted"),
    *("statuses_that_go_back", "log_not_named_when_resuming", "storms"),
}
"""It takes more than half a second of schedules to find these."""
"""So many schedules at most until a fault must have been found: half of what every test run plays."""

Plant = Callable[[pytest.MonkeyPatch], None]


def no_reset_on_progress(patch: pytest.MonkeyPatch) -> None:
    def faulty(state: State, input: Input, now: float, random: float) -> Step:
        return (state, Read()) if isinstance(input, Progressed) else step(state, input, now, random)

    patch.setattr(session, "step", faulty)


def reset_by_a_mere_connection(patch: pytest.MonkeyPatch) -> None:
    def faulty(state: State, input: Input, now: float, random: float) -> Step:
        if isinstance(input, Opened):
            state = msgspec.structs.replace(state, attempts=0)
        return step(state, input, now, random)

    patch.setattr(session, "step", faulty)


def off_by_one_in_after_seq(patch: pytest.MonkeyPatch) -> None:
    right = Server.events

    async def faulty(self: Server, submission_id: int, after_seq: int) -> EventLog:
        return await right(self, submission_id, after_seq + 1)

    patch.setattr(Server, "events", faulty)


def duplicates_not_dropped(patch: pytest.MonkeyPatch) -> None:
    right = Watch.take

    def faulty(self: Watch, event: Message) -> Received:
        if event.seq is not None and event.seq <= self.last_seq and self.verdict is None:
            return Received((event,), progress=True)
        return right(self, event)

    patch.setattr(Watch, "take", faulty)


def verdict_from_a_snapshot_on_the_way(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(catchup, "STATUS_RANKS", {})


def end_without_a_verdict_taken_for_failed(patch: pytest.MonkeyPatch) -> None:
    right = catchup.verdict
    patch.setattr(catchup, "verdict", lambda snapshot, tests: right(snapshot, tests) or "failed")


def holes_skipped_without_asking(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(session, "events_from_log", lambda log: [])


def early_events_shown_at_once(patch: pytest.MonkeyPatch) -> None:
    right = Watch.take

    def faulty(self: Watch, event: Message) -> Received:
        if event.seq is not None and event.seq > self.last_seq + 1:
            self.last_seq = event.seq - 1
        return right(self, event)

    patch.setattr(Watch, "take", faulty)


def storms(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(moves, "throttle_connects", lambda delay_s, connects, now: delay_s)


def greetings_taken_for_progress(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(watch, "Unknown", ())


def silence_not_noticed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(heartbeat, "PONG_TIMEOUT_S", 1e9)
    patch.setattr(session, "PONG_TIMEOUT_S", 1e9)


def nothing_said_to_the_server(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(heartbeat, "PING_INTERVAL_S", 1e9)


def mute_servers_not_asked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(heartbeat, "QUIET_S", 1e9)


def a_lost_last_event_waited_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(heartbeat, "QUIET_WITH_RESUME_S", 1e9)


def hours_waited_if_told_so(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(backoff, "MAX_RETRY_AFTER_S", 1e9)
    patch.setattr(rest_answers, "MAX_RETRY_AFTER_S", 1e9)


def hanging_requests_waited_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(missed, "CATCH_UP_TIMEOUT_S", 1e9)


def statuses_that_go_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Watch, "_advances", lambda self, update: update.status != self._now.status)


def sockets_left_open(patch: pytest.MonkeyPatch) -> None:
    def forgetful(self: session.Session) -> None:
        self._socket = None

    patch.setattr(session.Session, "_abort", forgetful)


def no_grace_after_our_own_submit(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(disconnects, "OWN_SUBMIT_GRACE_S", 0.0)


def results_known_by_their_ids_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ResultIndex, "_of_type", staticmethod(lambda tests, result: []))


def namesakes_taken_for_one_test(patch: pytest.MonkeyPatch) -> None:
    right = ResultIndex._of_type

    def faulty(tests: Any, result: TestResult) -> Any:
        return right(tests, TestResult(test_name=result.test_name, status=result.status))

    patch.setattr(ResultIndex, "_of_type", staticmethod(faulty))
    patch.setattr(identity, "_type", lambda result: None)


def rows_forgotten_that_say_nothing_new(patch: pytest.MonkeyPatch) -> None:
    put = Tally.put

    def faulty(self: Tally, result: TestResult, *, is_listed: bool = True) -> int | None:
        index, test_id = self._index, None if result.test_id is None else str(result.test_id)
        test = index._by_id.get(test_id or "") or index._find(result, test_id)
        if not is_listed and test is not None and test.status == result.status:
            return None
        return put(self, result, is_listed=is_listed)

    patch.setattr(Tally, "put", faulty)


def rows_of_namesakes_not_counted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(catchup, "Row", lambda row_id, namesakes: Row(row_id, 1))


def socket_given_up_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(disconnects, "INCURABLE_MAX", 1)
    patch.setattr(rest_answers, "INCURABLE_MAX", 1)


def logs_taken_for_the_same(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Watch, "_meet", lambda self, epoch: None)


def snapshots_not_compared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Watch, "recognize", lambda self, epoch, last_seq=None: None)


def replaced_log_asked_for_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(disconnects, "_CLOSES", {**disconnects._CLOSES, 4010: disconnects._retry})
    snapshots_not_compared(patch)


def log_not_named_when_resuming(patch: pytest.MonkeyPatch) -> None:
    right = Server.dial

    async def faulty(
        self: Server, submission_id: int, after_seq: int, epoch: str | None, output_after: int | None
    ) -> OpenSocket:
        return await right(self, submission_id, after_seq, None, output_after)

    patch.setattr(Server, "dial", faulty)


def early_events_kept_for_any_log(patch: pytest.MonkeyPatch) -> None:
    def faulty(self: Watch, epoch: object, last_seq: object = None) -> None:
        self._meet(epoch)

    patch.setattr(Watch, "recognize", faulty)


def output_shown_again(patch: pytest.MonkeyPatch) -> None:
    def faulty(self: Watch, event: Output, number: int) -> Received:
        self.last_output = max(self.last_output, number)
        return Received((event,), progress=True)

    patch.setattr(Watch, "_take_output", faulty)


def output_resumed_too_late(patch: pytest.MonkeyPatch) -> None:
    right = Server.dial

    async def faulty(
        self: Server, submission_id: int, after_seq: int, epoch: str | None, output_after: int | None
    ) -> OpenSocket:
        return await right(self, submission_id, after_seq, epoch, output_after and output_after + 1)

    patch.setattr(Server, "dial", faulty)


def output_not_caught_up_with(patch: pytest.MonkeyPatch) -> None:
    async def faulty(*_: object) -> list[Any]:
        return []

    patch.setattr(missed, "_output", faulty)


def output_after_the_verdict(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(session, "with_output", lambda events, output: [*events, *output])


PLANTS: tuple[Plant, ...] = (
    no_reset_on_progress,
    reset_by_a_mere_connection,
    off_by_one_in_after_seq,
    duplicates_not_dropped,
    verdict_from_a_snapshot_on_the_way,
    end_without_a_verdict_taken_for_failed,
    holes_skipped_without_asking,
    early_events_shown_at_once,
    storms,
    greetings_taken_for_progress,
    silence_not_noticed,
    nothing_said_to_the_server,
    mute_servers_not_asked,
    a_lost_last_event_waited_for,
    hours_waited_if_told_so,
    hanging_requests_waited_for,
    statuses_that_go_back,
    sockets_left_open,
    no_grace_after_our_own_submit,
    results_known_by_their_ids_alone,
    namesakes_taken_for_one_test,
    rows_forgotten_that_say_nothing_new,
    rows_of_namesakes_not_counted,
    socket_given_up_at_once,
    logs_taken_for_the_same,
    snapshots_not_compared,
    replaced_log_asked_for_again,
    log_not_named_when_resuming,
    early_events_kept_for_any_log,
    output_shown_again,
    output_resumed_too_late,
    output_not_caught_up_with,
    output_after_the_verdict,
)


def first_found(first: int = 0) -> tuple[int, str] | None:
    """The first seed from `first` on whose schedule breaks a promise, and the failure."""
    for seed in range(first, first + SEEDS):
        try:
            play(seed)
        except BrokenPromise as error:
            return seed, str(error)
    return None


@pytest.mark.parametrize(
    "plant",
    [
        pytest.param(plant, id=plant.__name__, marks=pytest.mark.thorough if plant.__name__ in SELDOM else ())
        for plant in PLANTS
    ],
)
def test_planted_fault_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure names the command that replays its schedule."""
    plant(monkeypatch)
    found = first_found(RARE.get(plant.__name__, 0))
    assert found is not None, f"{plant.__name__} was not found in {SEEDS} schedules"
    seed, said = found
    assert f"python -m tests.simulation --seed {seed}" in said


def test_same_seed_replays_the_same_schedule() -> None:
    """To the last event and microsecond."""
    for seed in range(20):
        first, second = play(seed), play(seed)
        assert first.states == second.states
        assert [event.raw for event in first.shown] == [event.raw for event in second.shown]
        assert first.ended_at == second.ended_at
