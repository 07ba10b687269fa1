"""Recovery as a table: every row of the contract's section 7 that is about a watch, and of recovery's own table.

Scripts are lists of what happens, played against the machine with a clock that moves as far as it asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from subcli.core.errors import AuthError, NetworkError, NotFoundError, RateLimitedError, ServerError, SubcliError
from subcli.core.inputs import (
    Action,
    Blocked,
    CatchUp,
    CaughtUp,
    Closed,
    Connect,
    Ended,
    Finish,
    Input,
    Lost,
    Opened,
    Poll,
    Progressed,
    Quiet,
    Read,
    Refresh,
    Refreshed,
    Refused,
    RestFailed,
    Silent,
    Slept,
    Started,
    Stop,
    TooManyBadFrames,
)
from subcli.core.recovery import State, step

LIVE = Opened(needs_catch_up=False)
RETRIED = {1000, 1001, 1005, 1006, 1011, 1012, 1013}
FATAL = {1002, 1003, 1007, 1008, 1010}


class Machine:
    """The machine with a clock: delays that it asks for pass, nothing else takes time."""

    def __init__(self, *, max_attempts: int = 5, random: float = 0.5) -> None:
        self.state = State(max_attempts=max_attempts)
        self.now = 1000.0
        self.random = random
        self.connects: list[float] = []
        self.action: Action = Read()

    def __call__(self, *script: Input) -> Action:
        for input in script:
            self.state, self.action = step(self.state, input, self.now, self.random)
            match self.action:
                case Connect(delay_s):
                    self.now += delay_s
                    self.connects.append(self.now)
                case Poll(delay_s):
                    self.now += delay_s
        return self.action

    @property
    def stopped_with(self) -> type[SubcliError]:
        assert isinstance(self.action, Stop), self.action
        return type(self.action.error)


def live(**settings: Any) -> Machine:
    """A watch with an open socket over which an event has come."""
    machine = Machine(**settings)
    machine(Started(), LIVE, Progressed())
    return machine


def delays(machine: Machine, script: Sequence[Input], times: int) -> list[float]:
    """The delays of the reconnects that a script leads to, again and again."""
    found = []
    for _ in range(times):
        for input in script:
            action = machine(input)
            if isinstance(action, Connect):
                found.append(action.delay_s)
    return found


# -- the way without faults ---------------------------------------------------------------------------


def test_a_watch_begins_by_connecting_at_once() -> None:
    """Without delay, code or reason."""
    assert Machine()(Started()) == Connect(0.0, 0, None, "")


def test_an_open_socket_is_read() -> None:
    """The server replays what was missed."""
    assert Machine()(Started(), LIVE) == Read()


def test_a_server_that_does_not_replay_is_asked_over_rest_first() -> None:
    """Snapshot and results at every connect, then the socket."""
    machine = Machine()
    assert machine(Started(), Opened(needs_catch_up=True)) == CatchUp()
    assert machine(CaughtUp()) == Read()


@pytest.mark.parametrize("vain", [RestFailed(None), RestFailed(403), RestFailed(500), RestFailed(429)])
def test_a_look_in_vain_does_not_cost_an_open_socket(vain: RestFailed) -> None:
    """However often: what comes over the socket is enough."""
    again: list[Input] = [Quiet(), vain]
    assert Machine()(Started(), Opened(needs_catch_up=True), vain, *again * 10) == Read()


def test_a_submission_that_only_the_socket_knows_is_there() -> None:
    """A platform may lack the call: its 404 means nothing where events have come."""
    assert live()(Quiet(), RestFailed(404)) == Read()


@pytest.mark.parametrize("before", [[], [CaughtUp(), Quiet()], [CaughtUp(), Progressed(), Quiet()]])
def test_a_submission_that_rest_does_not_know_is_not_there(before: list[Input]) -> None:
    """Where nothing ever came over the open socket, or REST knew it once: some servers accept any socket."""
    machine = Machine()
    machine(Started(), Opened(needs_catch_up=True), *before, RestFailed(404))
    assert machine.stopped_with is NotFoundError


def test_silence_from_a_server_without_resume_makes_us_look() -> None:
    """It may never send anything over the socket."""
    machine = live()
    assert machine(Quiet()) == CatchUp()
    assert machine(CaughtUp(news=True)) == Read()


def test_progress_is_read_on() -> None:
    """A new event."""
    assert live().action == Read()


@pytest.mark.parametrize("before", [[], [LIVE], [LIVE, Closed(1006)], [LIVE, TooManyBadFrames()]])
def test_the_verdict_finishes_whatever_was_going_on(before: list[Input]) -> None:
    """Over the socket, after a look, or while polling."""
    assert Machine()(Started(), *before, Ended()) == Finish()


# -- closes -------------------------------------------------------------------------------------------

CURES = {
    **dict.fromkeys(sorted(RETRIED), "retry"),
    **dict.fromkeys(sorted(FATAL), "stop"),
    **dict.fromkeys((1004, 1014, 1015, 2000, 3000, 3999, 0, 999, 5000), "retry"),
    **dict.fromkeys((4000, 4001, 4002, 4005, 4028, 4030, 4100, 4499), "retry"),
    **dict.fromkeys((4500, 4501, 4999), "stop"),
    1009: "retry",
    4003: "refresh",
    4004: "not found",
    4029: "wait",
}


@pytest.mark.parametrize(("code", "cure"), CURES.items())
def test_each_close_code_has_its_row(code: int, cure: str) -> None:
    """Contract, section 7."""
    machine = live()
    action = machine(Closed(code, "because"))
    if cure == "retry":
        assert action == CatchUp()
        assert machine(CaughtUp()) == Connect(2.0, 1, code, "because")
    elif cure == "stop":
        assert machine.stopped_with is ServerError
        assert isinstance(action, Stop)
        assert f"code {code}: because" in action.error.message
    elif cure == "refresh":
        assert action == Refresh()
    elif cure == "not found":
        assert machine.stopped_with is NotFoundError
    else:
        assert action == Connect(2.0, 1, code, "because")


def test_a_code_without_a_reason_is_said_alone() -> None:
    """No colon with nothing behind it."""
    action = live()(Closed(1008))
    assert isinstance(action, Stop)
    assert action.error.message == "The server closed the connection with code 1008."


@pytest.mark.parametrize(
    "gone",
    [
        *(Closed(code) for code in sorted(RETRIED)),
        Closed(4100),
        Refused(500),
        Refused(502),
        Refused(503),
        Refused(504),
        Refused(403),
        Refused(418),
        Refused(100),
        Lost("reset"),
        Silent(),
    ],
)
def test_a_retry_looks_first_and_ends_in_polling(gone: Input) -> None:
    """The verdict may be there already; five attempts with the specification's delays; then the socket is given up."""
    machine = live()
    for delay_s in (2.0, 4.0, 8.0, 16.0, 30.0):
        assert machine(gone) == CatchUp()
        action = machine(CaughtUp())
        assert isinstance(action, Connect)
        assert action.delay_s == pytest.approx(delay_s)
    assert machine(gone) == CatchUp()
    assert isinstance(machine(CaughtUp()), Poll)


