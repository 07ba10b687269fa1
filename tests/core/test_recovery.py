"""The recovery machine: every row of its table, and of section 7 of the contract that concerns a watch.

A script is a list of inputs. It is played against the machine, with a clock that advances by the delays it asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from subcli.core.backoff import MAX_ATTEMPTS, REFUSED_AT_ONCE_S
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
    Reopening,
    Replaced,
    RestFailed,
    Silent,
    Slept,
    Started,
    Stop,
    TooManyBadFrames,
)
from subcli.core.recovery import step
from subcli.core.recovery.state import State

LIVE = Opened(needs_catch_up=False)
RETRIED = {1000, 1001, 1005, 1006, 1011, 1012, 1013}
FATAL = {1002, 1003, 1007, 1008, 1010}


class Machine:
    """The machine with a clock: time advances only by the delays it asks for."""

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
    """A watch with an open socket that has received an event."""
    machine = Machine(**settings)
    machine(Started(), LIVE, Progressed())
    return machine


def delays(machine: Machine, script: Sequence[Input], times: int) -> list[float]:
    """The reconnect delays when a script is repeated."""
    found = []
    for _ in range(times):
        for input in script:
            action = machine(input)
            if isinstance(action, Connect):
                found.append(action.delay_s)
    return found


# -- without faults ----------------------------------------------------------------------------------


def test_watch_starts_by_connecting_immediately() -> None:
    """Without delay, code or reason."""
    assert Machine()(Started()) == Connect(0.0, 0, None, "")


def test_open_socket_is_read() -> None:
    """The server replays what was missed."""
    assert Machine()(Started(), LIVE) == Read()


def test_catches_up_over_rest_if_server_does_not_replay() -> None:
    """At every connect, before reading the socket."""
    machine = Machine()
    assert machine(Started(), Opened(needs_catch_up=True)) == CatchUp()
    assert machine(CaughtUp()) == Read()


@pytest.mark.parametrize("vain", [RestFailed(None), RestFailed(403), RestFailed(500), RestFailed(429)])
def test_failed_catch_up_keeps_open_socket(vain: RestFailed) -> None:
    """However often it fails: the events of the socket suffice."""
    again: list[Input] = [Quiet(), vain]
    assert Machine()(Started(), Opened(needs_catch_up=True), vain, *again * 10) == Read()


def test_rest_404_is_ignored_if_socket_sent_events() -> None:
    """A platform may lack the endpoint."""
    assert live()(Quiet(), RestFailed(404)) == Read()


@pytest.mark.parametrize("before", [[], [CaughtUp(), Quiet()], [CaughtUp(), Progressed(), Quiet()]])
def test_rest_404_means_not_found_without_events(before: list[Input]) -> None:
    """If the socket sent no event, or REST knew it before: some servers accept any socket."""
    machine = Machine()
    machine(Started(), Opened(needs_catch_up=True), *before, RestFailed(404))
    assert machine.stopped_with is NotFoundError


def test_quiet_socket_triggers_catch_up() -> None:
    """Without `resume` the server may never send anything over the socket."""
    machine = live()
    assert machine(Quiet()) == CatchUp()
    assert machine(CaughtUp(news=True)) == Read()


def test_keeps_reading_after_progress() -> None:
    """After a new event."""
    assert live().action == Read()


@pytest.mark.parametrize("before", [[], [LIVE], [LIVE, Closed(1006)], [LIVE, TooManyBadFrames()]])
def test_verdict_finishes_any_state(before: list[Input]) -> None:
    """Over the socket, after a catch-up, or while polling."""
    assert Machine()(Started(), *before, Ended()) == Finish()


# -- closes -------------------------------------------------------------------------------------------

HANDLERS = {
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


@pytest.mark.parametrize(("code", "handler"), HANDLERS.items())
def test_close_codes(code: int, handler: str) -> None:
    """Contract, section 7."""
    machine = live()
    action = machine(Closed(code, "because"))
    if handler == "retry":
        assert action == CatchUp()
        assert machine(CaughtUp()) == Connect(2.0, 1, code, "because")
    elif handler == "stop":
        assert machine.stopped_with is ServerError
        assert isinstance(action, Stop)
        assert f"code {code}: because" in action.error.message
    elif handler == "refresh":
        assert action == Refresh()
    elif handler == "not found":
        assert machine.stopped_with is NotFoundError
    else:
        assert action == Connect(2.0, 1, code, "because")


def test_message_without_close_reason_has_no_colon() -> None:
    """The code is printed alone."""
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
def test_retry_catches_up_first_and_ends_in_polling(gone: Input) -> None:
    """Five attempts with the specification's delays, then the socket is given up."""
    machine = live()
    for delay_s in (2.0, 4.0, 8.0, 16.0, 30.0):
        assert machine(gone) == CatchUp()
        action = machine(CaughtUp())
        assert isinstance(action, Connect)
        assert action.delay_s == pytest.approx(delay_s)
    assert machine(gone) == CatchUp()
    assert isinstance(machine(CaughtUp()), Poll)


