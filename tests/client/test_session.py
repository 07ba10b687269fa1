"""What the session does on its own, beyond the actions of the recovery machine: clocks, catching up, closing.

Time is virtual (:mod:`tests.simulation.virtual`): a test that waits for a minute takes a millisecond.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from subcli.client.api import EventLog, ServerInfo
from subcli.client.exchange import RequestFailed
from subcli.client.heartbeat import (
    MAX_CLOCK_GAP_S,
    PING_INTERVAL_S,
    PONG_TIMEOUT_S,
    QUIET_S,
    QUIET_WITH_RESUME_S,
    Heartbeat,
)
from subcli.client.missed import CATCH_UP_TIMEOUT_S, OUTPUT_TIMEOUT_S, fetch_hole, fetch_missed
from subcli.client.session import Session
from subcli.client.transport import Disconnected
from subcli.core.errors import ServerError
from subcli.core.inputs import Closed, Refreshed, RestFailed, Silent, Slept
from subcli.core.submission import Connection
from subcli.core.watch import Watch
from subcli.shared.messages import Complete, Message
from subcli.shared.secret import Secret
from tests.simulation.virtual import run

ID = 7
RESUME = ServerInfo(features=frozenset({"resume"}))
OUTPUT = ServerInfo(features=frozenset({"resume", "output"}))
PLAIN = ServerInfo()
NEVER = 1e9

Frame = str | bytes | Closed
Script = list[tuple[float, Frame]]
"""(seconds after the socket opened, what then comes)."""


def now() -> float:
    """Seconds of the virtual clock."""
    return asyncio.get_running_loop().time()


def event(kind: str, **fields: Any) -> str:
    """A frame with an event of the submission watched."""
    return json.dumps({"type": kind, "submission_id": ID, **fields})


def result(name: str, status: str = "passed", **fields: Any) -> str:
    """A frame with one test's result."""
    return event("test_result", test_name=name, status=status, **fields)


class ScriptedSocket:
    """Says what its script says, when it says it; answers pings unless it is frozen."""

    def __init__(self, script: Script, *, frozen_from_s: float = NEVER, reads: bool = True) -> None:
        self.opened_at = now()
        self.script = list(script)
        self.frozen_at = self.opened_at + frozen_from_s
        self.reads = reads
        self.last_byte_at = now()
        self.pinged_at: list[float] = []
        self.sent: list[str] = []
        self.ended = ""
        self.ended_at = NEVER

    async def receive(self) -> list[str | bytes]:
        assert not self.ended, "reading a socket that was closed"
        if not self.script:
            await asyncio.sleep(NEVER)
        due_s, frame = self.script[0]
        if (wait_s := self.opened_at + due_s - now()) > 0:
            await asyncio.sleep(wait_s)
        self.script.pop(0)
        if isinstance(frame, Closed):
            raise Disconnected(frame)
        self.last_byte_at = now()
        frames = [frame]
        while self.script and self.opened_at + self.script[0][0] <= now():
            if isinstance(frame := self.script[0][1], Closed):
                break
            self.script.pop(0)
            frames.append(frame)
        return frames

    async def ping(self) -> None:
        await self._take("ping")
        self.pinged_at.append(now() - self.opened_at)
        if now() < self.frozen_at:
            asyncio.get_running_loop().call_later(0.01, self._pong)

    def _pong(self) -> None:
        self.last_byte_at = now()

    async def send(self, text: str) -> None:
        await self._take(text)

    async def _take(self, text: str) -> None:
        if not self.reads:
            await asyncio.sleep(NEVER)
        self.sent.append(text)

    async def close(self) -> None:
        self._end("closed")

    def abort(self) -> None:
        self._end("aborted")

    def _end(self, how: str) -> None:
        assert not self.ended
        self.ended, self.ended_at = how, now()


class ScriptedRest:
    """REST as a test sets it: each request is noted with its time; ``fail`` decides which of them fail, and how."""

    def __init__(self, info: ServerInfo = PLAIN) -> None:
        self.server_info: ServerInfo | None = info
        self.snapshot: dict[str, Any] = {"id": ID, "status": "testing"}
        self.results: list[dict[str, Any]] = []
        self.log: list[dict[str, Any]] = []
        self.pieces: list[dict[str, Any]] = []
        self.log_end: tuple[object, object] = (None, None)
        self.fail: Callable[[str], RequestFailed | None] = lambda name: None
        self.hanging: set[str] = set()
        self.info_s = 0.0
        self.asked: list[tuple[str, float]] = []

    def times(self, name: str) -> list[float]:
        """When a call was made."""
        return [at for asked, at in self.asked if asked == name]

    async def _request(self, name: str) -> None:
        self.asked.append((name, now()))
        if name in self.hanging:
            await asyncio.sleep(NEVER)
        failed = self.fail(name)
        if failed is not None:
            raise failed

    async def info(self) -> ServerInfo:
        await asyncio.sleep(self.info_s)
        await self._request("info")
        if self.server_info is None:
            raise RequestFailed(RestFailed(503, "not yet"))
        return self.server_info

    async def submission(self, submission_id: int, epoch: str | None = None) -> dict[str, Any]:
        assert submission_id == ID
        await self._request("submission")
        return self.snapshot

    async def tests(self, submission_id: int, epoch: str | None = None) -> list[Any]:
        assert submission_id == ID
        await self._request("tests")
        return self.results

    async def events(self, submission_id: int, after_seq: int, epoch: str | None = None) -> EventLog:
        assert submission_id == ID
        await self._request("events")
        assert after_seq >= 0
        return EventLog([entry for entry in self.log if entry["seq"] > after_seq], *self.log_end)

    async def output(self, submission_id: int, output_after: int, epoch: str | None = None) -> list[Any]:
        assert submission_id == ID
        await self._request("output")
        return [entry for entry in self.pieces if entry["output_seq"] > output_after]