@pytest.mark.parametrize("random", [0.0, 0.25, 0.999])
def test_delays_have_jitter(random: float) -> None:
    """±20 %."""
    found = delays(live(random=random), [Closed(1006), RestFailed(None), LIVE], 5)
    assert found == pytest.approx([delay * (0.8 + 0.4 * random) for delay in (2, 4, 8, 16, 30)])


def test_a_retry_says_why() -> None:
    """Attempt, code and reason of the trouble it answers."""
    machine = live()
    machine(Closed(1011, "the server failed"))
    assert machine(RestFailed(500, "later")) == Connect(2.0, 1, 1011, "the server failed")
    machine(Lost("h:1 refused the connection"))
    assert machine(CaughtUp()) == Connect(4.0, 2, None, "h:1 refused the connection")


@pytest.mark.parametrize("max_attempts", [0, 1, 2, 7])
def test_the_number_of_attempts_can_be_set(max_attempts: int) -> None:
    """``--max-attempts``."""
    machine = live(max_attempts=max_attempts)
    assert len(delays(machine, [Closed(1006), CaughtUp(), LIVE], max_attempts)) == max_attempts
    assert isinstance(machine(Closed(1006), CaughtUp()), Poll)


# -- what starts the attempts again -------------------------------------------------------------------


def test_a_server_that_accepts_and_closes_does_not_start_the_attempts_again() -> None:
    """A mere connection is no progress, nor is what REST tells meanwhile."""
    machine = live()
    found = delays(machine, [Closed(1006), CaughtUp(news=True), Opened(needs_catch_up=True), CaughtUp(news=True)], 5)
    assert found == [2.0, 4.0, 8.0, 16.0, 30.0]
    assert isinstance(machine(Closed(1006), CaughtUp()), Poll)