@pytest.mark.parametrize("random", [0.0, 0.25, 0.999])
def test_retry_delays_have_jitter(random: float) -> None:
    """±20 %."""
    found = delays(live(random=random), [Closed(1006), RestFailed(None), LIVE], 5)
    assert found == pytest.approx([delay * (0.8 + 0.4 * random) for delay in (2, 4, 8, 16, 30)])


def test_retry_reports_its_cause() -> None:
    """Attempt, code and reason."""
    machine = live()
    machine(Closed(1011, "the server failed"))
    assert machine(RestFailed(500, "later")) == Connect(2.0, 1, 1011, "the server failed")
    machine(Lost("h:1 refused the connection"))
    assert machine(CaughtUp()) == Connect(4.0, 2, None, "h:1 refused the connection")


@pytest.mark.parametrize("max_attempts", [0, 1, 2, 7])
def test_max_attempts_can_be_set(max_attempts: int) -> None:
    """`--max-attempts`."""
    machine = live(max_attempts=max_attempts)
    assert len(delays(machine, [Closed(1006), CaughtUp(), LIVE], max_attempts)) == max_attempts
    assert isinstance(machine(Closed(1006), CaughtUp()), Poll)


# -- resetting the attempts --------------------------------------------------------------------------


def test_connection_without_events_does_not_reset_attempts() -> None:
    """Neither opening a socket nor news from REST counts as progress."""
    machine = live()
    found = delays(machine, [Closed(1006), CaughtUp(news=True), Opened(needs_catch_up=True), CaughtUp(news=True)], 5)
    assert found == [2.0, 4.0, 8.0, 16.0, 30.0]
    assert isinstance(machine(Closed(1006), CaughtUp()), Poll)


def test_new_event_resets_attempts() -> None:
    """The delays start over."""
    machine = live()
    delays(machine, [Closed(1006), CaughtUp(), LIVE], 4)
    machine(Progressed())
    assert delays(machine, [Closed(1006), CaughtUp(), LIVE], 2) == [2.0, 4.0]


@pytest.mark.parametrize(("held_s", "expected"), [(29.9, 4.0), (30.0, 2.0), (600.0, 2.0)])
def test_thirty_stable_seconds_reset_attempts(held_s: float, expected: float) -> None:
    """Even without an event; a shorter connection does not."""
    machine = live()
    machine(Closed(1006), CaughtUp(), LIVE)
    machine.now += held_s
    assert delays(machine, [Closed(1006), CaughtUp()], 1) == [expected]


def test_stable_connection_resets_attempts_however_it_ended() -> None:
    """Also if REST refused authentication and the socket was closed for that."""
    machine = live()
    delays(machine, [Closed(1006), CaughtUp(), Opened(needs_catch_up=True), CaughtUp()], 3)
    machine.now += 30.0
    machine(Quiet(), RestFailed(401), Refreshed(ok=True), LIVE)
    assert delays(machine, [Closed(1006), CaughtUp()], 1) == [2.0]


def test_waiting_does_not_count_as_stable() -> None:
    """Only the time with an open socket counts."""
    machine = live()
    found = delays(machine, [Closed(1006), CaughtUp()], 1)
    for _ in range(2):
        machine.now += 100.0
        found += delays(machine, [Refused(503), CaughtUp()], 1)
    assert found == [2.0, 4.0, 8.0]