class Login:
    """Authenticates again as often as it is asked."""

    def __init__(self) -> None:
        self.refreshed_at: list[float] = []

    def token(self) -> Secret | None:
        return None

    async def refresh(self, refused: Secret | None) -> Refreshed:
        assert refused == self.token()
        await asyncio.sleep(1)
        self.refreshed_at.append(now())
        return Refreshed(True)


class Trial:
    """One session over scripted sockets and REST, with what it yielded and when."""

    def __init__(
        self,
        rest: ScriptedRest,
        *,
        wall: Callable[[], float] | None = None,
        random: Callable[[], float] = lambda: 0.5,
        **options: Any,
    ) -> None:
        self.rest = rest
        self.login = Login()
        self.sockets: list[ScriptedSocket] = []
        self.dialled: list[tuple[int, str | None]] = []
        self.asked_for_output: list[int | None] = []
        self.make: Callable[[], ScriptedSocket] = lambda: ScriptedSocket([])
        self.shown: list[tuple[float, Message | Connection]] = []
        self.session = Session(Watch(ID), rest, self._dial, self.login, wall=wall or now, random=random, **options)

    async def _dial(
        self, submission_id: int, after_seq: int, epoch: str | None, output_after: int | None
    ) -> ScriptedSocket:
        assert submission_id == ID
        self.dialled.append((after_seq, epoch))
        self.asked_for_output.append(output_after)
        self.sockets.append(self.make())
        return self.sockets[-1]

    async def run(self, for_s: float) -> None:
        """Follow for so many seconds, or to the end."""
        events = self.session.events()
        try:
            async with asyncio.timeout(for_s):
                async for shown in events:
                    self.shown.append((now(), shown))
        except TimeoutError:
            return
        finally:
            await events.aclose()

    @property
    def states(self) -> list[str]:
        """The connection states yielded."""
        return [shown.state for _, shown in self.shown if isinstance(shown, Connection)]

    @property
    def messages(self) -> list[Message]:
        """The events yielded."""
        return [shown for _, shown in self.shown if not isinstance(shown, Connection)]