def test_a_new_event_starts_the_attempts_again() -> None:
    """Then the delays begin anew."""
    machine = live()
    delays(machine, [Closed(1006), CaughtUp(), LIVE], 4)
    machine(Progressed())
    assert delays(machine, [Closed(1006), CaughtUp(), LIVE], 2) == [2.0, 4.0]


@pytest.mark.parametrize(("held_s", "expected"), [(29.9, 4.0), (30.0, 2.0), (600.0, 2.0)])
def test_thirty_seconds_of_a_stable_connection_start_the_attempts_again(held_s: float, expected: float) -> None:
    """Without any event; a shorter connection does not."""
    machine = live()
    machine(Closed(1006), CaughtUp(), LIVE)
    machine.now += held_s
    assert delays(machine, [Closed(1006), CaughtUp()], 1) == [expected]


def test_a_stable_connection_counts_however_it_ended() -> None:
    """Also where REST refused us and the socket was left for that."""
    machine = live()
    delays(machine, [Closed(1006), CaughtUp(), Opened(needs_catch_up=True), CaughtUp()], 3)
    machine.now += 30.0
    machine(Quiet(), RestFailed(401), Refreshed(ok=True), LIVE)
    assert delays(machine, [Closed(1006), CaughtUp()], 1) == [2.0]


def test_the_time_between_connections_is_not_stable() -> None:
    """Only an open socket counts, however long the waits."""
    machine = live()
    found = delays(machine, [Closed(1006), CaughtUp()], 1)
    for _ in range(2):
        machine.now += 100.0
        found += delays(machine, [Refused(503), CaughtUp()], 1)
    assert found == [2.0, 4.0, 8.0]


@pytest.mark.parametrize("reason", ["progress at each connect", "sleep", "refreshes", "not visible yet"])
def test_nothing_makes_a_storm(reason: str) -> None:
    """Never more than 5 connects in 10 s, even where each of them has a good reason."""
    machine = live()
    for _ in range(30):
        if reason == "sleep":
            machine(Slept(), LIVE)
        elif reason == "refreshes":
            machine(Closed(4003), Refreshed(ok=True), LIVE, Progressed())
        elif reason == "not visible yet":
            machine.state, _ = step(machine.state, Started(own_submit=True), machine.now, 0.5)
            machine(LIVE, Quiet(), RestFailed(404), Refused(404), LIVE)
        else:
            machine(Closed(1006), CaughtUp(), LIVE, Progressed())
    times = machine.connects
    assert len(times) == 31
    assert all(later - earlier >= 10.0 for earlier, later in zip(times, times[5:], strict=False))


def test_the_storm_is_counted_from_when_connects_were_through() -> None:
    """A slow handshake must not bring the next ones closer together."""
    machine = live()
    for _ in range(3):
        machine(Slept(), LIVE)
    machine(Slept())
    machine.now += 3.0
    machine(LIVE)
    assert machine(Slept()) == Connect(7.0, 0, None, "this machine slept")


# -- first contact ------------------------------------------------------------------------------------


def test_where_nothing_ever_answered_there_is_one_more_try() -> None:
    """After 1 s; then the address, and what to do."""
    machine = Machine()
    machine(Started())
    assert machine(Lost("h:1 refused the connection")) == Connect(1.0, 1, None, "h:1 refused the connection")
    assert machine(Lost("h:1 refused the connection")) == CatchUp()
    action = machine(RestFailed(None, "refused"))
    assert isinstance(action, Stop)
    assert machine.stopped_with is NetworkError
    assert "h:1 refused the connection" in action.error.message
    assert "--server" in action.error.hint
    assert "subcli serve" in action.error.hint