@pytest.mark.parametrize("reason", ["progress at each connect", "sleep", "refreshes", "not visible yet"])
def test_connects_are_throttled(reason: str) -> None:
    """At most 5 connects in 10 s, even if each one brings events."""
    machine = live()
    for _ in range(30):
        if reason == "sleep":
            machine(Slept(), LIVE)
        elif reason == "refreshes":
            machine(Closed(4003), Refreshed(ok=True), LIVE, Progressed())
        elif reason == "not visible yet":
            machine.state, _ = step(machine.state, Started(own_submit=True), machine.now, 0.5)
            machine(LIVE, Quiet(), RestFailed(404), Refused(404), RestFailed(404), LIVE)
        else:
            machine(Closed(1006), CaughtUp(), LIVE, Progressed())
    times = machine.connects
    assert len(times) == 31
    assert all(later - earlier >= 10.0 for earlier, later in zip(times, times[5:], strict=False))


def test_throttle_counts_from_end_of_handshake() -> None:
    """Slow handshakes do not bring the next ones closer together."""
    machine = live()
    for _ in range(3):
        machine(Slept(), LIVE)
    machine(Slept())
    machine.now += 3.0
    machine(LIVE)
    assert machine(Slept()) == Connect(7.0, 0, None, "this machine slept")


# -- first contact ------------------------------------------------------------------------------------


def test_unreachable_server_is_tried_once_more() -> None:
    """After 1 s; then the error names the address and what to do."""
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


@pytest.mark.parametrize("answer", [CaughtUp(), RestFailed(500), RestFailed(429)])
def test_server_is_reachable_if_rest_answers(answer: Input) -> None:
    """A proxy may block only WebSockets: retry, then poll."""
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
def test_loss_is_retried_once_server_has_answered(contact: list[Input]) -> None:
    """Every later loss is retried."""
    machine = Machine()
    machine(Started(), *contact)
    assert machine(Lost("refused")) == CatchUp()
    assert isinstance(machine(RestFailed(None)), Connect)


def test_server_stays_reachable_after_rest_answered_once() -> None:
    """Even if REST stops answering."""
    machine = Machine()
    machine(Started(), Lost("refused"), Lost("refused"), CaughtUp(), Lost("refused"))
    assert isinstance(machine(RestFailed(None)), Connect)


def test_rest_401_means_server_is_reachable() -> None:
    """The next loss is retried."""
    machine = Machine()
    machine(Started(), Lost("refused"), Lost("refused"), RestFailed(401), Refreshed(ok=True), Lost("refused"))
    assert isinstance(machine(RestFailed(None)), Connect)


def test_server_is_reachable_after_own_submit() -> None:
    """It accepted the code."""
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
def test_refusal_refreshes_once(refusal: list[Input]) -> None:
    """Then the watch resumes immediately; a second refusal in a row stops it."""
    machine = live()
    assert machine(*refusal) == Refresh()
    code = 4003 if refusal[0] == Closed(4003, "expired") else 401
    assert machine(Refreshed(ok=True)) == Connect(0.0, 0, code, "authenticated again")
    action = machine(LIVE, *refusal)
    assert isinstance(action, Stop)
    assert machine.stopped_with is AuthError
    assert "expired" in action.error.message


@pytest.mark.parametrize("refusal", REFUSALS)
def test_failed_refresh_stops_with_hint(refusal: list[Input]) -> None:
    """The hint comes from the authenticator; otherwise it is a general one."""
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
def test_only_progress_resets_refusals(between: list[Input]) -> None:
    """Neither opening a socket nor an answer of REST does."""
    machine = live()
    machine(Closed(4003), Refreshed(ok=True), *between, Closed(4003))
    assert machine.stopped_with is AuthError


@pytest.mark.parametrize("progress", ["event", "stable"])
def test_refusal_after_progress_refreshes_again(progress: str) -> None:
    """A token lives 15 minutes; a watch may live longer."""
    machine = live()
    machine(Closed(4003), Refreshed(ok=True), LIVE)
    if progress == "event":
        machine(Progressed())
    else:
        machine.now += 30.0
    assert machine(Closed(4003)) == Refresh()