def play(trial: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test on the virtual clock."""
    run(trial(), began=0.0)


def failing(count: int, name: str = "submission") -> Callable[[str], RequestFailed | None]:
    """Fails the first ``count`` calls of this name."""
    left = [count]

    def fail(asked: str) -> RequestFailed | None:
        if asked != name or not left[0]:
            return None
        left[0] -= 1
        return RequestFailed(RestFailed(503, "down"))

    return fail


# -- catching up ---------------------------------------------------------------------------------------


def test_failed_catch_up_is_repeated_while_events_arrive() -> None:
    """What was missed before the socket opened is asked for again, even if new events keep coming all the time."""

    async def trial() -> None:
        rest = ScriptedRest()
        rest.results = [{"name": "missed", "status": "failed"}]
        rest.fail = failing(2)
        it = Trial(rest)
        # An event each second: the silence that asks REST as well never comes.
        it.make = lambda: ScriptedSocket([(float(n), result(f"test {n}")) for n in range(1, 60)])
        await it.run(50)
        assert [round(at) for at in rest.times("submission")] == [0, QUIET_S, 2 * QUIET_S]
        assert "missed" in [message.raw.get("test_name") for message in it.messages]
        assert it.states == ["connecting", "open"]

    play(trial)


def test_successful_catch_up_is_not_repeated() -> None:
    """Nor is REST asked again while events arrive."""

    async def trial() -> None:
        it = Trial(ScriptedRest())
        it.make = lambda: ScriptedSocket([(float(n), result(f"test {n}")) for n in range(1, 100)])
        await it.run(90)
        assert len(it.rest.times("submission")) == 1

    play(trial)


def test_server_whose_features_are_unknown_is_asked_soon() -> None:
    """While ``/info`` fails, the socket is read and REST is asked a second later: replaying is not certain."""

    async def trial() -> None:
        rest = ScriptedRest()
        rest.server_info = None
        it = Trial(rest)
        it.make = lambda: ScriptedSocket([(n / 2, result(f"test {n}")) for n in range(1, 10)])
        await it.run(4)
        assert len(rest.times("info")) == 2
        assert it.messages[0].raw["test_name"] == "test 1"

    play(trial)


def test_catch_up_is_bounded() -> None:
    """A REST half that hangs holds up the events for ``CATCH_UP_TIMEOUT_S`` at most."""

    async def trial() -> None:
        rest = ScriptedRest()
        rest.hanging = {"submission"}
        it = Trial(rest)
        it.make = lambda: ScriptedSocket([(0.5, result("late"))])
        await it.run(CATCH_UP_TIMEOUT_S + 1)
        assert [at for at, shown in it.shown if not isinstance(shown, Connection)] == [
            pytest.approx(CATCH_UP_TIMEOUT_S)
        ]

    play(trial)


@pytest.mark.parametrize(("info", "quiet_s"), [(PLAIN, QUIET_S), (RESUME, QUIET_WITH_RESUME_S)])
def test_quiet_server_is_asked_over_rest(info: ServerInfo, quiet_s: float) -> None:
    """And what is new there ends the watch, as the socket would have."""

    async def trial() -> None:
        rest = ScriptedRest(info)
        it = Trial(rest)

        def ended(name: str) -> None:
            if now() > quiet_s / 2:
                rest.snapshot = {"id": ID, "status": "completed", "final_status": "passed"}

        rest.fail = ended
        await it.run(200)
        assert isinstance(it.messages[-1], Complete)
        assert rest.times("submission")[-1] == pytest.approx(quiet_s)
        assert it.states == ["connecting", "open", "closed"]
        assert it.sockets[0].ended == "closed"

    play(trial)


def test_results_inside_the_snapshot_are_enough() -> None:
    """Servers that put them there, or that have no ``/tests``, are not asked in vain."""

    async def trial() -> None:
        rest = ScriptedRest()
        rest.snapshot["tests"] = [{"name": "inside", "status": "passed"}]
        it = Trial(rest)
        await it.run(5)
        assert it.messages[-1].raw["test_name"] == "inside"
        assert rest.times("tests") == []

        rest = ScriptedRest()
        rest.fail = lambda name: RequestFailed(RestFailed(404, "none")) if name == "tests" else None
        it = Trial(rest)
        await it.run(5)
        assert it.states == ["connecting", "open"]
        assert len(rest.times("submission")) == 1

        rest = ScriptedRest()
        rest.fail = lambda name: RequestFailed(RestFailed(500, "broken")) if name == "tests" else None
        it = Trial(rest)
        it.make = lambda: ScriptedSocket([(float(n), result(f"test {n}")) for n in range(1, 20)])
        await it.run(QUIET_S + 1)
        assert len(rest.times("submission")) == 2

    play(trial)


def test_log_without_the_verdict_is_completed_by_the_snapshot() -> None:
    """A terminal status without ``final_status``: the results decide, so they are asked for as well."""

    async def trial() -> None:
        rest = ScriptedRest(RESUME)
        rest.snapshot = {"id": ID, "status": "completed"}
        rest.results = [{"name": "a", "status": "passed"}]
        it = Trial(rest)
        it.make = lambda: ScriptedSocket([(1.0, Closed(1006))])
        await it.run(5)
        assert it.session.watch.verdict is not None
        assert it.session.watch.verdict.final_status == "passed"

    play(trial)


def test_rest_is_left_alone_as_long_as_it_asks() -> None:
    """``Retry-After`` of a failed catch-up is obeyed, and waiting for it does not spin."""

    async def trial() -> None:
        rest = ScriptedRest()
        rest.fail = lambda name: RequestFailed(RestFailed(429, "slow down", 25.0)) if name == "submission" else None
        it = Trial(rest)
        await it.run(31)
        assert [round(at) for at in rest.times("submission")] == [0, 30]

    play(trial)


def test_quiet_server_is_asked_every_ten_seconds() -> None:
    """Not once, and not all the time."""

    async def trial() -> None:
        it = Trial(ScriptedRest())
        await it.run(31)
        assert [round(at) for at in it.rest.times("submission")] == [0, 10, 20, 30]

    play(trial)


def test_features_learned_while_catching_up_count() -> None:
    """A server with ``resume`` whose ``/info`` failed at first is not asked every ten seconds."""

    async def trial() -> None:
        rest = ScriptedRest(RESUME)
        rest.fail = failing(1, "info")
        it = Trial(rest)
        await it.run(40)
        assert [round(at) for at in rest.times("submission")] == [1]

    play(trial)


@pytest.mark.parametrize(("info_s", "read_at"), [(0.5, 0.5), (5.0, 1.0)])
def test_open_socket_waits_a_second_for_the_features(info_s: float, read_at: float) -> None:
    """Frames that are here already are read then, whether or not ``/info`` has answered."""

    async def trial() -> None:
        rest = ScriptedRest(RESUME)
        rest.info_s = info_s
        it = Trial(rest)
        it.make = lambda: ScriptedSocket([(0.1, result("a", seq=1))])
        await it.run(3)
        assert [at for at, shown in it.shown if not isinstance(shown, Connection)] == [pytest.approx(read_at)]

    play(trial)


def test_hole_is_filled_from_the_log_in_order() -> None:
    """Events that came too early wait for those that are missing."""

    async def trial() -> None:
        rest = ScriptedRest(RESUME)
        rest.log = [json.loads(result(f"test {seq}", seq=seq)) for seq in (1, 2, 3)]
        it = Trial(rest)
        it.make = lambda: ScriptedSocket([(1.0, result("test 1", seq=1)), (2.0, result("test 3", seq=3))])
        await it.run(5)
        assert [message.seq for message in it.messages] == [1, 2, 3]

    play(trial)


@pytest.mark.parametrize("hangs", [False, True])
def test_hole_that_cannot_be_filled_reconnects(hangs: bool) -> None:
    """The replay of the next connection closes it; nothing is shown out of order meanwhile."""

    async def trial() -> None:
        rest = ScriptedRest(RESUME)
        it = Trial(rest)
        frames = [result(f"test {seq}", seq=seq) for seq in (1, 2, 3)]

        def make() -> ScriptedSocket:
            if it.sockets:
                return ScriptedSocket([(0.1, frame) for frame in frames])
            return ScriptedSocket([(1.0, frames[0]), (2.0, frames[2])])

        it.make = make
        rest.fail = failing(100, "events")
        if hangs:
            rest.hanging = {"events"}
        await it.run(60)
        assert [message.seq for message in it.messages] == [1, 2, 3]
        assert it.states[:3] == ["connecting", "open", "reconnecting"]

    play(trial)


def test_hole_without_a_log_asks_for_the_snapshot() -> None:
    """A server with ``seq`` and without ``resume``: the snapshot says what was missed, at once."""

    async def trial() -> None:
        rest = ScriptedRest(PLAIN)
        it = Trial(rest)
        it.make = lambda: ScriptedSocket([(1.0, result("test 1", seq=1)), (2.0, result("test 3", seq=3))])
        await it.run(4)
        assert [round(at, 1) for at in rest.times("submission")] == [0.0, 2.0]
        assert [message.seq for message in it.messages if message.type == "test_result"] == [1, 3]

    play(trial)


# -- clocks --------------------------------------------------------------------------------------------


def test_pings_go_on_while_events_arrive() -> None:
    """The server drops a client that says nothing for five minutes, however much it says itself."""

    async def trial() -> None:
        it = Trial(ScriptedRest(RESUME))
        it.make = lambda: ScriptedSocket([(float(n), result(f"test {n}", seq=n)) for n in range(1, 200)])
        await it.run(100)
        assert it.sockets[0].pinged_at == [pytest.approx(n * PING_INTERVAL_S, abs=0.1) for n in (1, 2, 3)]

    play(trial)


def test_frozen_server_is_dead_after_the_pong_timeout() -> None:
    """Not a second later: the connection is aborted, not closed, and made again."""

    async def trial() -> None:
        it = Trial(ScriptedRest(RESUME))
        it.make = lambda: ScriptedSocket([(1.0, result("a", seq=1))], frozen_from_s=2.0 if not it.sockets else NEVER)
        await it.run(PING_INTERVAL_S + PONG_TIMEOUT_S + 5)
        at = next(at for at, shown in it.shown if isinstance(shown, Connection) and shown.state == "reconnecting")
        assert at == pytest.approx(PING_INTERVAL_S + PONG_TIMEOUT_S, abs=0.1)
        assert it.sockets[0].ended == "aborted"
        assert len(it.sockets) == 2

    play(trial)


def test_any_byte_after_a_ping_is_a_sign_of_life() -> None:
    """A server that answers a ping with an event instead of a pong is alive."""

    async def trial() -> None:
        it = Trial(ScriptedRest(RESUME))
        events = [(PING_INTERVAL_S * n + 5, result(f"test {n}", seq=n)) for n in (1, 2, 3)]
        it.make = lambda: ScriptedSocket(list(events), frozen_from_s=0.0)
        await it.run(3 * PING_INTERVAL_S + 9)
        assert it.states == ["connecting", "open"]

    play(trial)


def test_server_that_stops_reading_is_dead() -> None:
    """Sending a ping or a pong is bounded, too."""

    async def trial() -> None:
        it = Trial(ScriptedRest(RESUME))
        it.make = lambda: ScriptedSocket([(1.0, "ping")], reads=False)
        await it.run(1.0 + PONG_TIMEOUT_S + 1)
        assert it.states[:3] == ["connecting", "open", "reconnecting"]
        assert it.sockets[0].ended == "aborted"

    play(trial)


def test_bare_ping_is_answered() -> None:
    """The other platform pings, and wants ``pong``."""

    async def trial() -> None:
        it = Trial(ScriptedRest(RESUME))
        it.make = lambda: ScriptedSocket([(1.0, "ping"), (2.0, "ping")])
        await it.run(5)
        assert it.sockets[0].sent == ["pong", "pong"]

    play(trial)


@pytest.mark.parametrize(("slept_s", "reconnects"), [(6.0, True), (-6.0, True), (4.0, False)])
def test_sleep_reconnects_at_once(slept_s: float, reconnects: bool) -> None:
    """When wall clock and monotonic clock disagree by more than 5 s, nobody waits for a timeout."""

    async def trial() -> None:
        it = Trial(ScriptedRest(RESUME), wall=lambda: now() + (slept_s if now() > 7 else 0.0))
        await it.run(12)
        assert len(it.sockets) == (2 if reconnects else 1)
        if reconnects:
            at, shown = next(
                (at, shown) for at, shown in it.shown if isinstance(shown, Connection) and shown.state == "reconnecting"
            )
            assert shown.delay_s == 0.0
            assert at == pytest.approx(10.0)

    play(trial)


def test_sleep_is_noticed_once() -> None:
    """The gap is measured from the last look at the clocks, not from the beginning."""

    async def trial() -> None:
        it = Trial(ScriptedRest(RESUME), wall=lambda: now() + (3600.0 if now() > 7 else 0.0))
        await it.run(60)
        assert len(it.sockets) == 2

    play(trial)


# -- frames and the end ----------------------------------------------------------------------------------


def test_bad_frames_in_a_row_give_up_the_socket() -> None:
    """Twenty in a row do; nineteen, a good one and nineteen more do not, nor do they across connections."""

    async def trial() -> None:
        bad: Script = [(0.1, "{")] * 19
        it = Trial(ScriptedRest(RESUME))
        it.make = lambda: ScriptedSocket([*bad, (0.2, result("a", seq=1)), *bad])
        await it.run(5)
        assert it.states == ["connecting", "open"]

        it = Trial(ScriptedRest(RESUME))
        it.make = lambda: ScriptedSocket([*bad, (0.2, Closed(1012))] if not it.sockets else [*bad])
        await it.run(15)
        assert it.states == ["connecting", "open", "reconnecting", "open"]

        it = Trial(ScriptedRest(RESUME))
        it.make = lambda: ScriptedSocket([*bad, (0.1, b"binary")])
        await it.run(3)
        assert it.states[-1] == "polling"
        assert it.sockets[0].ended == "aborted"
        assert it.sockets[0].ended_at - it.sockets[0].opened_at == pytest.approx(0.1)

    play(trial)


def test_verdict_ends_the_watch_at_once() -> None:
    """Without waiting for the server to close."""

    async def trial() -> None:
        it = Trial(ScriptedRest(RESUME))
        it.make = lambda: ScriptedSocket([(1.0, event("complete", final_status="passed", seq=1))])
        await it.run(100)
        assert now() == pytest.approx(1.0)
        assert it.states == ["connecting", "open", "closed"]
        assert it.sockets[0].ended == "closed"

    play(trial)


def test_attempts_start_again_with_the_first_event_of_a_connection_only() -> None:
    """Each connection that brings something new starts the count again; one that brings nothing does not."""

    async def trial() -> None:
        rest = ScriptedRest(RESUME)
        it = Trial(rest, max_attempts=2)
        count = iter(range(1, 100))

        def make() -> ScriptedSocket:
            seq = next(count)
            return ScriptedSocket([(0.1, result(f"test {seq}", seq=seq)), (0.2, Closed(1012))])

        it.make = make
        await it.run(60)
        assert len(it.sockets) > 5
        assert "polling" not in it.states

        it = Trial(ScriptedRest(RESUME), max_attempts=2)
        it.make = lambda: ScriptedSocket([(0.2, Closed(1012))])
        await it.run(60)
        assert it.states.count("open") == 3
        assert "polling" in it.states

    play(trial)


def test_fatal_close_is_raised_after_it_is_shown() -> None:
    """The views hear of the end before the error ends the command."""

    async def trial() -> None:
        rest = ScriptedRest(RESUME)
        it = Trial(rest, describe=True)
        rest.snapshot |= {"problem": "leader-election", "language": "python"}
        it.make = lambda: ScriptedSocket([(1.0, Closed(1008, "go away"))])
        with pytest.raises(ServerError, match="1008"):
            await it.run(5)
        last = it.shown[-1][1]
        assert isinstance(last, Connection)
        assert (last.state, "1008" in (last.reason or "")) == ("closed", True)
        assert it.session.watch.snapshot().problem == "leader-election"
        assert it.session.watch.snapshot().language == "python"
        assert it.session.watch.snapshot().connection == last

    play(trial)


def test_refusal_over_rest_aborts_the_socket() -> None:
    """Before the login is renewed, which may have to wait for a person."""

    async def trial() -> None:
        rest = ScriptedRest()
        it = Trial(rest)
        rest.fail = lambda name: (
            None if it.login.refreshed_at or name != "submission" else RequestFailed(RestFailed(401, "expired"))
        )
        await it.run(5)
        assert it.login.refreshed_at == [pytest.approx(1.0)]
        assert (it.sockets[0].ended, it.sockets[0].ended_at) == ("aborted", 0.0)
        assert it.states == ["connecting", "open", "reconnecting", "open"]

    play(trial)


def test_requests_do_not_outlive_the_session() -> None:
    """What was asked for beside the socket is cancelled."""

    async def trial() -> None:
        rest = ScriptedRest()
        rest.hanging = {"info", "submission"}
        it = Trial(rest, describe=True)
        it.make = lambda: ScriptedSocket([(1.5, event("complete", final_status="passed"))])
        await it.run(5)
        assert it.states[-1] == "closed"
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    play(trial)


def test_leaving_early_aborts_the_socket() -> None:
    """Ctrl-C must not wait for a closing handshake."""

    async def trial() -> None:
        it = Trial(ScriptedRest(RESUME))
        await it.run(3)
        assert it.sockets[0].ended == "aborted"

    play(trial)


# -- what is said --------------------------------------------------------------------------------------


def test_each_connection_says_what_it_is() -> None:
    """A reconnect names its number, delay, code and reason, a poll its delay and reason; the end names code 1000."""

    async def trial() -> None:
        it = Trial(ScriptedRest(RESUME), max_attempts=1, random=lambda: 0.123)
        it.make = lambda: ScriptedSocket([(0.1, Closed(1012, "restart"))])
        await it.run(15)
        said = [shown for _, shown in it.shown if isinstance(shown, Connection)]
        assert said[:6] == [
            Connection("connecting"),
            Connection("open"),
            Connection("reconnecting", attempt=1, delay_s=1.7, code=1012, reason="restart"),
            Connection("open"),
            Connection("polling", delay_s=0.0, reason="restart"),
            Connection("polling", delay_s=2.0, reason="restart"),
        ]

        it = Trial(ScriptedRest(RESUME))
        it.make = lambda: ScriptedSocket([(1.0, event("complete", final_status="passed", seq=1))])
        await it.run(5)
        assert it.shown[-1][1] == Connection("closed", code=1000)

    play(trial)


def test_debug_log_names_each_ready_state(caplog: pytest.LogCaptureFixture) -> None:
    """``--debug`` shows the ready states 0 to 3 with their names, and each frame (contract, section 2)."""
    caplog.set_level(logging.DEBUG, "subcli")
    verdict = event("complete", final_status="passed", seq=2)

    async def trial() -> None:
        it = Trial(ScriptedRest(RESUME))
        scripts: Iterator[Script] = iter([[(0.1, result("a", seq=1)), (0.2, Closed(1012))], [(0.1, verdict)]])
        it.make = lambda: ScriptedSocket(next(scripts))
        await it.run(10)

    play(trial)
    said = [record.getMessage() for record in caplog.records if record.name == "subcli.socket.state"]
    assert said == [
        "#7 0 CONNECTING after seq 0",
        "#7 1 OPEN",
        f"#7 3 CLOSED {Closed(1012)!r}",
        "#7 3 CLOSED by us",
        "#7 0 CONNECTING after seq 1",
        "#7 1 OPEN",
        "#7 2 CLOSING",
        "#7 3 CLOSED",
    ]
    frames = [record.getMessage() for record in caplog.records if record.name == "subcli.socket.frame"]
    assert frames == [f"#7 < {result('a', seq=1)}", f"#7 < {verdict}"]
    retries = [record.getMessage() for record in caplog.records if record.name == "subcli.retry"]
    assert retries[0] == "#7 Started(own_submit=False) -> Connect(delay_s=0.0, attempt=0, code=None, reason='')"


def test_refused_connection_is_logged_as_closed(caplog: pytest.LogCaptureFixture) -> None:
    """A socket that never opened is closed in the log as well."""
    caplog.set_level(logging.DEBUG, "subcli.socket.state")

    async def trial() -> None:
        it = Trial(ScriptedRest(RESUME))

        def refuse() -> ScriptedSocket:
            raise Disconnected(Closed(1012))

        it.make = refuse
        await it.run(0.5)

    play(trial)
    assert [record.getMessage() for record in caplog.records] == [
        "#7 0 CONNECTING after seq 0",
        f"#7 3 CLOSED {Closed(1012)!r}",
    ]


def test_hole_that_cannot_be_read_says_so() -> None:
    """The reconnect has a reason, and counts as one to a server that was there."""

    async def trial() -> None:
        rest = ScriptedRest(RESUME)
        rest.fail = failing(1, "events")
        it = Trial(rest)
        it.make = lambda: ScriptedSocket([(0.1, result("c", seq=3))])
        await it.run(5)
        again = [shown for _, shown in it.shown if isinstance(shown, Connection)][2]
        assert again == Connection(
            "reconnecting", attempt=1, delay_s=2.0, reason="events are missing, and the log cannot be read"
        )

    play(trial)


# -- the parts, without a socket -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tests", "test_results"])
def test_results_inside_the_snapshot_have_two_names(name: str) -> None:
    """Either is enough; the results are not asked for."""

    async def trial() -> None:
        rest = ScriptedRest()
        rest.snapshot[name] = [{"name": "a", "status": "passed"}]
        fetched = await fetch_missed(rest, ID, 0)
        assert fetched.tests == rest.snapshot[name]
        assert not rest.times("tests")

    play(trial)


@pytest.mark.parametrize("fetch", [fetch_missed, fetch_hole])
def test_request_without_an_answer_says_how_long_it_took(fetch: Callable[..., Coroutine[Any, Any, Any]]) -> None:
    """It has no status: nothing was answered."""

    async def trial() -> None:
        rest = ScriptedRest(RESUME)
        rest.hanging = {"events"}
        with pytest.raises(RequestFailed) as caught:
            await fetch(rest, ID, 0)
        assert now() == CATCH_UP_TIMEOUT_S
        assert caught.value.input == RestFailed(None, "no answer within 15 s")

    play(trial)


def test_clocks_may_disagree_up_to_the_limit() -> None:
    """In either direction; beyond it the machine slept."""
    for sign in (1, -1):
        at_limit, beyond = sign * MAX_CLOCK_GAP_S, sign * (MAX_CLOCK_GAP_S + 0.5)
        assert Heartbeat(0.0, 100.0).due(1.0, 101.0 + at_limit, 0.0, resumes=True) is None
        assert Heartbeat(0.0, 100.0).due(1.0, 101.0 + beyond, 0.0, resumes=True) == Slept()


def test_pong_must_come_after_the_ping() -> None:
    """A byte of the same moment may have been sent before it; the last moment for the answer is already too late."""
    heartbeat = Heartbeat(0.0, 0.0)
    ping_at, dead_at = PING_INTERVAL_S, PING_INTERVAL_S + PONG_TIMEOUT_S
    assert heartbeat.due(ping_at, ping_at, 0.0, resumes=True) == "ping"
    assert heartbeat.due(dead_at - 0.5, dead_at - 0.5, ping_at, resumes=True) is None
    assert heartbeat.due(dead_at, dead_at, ping_at, resumes=True) == Silent()


def test_socket_is_woken_for_whatever_is_due_first() -> None:
    """The clocks every five seconds, a ping, the end of the wait for its answer, and the silence."""
    heartbeat = Heartbeat(0.0, 1000.0)
    assert heartbeat.wake_at(resumes=True) == 5
    assert heartbeat.due(27.0, 1027.0, 0.0, resumes=True) is None
    assert heartbeat.wake_at(resumes=True) == PING_INTERVAL_S == 30
    assert heartbeat.due(30.0, 1030.0, 0.0, resumes=True) == "ping"
    assert heartbeat.due(37.0, 1037.0, 0.0, resumes=True) is None
    assert heartbeat.wake_at(resumes=True) == PING_INTERVAL_S + PONG_TIMEOUT_S == 40
    assert Heartbeat(0.0, 1000.0).wake_at(resumes=False) == 5
    quiet = Heartbeat(0.0, 1000.0)
    assert quiet.due(8.0, 1008.0, 0.0, resumes=False) is None
    assert quiet.wake_at(resumes=False) == QUIET_S == 10
    assert quiet.wake_at(resumes=True) == 13


# -- another log under the same id -----------------------------------------------------------------------


def first(epoch: str) -> str:
    return json.dumps({"type": "status_update", "status": "pending", "submission_id": ID, "seq": 1, "epoch": epoch})


def numbered(seq: int) -> str:
    return result(f"test {seq}", seq=seq)


async def ends_replaced(it: Trial) -> None:
    with pytest.raises(ServerError, match="records were replaced"):
        await it.run(100)
    assert it.states[-1] == "closed"


def test_position_and_name_are_sent_when_reconnecting() -> None:
    """As soon as they are known."""

    async def trial() -> None:
        rest = ScriptedRest(RESUME)
        it = Trial(rest)
        it.make = lambda: ScriptedSocket([(0.1, first("a")), (0.2, Closed(1006))])
        await it.run(4)
        assert it.dialled[:2] == [(0, None), (1, "a")]

    play(trial)


@pytest.mark.parametrize("where", ["event", "snapshot", "log", "end of the snapshot", "end of the log", "hole"])
def test_another_log_ends_the_session(where: str) -> None:
    """Wherever it shows: on a socket, in a snapshot, in the log, or because it is shorter."""

    async def trial() -> None:
        rest = ScriptedRest(RESUME)
        rest.snapshot |= {"epoch": "a", "last_seq": 1, "final_status": "passed", "status": "completed"}
        rest.log_end = ("a", 1)
        if where == "snapshot":
            rest.snapshot["epoch"] = "b"
        elif where == "end of the snapshot":
            rest.snapshot["last_seq"] = 0
        elif where == "end of the log":
            rest.log_end = ("a", 0)
        elif where in ("log", "hole"):
            rest.log_end = ("b", 5)
        rest.log = [{"type": "complete", "final_status": "passed", "seq": 2}]
        then: str | Closed = {"event": first("b"), "hole": numbered(3)}.get(where, Closed(1006))
        it = Trial(rest)
        it.make = lambda: ScriptedSocket([(0.1, first("a")), (0.2, then), (0.3, numbered(2))])
        await ends_replaced(it)
        assert [message.seq for message in it.messages] == [1]
        assert len(it.sockets) == 1

    play(trial)


def test_what_arrived_before_the_log_had_a_name_is_not_mixed_with_it() -> None:
    """Of frames that arrived together one leaves a hole; the log that fills it may not be the one of the others."""

    async def trial() -> None:
        rest = ScriptedRest(RESUME)
        it = Trial(rest)
        it.session.watch.last_seq = 2

        def restored(name: str) -> None:
            # When the watch begins, nothing has a name; by the time the hole is found, the log has one.
            if now() > it.sockets[0].opened_at + 0.05:
                rest.log_end = ("b", 3)
                rest.log = [{"type": "test_result", "test_name": "new", "status": "passed", "seq": 3}]

        rest.fail = restored
        it.make = lambda: ScriptedSocket([(0.1, numbered(4)), (0.1, numbered(5))])
        await it.run(5)
        assert [message.raw["test_name"] for message in it.messages if message.type == "test_result"] == ["new"]

    play(trial)


def test_snapshot_for_the_screen_ends_the_session() -> None:
    """At the next event, of which nothing is shown."""

    async def trial() -> None:
        rest = ScriptedRest(RESUME)
        rest.snapshot |= {"epoch": "b"}
        it = Trial(rest, describe=True)
        it.session.watch.epoch = "a"
        it.make = lambda: ScriptedSocket([(0.1, numbered(1))])
        await ends_replaced(it)
        assert not it.messages

    play(trial)


def test_screen_describes_the_run_that_is_followed() -> None:
    """The submission has been judged again since, and the log of its latest run has another name."""

    class TwoRuns(ScriptedRest):
        async def submission(self, submission_id: int, epoch: str | None = None) -> dict[str, Any]:
            return {**await super().submission(submission_id), "epoch": epoch or "of-2", "problem": "echo"}

    async def trial() -> None:
        it = Trial(TwoRuns(RESUME), describe=True)
        it.session.watch.recognize("of-1")
        it.make = lambda: ScriptedSocket([(0.1, numbered(1)), (0.2, event("complete", seq=2, final_status="failed"))])
        await it.run(5)
        assert it.dialled == [(0, "of-1")]
        assert [message.seq for message in it.messages] == [1, 2]
        assert it.session.watch.problem == "echo"

    play(trial)


def test_who_begins_in_the_middle_asks_for_the_name() -> None:
    """Once: an older server does not have it."""

    async def trial() -> None:
        for epoch in ("a", None):
            rest = ScriptedRest(RESUME)
            rest.snapshot |= {"epoch": epoch}
            it = Trial(rest)
            it.session.watch.last_seq = 4
            it.make = lambda: ScriptedSocket([(0.1, numbered(5)), (0.2, Closed(1000))])
            await it.run(8)
            assert it.dialled[:2] == [(4, None), (5, epoch)]
            assert [message.seq for message in it.messages] == [5]

    play(trial)


def test_servers_without_a_log_may_name_something_else() -> None:
    """What a snapshot calls ``last_seq`` counts only where there is a log."""

    async def trial() -> None:
        rest = ScriptedRest(PLAIN)
        rest.snapshot |= {"last_seq": 0}
        it = Trial(rest)
        it.make = lambda: ScriptedSocket([(0.1, numbered(1)), (0.2, Closed(1006))])
        await it.run(10)
        assert len(it.sockets) > 1

    play(trial)


# -- output -------------------------------------------------------------------------------------------


def piece(number: int, after_seq: int = 0) -> str:
    return event("output", stream="stdout", text="x\n", output_seq=number, after_seq=after_seq)


def test_output_is_asked_for_and_resumed() -> None:
    """From the beginning, and after a reconnect from the last piece on; a piece is shown once."""

    async def trial() -> None:
        it = Trial(ScriptedRest(RESUME), output=True)
        scripts: list[Script] = [
            [(1.0, piece(1)), (1.0, piece(2)), (2.0, Closed(1012))],
            [(0.1, piece(2)), (0.2, piece(3))],
        ]
        it.make = lambda: ScriptedSocket(scripts.pop(0))
        await it.run(20)
        assert it.asked_for_output == [0, 2]
        assert [message.raw["output_seq"] for message in it.messages] == [1, 2, 3]

    play(trial)


def test_nobody_gets_output_unasked() -> None:
    """A watch that wants none says nothing about it when it connects."""

    async def trial() -> None:
        it = Trial(ScriptedRest(RESUME))
        it.make = lambda: ScriptedSocket([(1.0, Closed(1012))])
        await it.run(5)
        assert set(it.asked_for_output) == {None}

    play(trial)


@pytest.mark.parametrize("at_s", [0.0, 5.0])
def test_output_is_asked_for_later(at_s: float) -> None:
    """The open socket is left at once for one that asks, and goes on where it was; asking again changes nothing."""

    async def trial() -> None:
        it = Trial(ScriptedRest(RESUME))
        scripts: list[Script] = [[(4.0, result("A", seq=1))], [(1.0, piece(1)), (2.0, result("B", seq=2))]]
        it.make = lambda: ScriptedSocket(scripts.pop(0))
        loop = asyncio.get_running_loop()
        loop.call_later(at_s, it.session.ask_for_output)
        loop.call_later(at_s + 1, it.session.ask_for_output)
        await it.run(20)
        if at_s:
            assert it.dialled == [(0, None), (1, None)]
            assert it.asked_for_output == [None, 0]
            assert it.states == ["connecting", "open", "reconnecting", "open"]
            assert [shown.reason for _, shown in it.shown if isinstance(shown, Connection)][2] == "asking for output"
            assert it.sockets[0].ended_at == pytest.approx(at_s)
            assert [message.type for message in it.messages] == ["test_result", "output", "test_result"]
        else:
            # It was still connecting.
            assert len(it.dialled) <= 2
            assert it.asked_for_output[-1] == 0

    play(trial)


@pytest.mark.parametrize("broken", [False, True])
def test_output_is_fetched_with_what_was_missed(broken: bool) -> None:
    """Over REST as well, in order with the events and before the verdict; if that fails, the verdict comes without."""

    async def trial() -> None:
        rest = ScriptedRest(OUTPUT)
        rest.fail = failing(9, "output") if broken else rest.fail
        rest.log = [json.loads(result("A", seq=1)), json.loads(event("complete", final_status="passed", seq=2))]
        rest.pieces = [json.loads(piece(1)), json.loads(piece(2, 1))]
        it = Trial(rest, output=True)
        it.make = lambda: ScriptedSocket([(1.0, piece(1)), (2.0, Closed(1012))])
        await it.run(20)
        told = ["output", "test_result", *([] if broken else ["output"]), "complete"]
        assert [message.type for message in it.messages] == told
        assert it.states[-1] == "closed"
        assert len(it.dialled) == 1

    play(trial)


def test_output_that_hangs_does_not_hold_up_the_verdict() -> None:
    """It is given up after `OUTPUT_TIMEOUT_S`."""

    async def trial() -> None:
        rest = ScriptedRest(OUTPUT)
        rest.hanging.add("output")
        rest.log = [json.loads(event("complete", final_status="passed", seq=1))]
        it = Trial(rest, output=True)
        it.make = lambda: ScriptedSocket([(2.0, Closed(1012))])
        await it.run(20)
        assert [message.type for message in it.messages] == ["complete"]
        assert it.shown[-1][0] == pytest.approx(2.0 + OUTPUT_TIMEOUT_S, abs=0.1)

    play(trial)