@pytest.mark.parametrize("answer", [CaughtUp(), RestFailed(500), RestFailed(403)])
def test_where_rest_answers_the_server_is_there(answer: Input) -> None:
    """A proxy may block WebSockets alone: then there is patience, and polling at its end."""
    machine = Machine()
    machine(Started(), Lost("refused"), Lost("refused"))
    found = [machine(answer), *(machine(Lost("refused"), answer) for _ in range(3))]
    assert [action.delay_s for action in found if isinstance(action, Connect)] == [4.0, 8.0, 16.0, 30.0]
    machine(Lost("refused"))
    assert isinstance(machine(CaughtUp()), Poll)


@pytest.mark.parametrize(
    "contact",
    [
        [LIVE],
        [Refused(503)],
        [Lost("cut in the handshake", reached=True)],
    ],
)
def test_a_server_that_was_there_gets_patience(contact: list[Input]) -> None:
    """From then on every loss is retried."""
    machine = Machine()
    machine(Started(), *contact)
    assert machine(Lost("refused")) == CatchUp()
    assert isinstance(machine(RestFailed(None)), Connect)


def test_a_rest_that_was_there_stays_so() -> None:
    """Although it does not answer any more."""
    machine = Machine()
    machine(Started(), Lost("refused"), Lost("refused"), CaughtUp(), Lost("refused"))
    assert isinstance(machine(RestFailed(None)), Connect)


def test_a_rest_that_refuses_us_is_there_too() -> None:
    """Its 401 is an answer: the next loss is retried."""
    machine = Machine()
    machine(Started(), Lost("refused"), Lost("refused"), RestFailed(401), Refreshed(ok=True), Lost("refused"))
    assert isinstance(machine(RestFailed(None)), Connect)


def test_after_our_own_submit_the_server_was_there() -> None:
    """It took the code."""
    machine = Machine()
    machine(Started(own_submit=True))
    assert machine(Lost("refused")) == CatchUp()
    assert machine(RestFailed(None)) == Connect(2.0, 1, None, "refused")


# -- authentication -----------------------------------------------------------------------------------

REFUSALS = [
    pytest.param([Closed(4003, "expired")], id="4003"),
    pytest.param([Refused(401, "expired")], id="handshake 401"),
    pytest.param([Refused(403), RestFailed(401, "expired")], id="handshake 403, REST 401"),
    pytest.param([Closed(1006), RestFailed(401, "expired")], id="a look, REST 401"),
]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_is_answered_by_one_refresh(refusal: list[Input]) -> None:
    """Then the watch resumes at once; a second refusal in a row stops it."""
    machine = live()
    assert machine(*refusal) == Refresh()
    code = 4003 if refusal[0] == Closed(4003, "expired") else 401
    assert machine(Refreshed(ok=True)) == Connect(0.0, 0, code, "authenticated again")
    action = machine(LIVE, *refusal)
    assert isinstance(action, Stop)
    assert machine.stopped_with is AuthError
    assert "expired" in action.error.message


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refresh_in_vain_stops_and_says_what_to_do(refusal: list[Input]) -> None:
    """The authenticator knows the command; else there is a general one."""
    machine = live()
    action = machine(*refusal, Refreshed(ok=False, hint="Type this."))
    assert isinstance(action, Stop)
    assert machine.stopped_with is AuthError
    assert action.error.hint == "Type this."
    assert "expired" in action.error.message
    action = live()(*refusal, Refreshed(ok=False))
    assert isinstance(action, Stop)
    assert action.error.hint == "Log in: `subcli auth login`."


@pytest.mark.parametrize(
    "between", [[LIVE, CaughtUp()], [Opened(needs_catch_up=True), CaughtUp(news=True)], [Refused(503), CaughtUp()]]
)
def test_refusals_are_in_a_row_until_there_is_progress(between: list[Input]) -> None:
    """Neither a mere connection nor REST's answers come between them."""
    machine = live()
    machine(Closed(4003), Refreshed(ok=True), *between, Closed(4003))
    assert machine.stopped_with is AuthError