def test_polling_continues_after_refresh() -> None:
    """And a later refusal is again the first, since REST accepted the token in between."""
    machine = live()
    machine(TooManyBadFrames())
    for _ in range(3):
        assert machine(RestFailed(401)) == Refresh()
        assert machine(Refreshed(ok=True)) == Poll(0.0, "the server does not speak this protocol")
        assert isinstance(machine(CaughtUp()), Poll)
    machine(RestFailed(401), Refreshed(ok=True), RestFailed(401))
    assert machine.stopped_with is AuthError


# -- answers that say it all -----------------------------------------------------------------------------

FOREIGN = RestFailed(404, "http://h/api answers with HTTP 404, File not found", foreign=True)


@pytest.mark.parametrize("gone", [Refused(404), Refused(400), Refused(301), Lost("cut", reached=True), Closed(1006)])
@pytest.mark.parametrize("answer", [FOREIGN, *(RestFailed(status, "so") for status in (400, 403, 405, 414, 431))])
def test_first_answer_that_cannot_change_stops(gone: Input, answer: RestFailed) -> None:
    """Whatever became of the socket: what is known after the first answer is said after the first answer."""
    machine = Machine()
    assert machine(Started(), gone) == CatchUp()
    action = machine(answer)
    assert isinstance(action, Stop)
    assert machine.stopped_with is ServerError
    assert answer.reason in action.error.message
    assert machine.now == Machine().now
    assert ("No judge answers" in action.error.message) == answer.foreign


@pytest.mark.parametrize("answer", [FOREIGN, RestFailed(403), RestFailed(400)])
def test_such_an_answer_is_outlasted_where_the_submission_was_seen(answer: RestFailed) -> None:
    """A gateway answers for a judge that restarts; a foreign 404 says nothing of the submission."""
    for machine in (live(), Machine()):
        if machine.state.known_to == "nobody":
            machine(Started(own_submit=True))
        assert isinstance(machine(Closed(1006), answer), Connect)
    assert Machine()(Started(), Opened(needs_catch_up=True), answer) == Read()


def test_handshake_404_leaves_it_to_rest() -> None:
    """A proxy dropped `Upgrade`: REST knows the submission, so after two refusals it is polled."""
    machine = Machine()
    assert machine(Started(), Refused(404, "HTTP 404")) == CatchUp()
    assert isinstance(machine(CaughtUp()), Connect)
    assert machine(Refused(404, "HTTP 404")) == CatchUp()
    action = machine(CaughtUp())
    assert isinstance(action, Poll)
    assert action.reason == "HTTP 404"


def test_handshake_404s_with_a_connection_between_them() -> None:
    """The way is open: one refusal more is one refusal."""
    machine = live()
    for _ in range(3):
        machine(Closed(1012), CaughtUp(), Refused(404), CaughtUp())
        assert isinstance(machine.action, Connect)
        machine(LIVE, Progressed())


def test_proxy_that_refuses_the_tunnel() -> None:
    """A 4xx to CONNECT is its policy: twice, then REST alone. Its 5xx may pass."""
    machine = Machine()
    for status, attempts in ((403, 2), (502, 6)):
        machine = Machine()
        machine(Started())
        for _ in range(attempts):
            assert not isinstance(machine.action, Poll)
            machine(Refused(status, "no", by_proxy=True))
            if isinstance(machine.action, CatchUp):
                machine(CaughtUp())
        assert isinstance(machine.action, Poll), status


def test_proxy_at_fault_is_named() -> None:
    """Where nothing ever answered, with its own hint."""
    machine = Machine()
    lost = Lost("the proxy p:1 (from ALL_PROXY) refused the connection", hint="Check ALL_PROXY.")
    machine(Started(), lost, lost)
    action = machine(RestFailed(None, lost.reason, hint=lost.hint))
    assert isinstance(action, Stop)
    assert action.error.message == "The proxy p:1 (from ALL_PROXY) refused the connection."
    assert action.error.hint == "Check ALL_PROXY."


# -- not found ----------------------------------------------------------------------------------------

ABSENT = [
    pytest.param([Closed(4004)], id="4004"),
    pytest.param([Refused(404), RestFailed(404)], id="handshake 404, REST 404"),
    pytest.param([Refused(403), RestFailed(404)], id="handshake 403, REST 404"),
    pytest.param([Closed(1006), RestFailed(404)], id="a look, REST 404"),
    pytest.param([TooManyBadFrames(), RestFailed(404)], id="polling, REST 404"),
]