@pytest.mark.parametrize("progress", ["event", "stable"])
def test_after_progress_a_refusal_is_the_first_again(progress: str) -> None:
    """A token lives 15 minutes, a watch may live longer."""
    machine = live()
    machine(Closed(4003), Refreshed(ok=True), LIVE)
    if progress == "event":
        machine(Progressed())
    else:
        machine.now += 30.0
    assert machine(Closed(4003)) == Refresh()


def test_a_refusal_while_polling_goes_on_polling() -> None:
    """And the next one, a token's life later, is the first again, since REST took the token in between."""
    machine = live()
    machine(TooManyBadFrames())
    for _ in range(3):
        assert machine(RestFailed(401)) == Refresh()
        assert machine(Refreshed(ok=True)) == Poll(0.0, "the server sends no messages of this protocol")
        assert isinstance(machine(CaughtUp()), Poll)
    machine(RestFailed(401), Refreshed(ok=True), RestFailed(401))
    assert machine.stopped_with is AuthError


# -- not found ----------------------------------------------------------------------------------------

ABSENT = [
    pytest.param([Closed(4004)], id="4004"),
    pytest.param([Refused(404)], id="handshake 404"),
    pytest.param([Refused(403), RestFailed(404)], id="handshake 403, REST 404"),
    pytest.param([Closed(1006), RestFailed(404)], id="a look, REST 404"),
    pytest.param([TooManyBadFrames(), RestFailed(404)], id="polling, REST 404"),
]


@pytest.mark.parametrize("absent", ABSENT)
def test_an_unknown_submission_stops(absent: list[Input]) -> None:
    """Absent and foreign alike."""
    machine = live()
    machine(*absent)
    assert machine.stopped_with is NotFoundError


def test_right_after_our_own_submit_not_found_may_be_not_yet() -> None:
    """Asked again at 1, 2, 4 and at last 5 s; then it is an answer."""
    machine = Machine()
    began = machine.now
    machine(Started(own_submit=True))
    tried = []
    while isinstance(action := machine(LIVE, Closed(4004)), Connect):
        assert (action.attempt, action.code, action.reason) == (0, 4004, "not visible yet")
        tried.append(machine.now - began)
    assert tried == [1.0, 2.0, 4.0, 5.0]
    assert machine.stopped_with is NotFoundError


def test_the_grace_holds_for_rest_as_well() -> None:
    """Its 404 is no other than the socket's; and the socket, if there was one, is gone."""
    machine = Machine()
    machine(Started(own_submit=True), LIVE, Closed(1006))
    assert machine(RestFailed(404)) == Connect(1.0, 0, 404, "not visible yet")
    machine = Machine()
    machine(Started(own_submit=True), Opened(needs_catch_up=True))
    assert machine(RestFailed(404)) == Connect(1.0, 0, 404, "not visible yet")
    assert machine.state.opened_at is None
    machine(Refused(404))
    assert len(machine.state.connects) == 2


def test_the_grace_is_over_after_five_seconds() -> None:
    """It counts from the submit, not from the first refusal."""
    machine = Machine()
    machine(Started(own_submit=True), LIVE, Closed(1006), CaughtUp(), LIVE, Closed(1006), CaughtUp())
    assert machine.connects[-1] == machine.connects[0] + 6.0
    machine(LIVE, Closed(4004))
    assert machine.stopped_with is NotFoundError


@pytest.mark.parametrize(
    "late",
    [
        [LIVE, Closed(4004)],
        [Refused(404)],
        [Opened(needs_catch_up=True), RestFailed(404)],
        [Opened(needs_catch_up=True), Closed(4004)],
    ],
)
def test_an_answer_that_comes_late_is_about_when_it_was_asked_for(late: list[Input]) -> None:
    """Asked within the grace and answered after it: asked once more."""
    machine = Machine()
    machine(Started(own_submit=True), *late[:-1])
    machine.now += 8.0
    action = machine(late[-1])
    assert isinstance(action, Connect)
    assert (action.delay_s, action.reason) == (0.0, "not visible yet")
    machine(*late)
    assert machine.stopped_with is NotFoundError