@pytest.mark.parametrize("absent", ABSENT)
def test_unknown_submission_stops(absent: list[Input]) -> None:
    """Absent and foreign submissions look the same."""
    machine = live()
    machine(*absent)
    assert machine.stopped_with is NotFoundError


def test_not_found_is_retried_after_own_submit() -> None:
    """After 1, 2, 4 and finally 5 s; then it is final."""
    machine = Machine()
    began = machine.now
    machine(Started(own_submit=True))
    tried = []
    while isinstance(action := machine(LIVE, Closed(4004)), Connect):
        assert (action.attempt, action.code, action.reason) == (0, 4004, "not visible yet")
        tried.append(machine.now - began)
    assert tried == [1.0, 2.0, 4.0, 5.0]
    assert machine.stopped_with is NotFoundError


def test_grace_applies_to_rest() -> None:
    """A 404 from REST counts like one from the socket, which is then given up."""
    machine = Machine()
    machine(Started(own_submit=True), LIVE, Closed(1006))
    assert machine(RestFailed(404)) == Connect(1.0, 0, 404, "not visible yet")
    machine = Machine()
    machine(Started(own_submit=True), Opened(needs_catch_up=True))
    assert machine(RestFailed(404)) == Connect(1.0, 0, 404, "not visible yet")
    assert machine.state.opened_at is None
    machine(Refused(404))
    assert len(machine.state.connects) == 2


def test_grace_ends_after_five_seconds() -> None:
    """It is measured from the submit, not from the first refusal."""
    machine = Machine()
    machine(Started(own_submit=True), LIVE, Closed(1006), CaughtUp(), LIVE, Closed(1006), CaughtUp())
    assert machine.connects[-1] == machine.connects[0] + 6.0
    machine(LIVE, Closed(4004))
    assert machine.stopped_with is NotFoundError


@pytest.mark.parametrize(
    "late",
    [
        [LIVE, Closed(4004)],
        [Refused(404), RestFailed(404)],
        [Opened(needs_catch_up=True), RestFailed(404)],
        [Opened(needs_catch_up=True), Closed(4004)],
    ],
)
def test_late_answer_counts_from_its_request(late: list[Input]) -> None:
    """Requested within the grace and answered after it: asked once more."""
    machine = Machine()
    machine(Started(own_submit=True), *late[:-1])
    machine.now += 8.0
    action = machine(late[-1])
    assert isinstance(action, Connect)
    assert (action.delay_s, action.reason) == (0.0, "not visible yet")
    machine(*late)
    assert machine.stopped_with is NotFoundError


def test_grace_applies_to_polling() -> None:
    """If the socket is given up right after the submit."""
    machine = Machine()
    machine(Started(own_submit=True), LIVE)
    assert machine(TooManyBadFrames(), RestFailed(404)) == Poll(1.0, "the server does not speak this protocol")


# -- rate limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda told: Closed(4029, "slow", told), lambda told: Refused(429, "slow", told)])
@pytest.mark.parametrize(("retry_after_s", "waited"), [(None, 2.0), (1.0, 2.0), (60.0, 60.0), (3600.0, 300.0)])
def test_rate_limit_is_waited_for(make: Any, retry_after_s: float | None, waited: float) -> None:
    """The longer of `Retry-After` and the backoff, at most 5 min; shown with its reason."""
    action = live()(make(retry_after_s))
    assert isinstance(action, Connect)
    assert (action.delay_s, action.attempt, action.reason) == (waited, 1, "slow")


@pytest.mark.parametrize("limited", [Closed(4029), Refused(429)])
def test_rate_limit_beyond_attempts_stops(limited: Input) -> None:
    """Exit 8 instead of polling: REST belongs to the same server."""
    machine = live()
    for delay_s in (2.0, 4.0, 8.0, 16.0, 30.0):
        action = machine(limited)
        assert isinstance(action, Connect)
        assert action.delay_s == pytest.approx(delay_s)
        assert action.reason == "rate limited"
        machine(LIVE)
    machine(limited)
    assert machine.stopped_with is RateLimitedError


def test_busy_server_can_ask_for_a_wait() -> None:
    """503 with `Retry-After`, 1013 with `retry_after=`: at most 5 min as well."""
    machine = live()
    machine(Refused(503, "busy", 40.0))
    assert machine(CaughtUp()) == Connect(40.0, 1, 503, "busy")
    machine(Closed(1013, "slow", 4000.0))
    assert machine(CaughtUp()) == Connect(300.0, 2, 1013, "slow")


def test_rest_is_not_asked_before_retry_after() -> None:
    """This holds for every catch-up and delays reconnecting; the open socket continues."""
    machine = live()
    assert machine(Quiet(), RestFailed(429, "slow", 60.0)) == Read()
    machine.now += 10.0
    assert machine(Quiet()) == Read()
    assert machine(Closed(1006)) == Connect(50.0, 1, 1006, "")
    assert machine(LIVE, Quiet()) == CatchUp()


def test_rest_without_retry_after_can_be_asked_immediately() -> None:
    """The machine paces its catch-ups itself."""
    machine = live()
    machine(Quiet(), RestFailed(500))
    assert machine(Closed(1006)) == CatchUp()


@pytest.mark.parametrize(
    "gone", [Closed(1006), Closed(4100), Closed(1009), Refused(400), Refused(503), Lost("reset"), Silent()]
)
@pytest.mark.parametrize("random", [0.0, 1.0])
def test_retry_skips_catch_up_until_retry_after(gone: Input, random: float) -> None:
    """It waits for `Retry-After` or the backoff, whichever is longer."""
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


def test_socket_is_read_without_catch_up_until_retry_after() -> None:
    """Even if the server does not replay."""
    machine = live()
    machine(Quiet(), RestFailed(429, "slow", 60.0), Slept())
    assert machine(Opened(needs_catch_up=True)) == Read()


def test_retry_after_of_rest_is_capped() -> None:
    """At 5 minutes, as everywhere."""
    machine = live()
    machine(Quiet(), RestFailed(429, "slow", 1e9))
    machine.now += 299.0
    assert machine(Quiet()) == Read()
    machine.now += 1.0
    assert machine(Quiet()) == CatchUp()


# -- incurable failures -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 204, 299, 300, 301, 302, 303, 307, 308, 399, 400, 405, 426])
def test_second_incurable_answer_gives_up_socket(status: int) -> None:
    """A web page, a redirect to another origin, a server without WebSockets."""
    machine = Machine()
    machine(Started())
    assert machine(Refused(status, "a page")) == CatchUp()
    assert machine(CaughtUp()) == Connect(2.0, 1, status, "a page")
    assert machine(Refused(status, "a page")) == Poll(0.0, "a page")


def test_successful_handshake_resets_incurable_answers() -> None:
    """Only failures in a row count."""
    machine = Machine()
    machine(Started(), Refused(400), CaughtUp(), LIVE, Closed(1006), CaughtUp())
    assert machine(Refused(400)) == CatchUp()


@pytest.mark.parametrize("status", [199, 402, 406, 408, 410, 451, 499, 500, 599])
def test_other_status_is_retried(status: int) -> None:
    """A limited number of times."""
    machine = Machine()
    assert machine(Started(), Refused(status)) == CatchUp()
    assert isinstance(machine(CaughtUp()), Connect)


def test_second_oversize_frame_at_same_place_gives_up_socket() -> None:
    """The first one may have been a passing fault."""
    machine = live()
    assert machine(Closed(1009, "too big")) == CatchUp()
    assert machine(CaughtUp()) == Connect(2.0, 1, 1009, "too big")
    assert machine(LIVE, Closed(1009, "too big")) == Poll(0.0, "too big")


@pytest.mark.parametrize("between", [[LIVE, Progressed()], [CaughtUp(news=True), LIVE]])
def test_progress_resets_oversize_frames(between: list[Input]) -> None:
    """After a new event, over the socket or REST, the count starts over."""
    machine = live()
    machine(Closed(1009))
    if between[0] == LIVE:
        machine(CaughtUp())
    machine(*between)
    assert machine(Closed(1009)) == CatchUp()