def test_the_grace_holds_for_polling_as_well() -> None:
    """A socket given up at once after the submit."""
    machine = Machine()
    machine(Started(own_submit=True), LIVE)
    assert machine(TooManyBadFrames(), RestFailed(404)) == Poll(1.0, "the server sends no messages of this protocol")


# -- rate limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda told: Closed(4029, "slow", told), lambda told: Refused(429, "slow", told)])
@pytest.mark.parametrize(("retry_after_s", "waited"), [(None, 2.0), (1.0, 2.0), (60.0, 60.0), (3600.0, 300.0)])
def test_a_rate_limit_is_waited_for(make: Any, retry_after_s: float | None, waited: float) -> None:
    """The longest of what was told and the backoff, at most 5 min; shown with its reason."""
    action = live()(make(retry_after_s))
    assert isinstance(action, Connect)
    assert (action.delay_s, action.attempt, action.reason) == (waited, 1, "slow")


@pytest.mark.parametrize("limited", [Closed(4029), Refused(429)])
def test_a_rate_limit_beyond_the_attempts_stops(limited: Input) -> None:
    """Exit 8, not polling: REST belongs to the same server."""
    machine = live()
    for delay_s in (2.0, 4.0, 8.0, 16.0, 30.0):
        action = machine(limited)
        assert isinstance(action, Connect)
        assert action.delay_s == pytest.approx(delay_s)
        assert action.reason == "rate limited"
        machine(LIVE)
    machine(limited)
    assert machine.stopped_with is RateLimitedError


def test_a_server_that_is_busy_may_name_its_wait_too() -> None:
    """503 with ``Retry-After``, 1013 with ``retry_after=``: also at most 5 min."""
    machine = live()
    machine(Refused(503, "busy", 40.0))
    assert machine(CaughtUp()) == Connect(40.0, 1, 503, "busy")
    machine(Closed(1013, "slow", 4000.0))
    assert machine(CaughtUp()) == Connect(300.0, 2, 1013, "slow")


def test_rest_is_not_asked_before_it_wants_to_be() -> None:
    """A 429 with ``Retry-After`` holds for every look; the socket goes on, and reconnects no sooner either."""
    machine = live()
    assert machine(Quiet(), RestFailed(429, "slow", 60.0)) == Read()
    machine.now += 10.0
    assert machine(Quiet()) == Read()
    assert machine(Closed(1006)) == Connect(50.0, 1, 1006, "")
    assert machine(LIVE, Quiet()) == CatchUp()


def test_a_rest_that_names_no_wait_can_be_asked_again_at_once() -> None:
    """The machine paces its looks itself."""
    machine = live()
    machine(Quiet(), RestFailed(500))
    assert machine(Closed(1006)) == CatchUp()


@pytest.mark.parametrize(
    "gone", [Closed(1006), Closed(4100), Closed(1009), Refused(400), Refused(503), Lost("reset"), Silent()]
)
@pytest.mark.parametrize("random", [0.0, 1.0])
def test_while_rest_does_not_want_to_be_asked_a_retry_does_without(gone: Input, random: float) -> None:
    """It waits as long as REST wants, or the backoff where that is longer."""
    machine = live(random=random)
    machine(Quiet(), RestFailed(429, "slow", 60.0))
    action = machine(gone)
    assert isinstance(action, Connect)
    assert (action.delay_s, action.attempt) == (60.0, 1)
    assert machine.state.purpose == "retry"
    machine.now -= 59.0
    action = machine(Refused(503))
    assert isinstance(action, Connect)
    assert action.delay_s == pytest.approx(59.0)
    machine.now -= 1.0
    action = machine(Refused(503))
    assert isinstance(action, Connect)
    assert action.delay_s == pytest.approx(8 * (0.8 + 0.4 * random))


def test_while_rest_does_not_want_to_be_asked_a_socket_is_read_without() -> None:
    """Although the server does not replay."""
    machine = live()
    machine(Quiet(), RestFailed(429, "slow", 60.0), Slept())
    assert machine(Opened(needs_catch_up=True)) == Read()


def test_a_rest_that_wants_hours_waits_five_minutes() -> None:
    """As everywhere."""
    machine = live()
    machine(Quiet(), RestFailed(429, "slow", 1e9))
    machine.now += 299.0
    assert machine(Quiet()) == Read()
    machine.now += 1.0
    assert machine(Quiet()) == CatchUp()


# -- what no retry cures ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 204, 299, 300, 301, 302, 303, 307, 308, 399, 400, 405, 426])
def test_an_answer_that_no_retry_cures_gives_the_socket_up_the_second_time(status: int) -> None:
    """A web page, a redirect to another origin, a server without WebSockets."""
    machine = Machine()
    machine(Started())
    assert machine(Refused(status, "a page")) == CatchUp()
    assert machine(CaughtUp()) == Connect(2.0, 1, status, "a page")
    assert machine(Refused(status, "a page")) == Poll(0.0, "a page")


def test_a_handshake_that_succeeds_in_between_forgives() -> None:
    """Only troubles in a row count."""
    machine = Machine()
    machine(Started(), Refused(400), CaughtUp(), LIVE, Closed(1006), CaughtUp())
    assert machine(Refused(400)) == CatchUp()


@pytest.mark.parametrize("status", [199, 402, 406, 408, 410, 451, 499, 500, 599])
def test_any_other_status_is_retried(status: int) -> None:
    """Boundedly."""
    machine = Machine()
    assert machine(Started(), Refused(status)) == CatchUp()
    assert isinstance(machine(CaughtUp()), Connect)


def test_a_frame_too_big_twice_at_the_same_place_gives_the_socket_up() -> None:
    """The first time it may have been a passing fault."""
    machine = live()
    assert machine(Closed(1009, "too big")) == CatchUp()
    assert machine(CaughtUp()) == Connect(2.0, 1, 1009, "too big")
    assert machine(LIVE, Closed(1009, "too big")) == Poll(0.0, "too big")


@pytest.mark.parametrize("between", [[LIVE, Progressed()], [CaughtUp(news=True), LIVE]])
def test_a_frame_too_big_elsewhere_is_another_one(between: list[Input]) -> None:
    """A new event, over the socket or over REST, is another place."""
    machine = live()
    machine(Closed(1009))
    if between[0] == LIVE:
        machine(CaughtUp())
    machine(*between)
    assert machine(Closed(1009)) == CatchUp()


def test_babble_gives_the_socket_up() -> None:
    """Twenty bad frames in a row."""
    assert live()(TooManyBadFrames()) == Poll(0.0, "the server sends no messages of this protocol")


@pytest.mark.parametrize("before", [[], [LIVE], [LIVE, Closed(1006)]])
def test_what_blocks_the_way_stops_at_once(before: list[Input]) -> None:
    """An invalid certificate, a proxy that wants credentials: from the socket or from REST."""
    machine = Machine()
    action = machine(Started(), *before, Blocked("The certificate is not trusted.", "Do this."))
    assert isinstance(action, Stop)
    assert (action.error.message, action.error.hint) == ("The certificate is not trusted.", "Do this.")
    assert machine.stopped_with is NetworkError


@pytest.mark.parametrize("proxy", [[Refused(407)], [LIVE, Closed(1006), RestFailed(407)]])
def test_a_proxy_that_wants_credentials_stops_at_once(proxy: list[Input]) -> None:
    """Where its answer comes as the server's."""
    machine = Machine()
    action = machine(Started(), *proxy)
    assert isinstance(action, Stop)
    assert machine.stopped_with is NetworkError
    assert "407" in action.error.message


def test_silence_is_named() -> None:
    """Ten seconds after a ping."""
    machine = live()
    machine(Silent())
    assert machine.state.opened_at is None
    assert machine(CaughtUp()) == Connect(2.0, 1, None, "no answer to a ping")


def test_a_machine_that_slept_connects_at_once() -> None:
    """Without a look and without a delay."""
    assert live()(Slept()) == Connect(0.0, 0, None, "this machine slept")