def test_twenty_bad_frames_give_up_socket() -> None:
    """Twenty in a row."""
    assert live()(TooManyBadFrames()) == Poll(0.0, "the server does not speak this protocol")


@pytest.mark.parametrize("before", [[], [LIVE], [LIVE, Closed(1006)]])
def test_blocked_stops_immediately(before: list[Input]) -> None:
    """An invalid certificate or a proxy that requires credentials, from the socket or from REST."""
    machine = Machine()
    action = machine(Started(), *before, Blocked("The certificate is not trusted.", "Do this."))
    assert isinstance(action, Stop)
    assert (action.error.message, action.error.hint) == ("The certificate is not trusted.", "Do this.")
    assert machine.stopped_with is NetworkError


@pytest.mark.parametrize("proxy", [[Refused(407)], [LIVE, Closed(1006), RestFailed(407)]])
def test_proxy_credentials_stop_immediately(proxy: list[Input]) -> None:
    """If the 407 arrives as the server's answer."""
    machine = Machine()
    action = machine(Started(), *proxy)
    assert isinstance(action, Stop)
    assert machine.stopped_with is NetworkError
    assert "407" in action.error.message


def test_silence_is_reported() -> None:
    """Ten seconds after a ping."""
    machine = live()
    machine(Silent())
    assert machine.state.opened_at is None
    assert machine(CaughtUp()) == Connect(2.0, 1, None, "no answer to a ping")


def test_reconnects_immediately_after_sleep() -> None:
    """Without a catch-up and without a delay."""
    assert live()(Slept()) == Connect(0.0, 0, None, "this machine slept")


def test_reconnects_immediately_to_ask_for_output() -> None:
    """Like after sleep, and the reason says why; connections are throttled as always."""
    assert live()(Reopening()) == Connect(0.0, 0, None, "asking for output")


# -- end without verdict -------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [[Quiet()], [Closed(1000)], [TooManyBadFrames()]])
def test_end_without_verdict_stops(before: list[Input]) -> None:
    """`completed` without results is not a verdict."""
    machine = live()
    machine(*before, CaughtUp(ended=True))
    assert machine.stopped_with is ServerError


# -- polling ------------------------------------------------------------------------------------------


def polling(**settings: Any) -> Machine:
    machine = live(**settings)
    machine(TooManyBadFrames())
    return machine


def test_polling_starts_immediately_and_slows_down() -> None:
    """Every 2 to 10 s, for as long as REST answers."""
    machine = polling()
    found = [machine(CaughtUp()) for _ in range(50)]
    intervals = [action.delay_s for action in found if isinstance(action, Poll)]
    assert intervals[:6] == [2.0, 3.0, 4.5, 6.75, 10.0, 10.0]
    assert set(intervals[6:]) == {10.0}
    assert len(intervals) == 50


def test_polling_reports_its_cause() -> None:
    """The reason for giving up the socket, else its code, else "lost"."""
    for gone, why in ((Closed(1006, "cut"), "cut"), (Closed(1006), "code 1006"), (Lost(""), "lost")):
        machine = live(max_attempts=0)
        assert machine(gone, CaughtUp()) == Poll(0.0, why)
        assert machine(CaughtUp()) == Poll(2.0, why)


@pytest.mark.parametrize("vain", [RestFailed(None, "gone"), RestFailed(500, "later"), RestFailed(403, "no")])
def test_failed_polls_have_their_own_attempts(vain: RestFailed) -> None:
    """With the backoff; when they are used up, the error names both failures."""
    machine = polling()
    found = [machine(vain) for _ in range(5)]
    assert [action.delay_s for action in found if isinstance(action, Poll)] == [2.0, 4.0, 8.0, 16.0, 30.0]
    action = machine(vain)
    assert isinstance(action, Stop)
    assert machine.stopped_with is (NetworkError if vain.status is None else ServerError)
    assert "does not speak this protocol" in action.error.message
    assert vain.reason in action.error.message


def test_successful_poll_resets_poll_attempts() -> None:
    """Only failures in a row count."""
    machine = polling()
    for _ in range(3):
        for _ in range(5):
            assert isinstance(machine(RestFailed(500)), Poll)
        assert isinstance(machine(CaughtUp()), Poll)


def test_rate_limited_polls_wait_and_end_as_rate_limited() -> None:
    """Exit 8 in the end."""
    machine = polling()
    waits = [machine(RestFailed(429, "slow", told)) for told in (None, 20.0, 1e9, 1.0, None)]
    assert [action.delay_s for action in waits if isinstance(action, Poll)] == [2.0, 20.0, 300.0, 16.0, 30.0]
    machine(RestFailed(429))
    assert machine.stopped_with is RateLimitedError


def test_stops_when_socket_and_rest_are_both_gone() -> None:
    """Failed catch-ups between reconnects count: nothing is asked a seventh time."""
    machine = live()
    for _ in range(5):
        assert isinstance(machine(Lost("refused"), RestFailed(None, "refused")), Connect)
    machine(Lost("refused"), RestFailed(None, "refused"))
    assert machine.stopped_with is NetworkError


def test_failed_catch_up_after_last_attempt_starts_polling() -> None:
    """REST answered before, so it gets its own attempts."""
    machine = live()
    delays(machine, [Lost("refused"), CaughtUp()], 5)
    assert machine(Lost("refused"), RestFailed(500)) == Poll(2.0, "refused")


def test_polling_respects_retry_after() -> None:
    """When the socket is given up while REST asked us to wait."""
    machine = live()
    machine(Quiet(), RestFailed(429, "slow", 60.0))
    machine.now += 20.0
    assert machine(TooManyBadFrames()) == Poll(30.0 + 10.0, "the server does not speak this protocol")
    machine = live(max_attempts=0)
    machine.state = State(max_attempts=0, answered=True, rest_at=machine.now + 7.0, opened_at=machine.now)
    assert machine(Closed(1006)) == Poll(7.0, "code 1006")


@pytest.mark.parametrize(
    "script",
    [
        pytest.param([LIVE, Closed(4010)], id="the server says so"),
        pytest.param([LIVE, Progressed(), Replaced()], id="an event says so"),
        pytest.param([LIVE, Progressed(), Closed(1006), Replaced()], id="REST says so before reconnecting"),
        pytest.param([Refused(400), CaughtUp(), Refused(400), Replaced()], id="REST says so while polling"),
    ],
)
def test_another_log_ends_the_watch(script: list[Input]) -> None:
    """Without a retry: the first log will not come back."""
    machine = Machine()
    action = machine(Started(), *script)
    assert machine.stopped_with is ServerError
    assert isinstance(action, Stop)
    assert "records were replaced" in action.error.message
    assert "subcli status ID" in action.error.hint


def test_judging_is_not_promised_for_what_was_never_seen() -> None:
    """Both ways failed from the start: there is nothing to resume."""
    machine = Machine(max_attempts=0)
    machine(Started(), Refused(503, "HTTP 503"))
    while not isinstance(machine.action, Stop):
        machine(RestFailed(503, "HTTP 503"))
    assert "Judging" not in machine.action.error.hint
    machine = live(max_attempts=0)
    machine(Closed(1006))
    while not isinstance(machine.action, Stop):
        machine(RestFailed(503, "HTTP 503"))
    assert "Judging continues" in machine.action.error.hint


def test_token_from_just_before_is_no_second_refusal() -> None:
    """The session ended right after its token was renewed: that token is tried, then a new one, then we stop."""
    machine = live()
    assert machine(Closed(4003)) == Refresh()
    machine(Refreshed(ok=True, renewed=False))
    assert machine(Closed(4003)) == Refresh()
    machine(Refreshed(ok=True))
    machine(Closed(4003))
    assert machine.stopped_with is AuthError


def test_token_that_expired_on_the_way_is_no_second_refusal() -> None:
    """The connect had to wait for longer than the token lived: another one is got, but not for ever."""
    machine = live()
    assert machine(Closed(4003, "token expired")) == Refresh()
    for _ in range(MAX_ATTEMPTS):
        machine(Refreshed(ok=True))
        machine.now += REFUSED_AT_ONCE_S
        assert machine(Closed(4003, "token expired")) == Refresh()
    machine(Refreshed(ok=True))
    machine.now += REFUSED_AT_ONCE_S
    machine(Closed(4003, "token expired"))
    assert machine.stopped_with is AuthError