# -- looks that end it --------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [[Quiet()], [Closed(1000)], [TooManyBadFrames()]])
def test_an_end_without_a_verdict_stops(before: list[Input]) -> None:
    """``completed`` with no result at all is no verdict."""
    machine = live()
    machine(*before, CaughtUp(ended=True))
    assert machine.stopped_with is ServerError


# -- polling ------------------------------------------------------------------------------------------


def polling(**settings: Any) -> Machine:
    machine = live(**settings)
    machine(TooManyBadFrames())
    return machine


def test_polling_begins_at_once_and_slows_down() -> None:
    """Every 2 to 10 s, for as long as REST answers."""
    machine = polling()
    found = [machine(CaughtUp()) for _ in range(50)]
    intervals = [action.delay_s for action in found if isinstance(action, Poll)]
    assert intervals[:6] == [2.0, 3.0, 4.5, 6.75, 10.0, 10.0]
    assert set(intervals[6:]) == {10.0}
    assert len(intervals) == 50


def test_polling_says_why() -> None:
    """The trouble for which the socket was given up: its reason, else its code, else that it was lost."""
    for gone, why in ((Closed(1006, "cut"), "cut"), (Closed(1006), "code 1006"), (Lost(""), "lost")):
        machine = live(max_attempts=0)
        assert machine(gone, CaughtUp()) == Poll(0.0, why)
        assert machine(CaughtUp()) == Poll(2.0, why)


@pytest.mark.parametrize("vain", [RestFailed(None, "gone"), RestFailed(500, "later"), RestFailed(403, "no")])
def test_polls_in_vain_have_attempts_of_their_own(vain: RestFailed) -> None:
    """With the backoff; then there is no way left, and both are named."""
    machine = polling()
    found = [machine(vain) for _ in range(5)]
    assert [action.delay_s for action in found if isinstance(action, Poll)] == [2.0, 4.0, 8.0, 16.0, 30.0]
    action = machine(vain)
    assert isinstance(action, Stop)
    assert machine.stopped_with is (NetworkError if vain.status is None else ServerError)
    assert "no messages of this protocol" in action.error.message
    assert vain.reason in action.error.message


def test_an_answer_starts_the_polls_attempts_again() -> None:
    """The count is of polls in a row."""
    machine = polling()
    for _ in range(3):
        for _ in range(5):
            assert isinstance(machine(RestFailed(500)), Poll)
        assert isinstance(machine(CaughtUp()), Poll)


def test_polls_that_are_rate_limited_wait_as_told_and_end_as_such() -> None:
    """Exit 8 in the end."""
    machine = polling()
    waits = [machine(RestFailed(429, "slow", told)) for told in (None, 20.0, 1e9, 1.0, None)]
    assert [action.delay_s for action in waits if isinstance(action, Poll)] == [2.0, 20.0, 300.0, 16.0, 30.0]
    machine(RestFailed(429))
    assert machine.stopped_with is RateLimitedError


def test_when_both_ways_are_gone_it_is_over() -> None:
    """Looks in vain between the reconnects count: nothing is asked a seventh time."""
    machine = live()
    for _ in range(5):
        assert isinstance(machine(Lost("refused"), RestFailed(None, "refused")), Connect)
    machine(Lost("refused"), RestFailed(None, "refused"))
    assert machine.stopped_with is NetworkError


def test_a_look_in_vain_at_the_last_is_not_the_end() -> None:
    """REST answered before: it gets its attempts."""
    machine = live()
    delays(machine, [Lost("refused"), CaughtUp()], 5)
    assert machine(Lost("refused"), RestFailed(500)) == Poll(2.0, "refused")


def test_a_socket_given_up_waits_with_rest() -> None:
    """For as long as the server asked."""
    machine = live()
    machine(Quiet(), RestFailed(429, "slow", 60.0))
    machine.now += 20.0
    assert machine(TooManyBadFrames()) == Poll(30.0 + 10.0, "the server sends no messages of this protocol")
    machine = live(max_attempts=0)
    machine.state = State(max_attempts=0, answered=True, rest_at=machine.now + 7.0, opened_at=machine.now)
    assert machine(Closed(1006)) == Poll(7.0, "code 1006")
