"""Plays one schedule and checks the promises that must always hold."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from subcli.client.session import Session
from subcli.core.backoff import SLOW_CONTACT_S
from subcli.core.errors import (
    AuthError,
    NetworkError,
    NotFoundError,
    RateLimitedError,
    ServerError,
    SubcliError,
    records_replaced,
)
from subcli.core.submission import Connection
from subcli.core.watch import Watch
from subcli.shared.messages import Complete, ErrorAnalysis, Message, Output, StatusUpdate, TestResult, Unknown
from subcli.shared.protocol import STATUS_RANKS
from tests.simulation.server import Server
from tests.simulation.virtual import run
from tests.simulation.world import BEGAN, SUBMISSION, Kind, Namesakes, World, make

CONNECTS, WINDOW_S = 5, 10.0
FREEZE_S = 30.0 + 10.0
"""A dead socket is noticed at the latest after a ping interval and the wait for its answer."""


class BrokenPromise(AssertionError):
    """A schedule broke a promise."""


@dataclass
class Course:
    """What the user of a watch saw."""

    watch: Watch
    shown: list[Message] = field(default_factory=list)
    states: list[tuple[float, Connection]] = field(default_factory=list)
    progress: list[float] = field(default_factory=list)
    error: SubcliError | None = None
    interrupted: bool = False
    ended_at: float = 0.0


def play(seed: int, *, over: type[Server] = Server) -> Course:
    """Play the schedule of a seed and judge it.

    Args:
        over: the server as a model, or over wires, byte by byte (:class:`tests.simulation.wire.WireServer`).

    Raises:
        BrokenPromise: with what was broken, and the command that plays it again.
    """
    world = make(seed)
    server = over(world)
    after_seq = world.after_seq if world.kind is Kind.RESUMING else 0
    course = Course(Watch(SUBMISSION, after_seq=after_seq, epoch=world.epoch if world.knows_epoch else None))
    try:
        run(_follow(world, server, course), began=BEGAN)
        judge(world, server, course)
    except Exception as error:
        said = str(error) if isinstance(error, AssertionError) else repr(error)
        raise BrokenPromise(
            f"seed {seed} ({world.kind.name}): {said}\n"
            f"  again: python -m tests.simulation --seed {seed}{'' if over is Server else ' --wire'}"
        ) from error
    return course


async def _follow(world: World, server: Server, course: Course) -> None:
    loop = asyncio.get_running_loop()
    session = Session(
        course.watch,
        server,
        server.dial,
        server.login,
        max_attempts=world.max_attempts,
        own_submit=world.own_submit,
        output=world.asks_at <= loop.time(),
        wall=lambda: world.wall(loop.time()),
        random=world.rng.random,
    )
    reading = asyncio.create_task(_read(world, server, session, course))
    asking = loop.call_at(world.asks_at, session.ask_for_output) if world.asks_at < world.deadline else None
    limit = world.deadline if world.interrupted_at is None else min(world.deadline, world.interrupted_at)
    done, _ = await asyncio.wait({reading}, timeout=limit - loop.time())
    if not done:
        course.interrupted = world.interrupted_at is not None and world.interrupted_at <= loop.time()
        reading.cancel()
        began = loop.time()
        await asyncio.wait({reading})
        assert loop.time() - began <= 1.0, f"took {loop.time() - began:.1f} s to let go"
        assert course.interrupted, f"no end by {world.deadline - BEGAN:.0f} s; {course.states[-3:]}"
    else:
        reading.result()
    course.ended_at = loop.time()
    if asking is not None:
        asking.cancel()


async def _read(world: World, server: Server, session: Session, course: Course) -> None:
    loop = asyncio.get_running_loop()
    try:
        async with contextlib.aclosing(session.events()) as events:
            async for event in events:
                if isinstance(event, Connection):
                    course.states.append((loop.time(), event))
                    continue
                course.shown.append(event)
                if _tells_something(event, server):
                    course.progress.append(loop.time())
                if world.reader_s:
                    await asyncio.sleep(world.reader_s)
    except SubcliError as error:
        course.error = error


def _tells_something(event: Message, server: Server) -> bool:
    """Whether an event is progress of the socket: new, and not just a greeting."""
    if isinstance(event, Unknown) and event.seq is None:
        return False
    return event.raw.get("uid") in server.witness.delivered and not server.witness.sockets[-1].gone


# -- judgement ----------------------------------------------------------------------------------------


def judge(world: World, server: Server, course: Course) -> None:
    """Check every promise. Raises AssertionError with the first one broken."""
    _connects_are_throttled(server)
    _nothing_left_open(server)
    _silence_was_noticed(world, server)
    _announcements_are_true(server, course)
    if type(server) is Server:
        # A wire that breaks in a handshake leaves nobody to count it.
        _socket_given_up_for_a_reason(world, server, course)
    _statuses_only_advance(course)
    if world.restored is not None:
        # Everything else holds for the log that was followed.
        _no_two_logs_mixed(world, course)
        if course.watch.epoch == world.restored.epoch:
            world = world.restored
    if course.interrupted:
        return
    _it_ended_well(world, server, course)
    if world.kind is Kind.RESUMING:
        _each_event_once_and_in_order(world, course)
        _output_once_and_in_order(world, server, course)
    elif world.kind is Kind.NUMBERED:
        _no_number_twice(course)
    else:
        _nothing_new_twice(course)
    _final_state_is_right(world, server, course)


def _no_two_logs_mixed(world: World, course: Course) -> None:
    """Neither by their events nor by a verdict; and who knows the first log never follows the second."""
    logs = {"first" if uid < 1000 else "second" for event in course.shown if (uid := event.raw.get("uid")) is not None}
    assert logs <= {course.watch.epoch}, f"shown events of {sorted(logs)}, following {course.watch.epoch}"
    if course.watch.verdict is not None:
        log = course.watch.verdict.raw["summary"]["log"]
        assert log == course.watch.epoch, f"the verdict of {log}, following {course.watch.epoch}"
    if world.knows_epoch:
        assert course.watch.epoch == "first"


def _it_ended_well(world: World, server: Server, course: Course) -> None:
    """The watch ended with a verdict of the server, or with an error for a good reason."""
    verdict, error, seen = course.watch.verdict, course.error, server.witness
    if verdict is not None:
        assert error is None, f"an error in spite of a verdict: {error}"
        assert verdict.final_status in world.verdicts, f"verdict {verdict.final_status}, not {set(world.verdicts)}"
        assert course.ended_at >= world.times[0], "a verdict before there was anything"
        assert isinstance(course.shown[-1], Complete), "the verdict is not the last event"
        return
    assert error is not None, "ended with neither verdict nor error"
    reasons: dict[type[SubcliError], bool] = {
        NotFoundError: bool(seen.not_found),
        AuthError: server.login.failed or seen.refusals >= 2,
        RateLimitedError: bool(seen.limits) and len(seen.dials) + seen.rest_failures > world.max_attempts,
        ServerError: (str(error) == str(records_replaced()) and _replaced(world, server, course))
        or seen.fatal
        or (seen.refused_for_good and not _saw_it(course))
        or _no_results(world)
        or bool(seen.not_found)
        or seen.rest_failures > world.max_attempts,
        NetworkError: seen.blocked or seen.rest_failures > world.max_attempts or _never_there(server, course),
    }
    assert reasons.get(type(error)), f"no reason to end with {error!r} ({error})"


def _replaced(world: World, server: Server, course: Course) -> bool:
    """Whether the server's records were replaced, or the watch began beyond their end."""
    return course.ended_at >= world.restored_at or (
        world.epoch is not None and world.lacks(world.after_seq, None, BEGAN)
    )


def _no_results(world: World) -> bool:
    """The snapshot of a submission that completed without results."""
    return world.kind is not Kind.RESUMING and not any(event["type"] == "test_result" for event in world.events)


def _saw_it(course: Course) -> bool:
    """Whether an event told that the submission is there."""
    return any(not isinstance(event, Unknown) for event in course.shown)


def _never_there(server: Server, course: Course) -> bool:
    """It was tried twice, or once for so long that a second time would take too long."""
    dials = 1 if course.ended_at - server.witness.dials[0] >= SLOW_CONTACT_S else 2
    return len(server.witness.dials) >= dials and not course.shown and server.witness.rest_failures > 0


def _connects_are_throttled(server: Server) -> None:
    dials = server.witness.dials
    for first, last in zip(dials, dials[CONNECTS:], strict=False):
        assert last - first > WINDOW_S - 1e-6, f"{CONNECTS + 1} connects in {last - first:.2f} s"


def _nothing_left_open(server: Server) -> None:
    assert all(socket.gone for socket in server.witness.sockets), "a socket was left open"
    assert server.witness.idle_closes == 0, "the server heard nothing for five minutes"


def _silence_was_noticed(world: World, server: Server) -> None:
    # A look at REST, or a reader, may hold up the ping and the look at its answer.
    slack = 20.0 + 30 * world.reader_s
    frozen_s = server.witness.worst_freeze_s
    assert frozen_s <= FREEZE_S + slack, f"a dead socket was noticed after {frozen_s:.0f} s"


def _each_event_once_and_in_order(world: World, course: Course) -> None:
    """The events shown are the log from the start of the watch, up to its end if there is a verdict."""
    log = [event["seq"] for event in world.events]
    shown = [event.seq for event in course.shown if event.raw.get("uid") is not None and event.type != "output"]
    expected = log[world.after_seq :]
    assert shown == expected[: len(shown)] or shown == [log[-1]], f"shown {shown}"
    if course.watch.verdict is not None and course.watch.verdict.seq is not None:
        assert shown == (expected or [log[-1]]), f"missed: shown {shown} of {expected}"
    foreign = [event.raw for event in course.shown if event.raw.get("uid") is None]
    # A submission that is lost between two requests has a snapshot and no log.
    of_snapshots = ("connected", "complete", *(["status_update"] if world.lost_at <= course.ended_at else []))
    assert all(raw["type"] in of_snapshots for raw in foreign), f"made up: {foreign}"


def _output_once_and_in_order(world: World, server: Server, course: Course) -> None:
    """What is printed is shown in order and once, to those who ask; all of it, if the verdict came after it."""
    shown = [event.output_seq or 0 for event in course.shown if isinstance(event, Output)]
    if course.ended_at < world.asks_at:
        assert not shown, "output for a watch that did not ask"
    assert shown == sorted(set(shown)), f"output shown as {shown}"
    verdict = course.watch.verdict
    has_asked = world.asks_at <= BEGAN or any(one.output_after is not None for one in server.witness.sockets[-1:])
    if verdict is None or verdict.seq is None or not has_asked:
        return
    if course.ended_at >= world.forgotten_at or server.witness.output_failures:
        # It is gone, or the verdict did not wait for it.
        return
    assert shown == [piece["output_seq"] for _, piece in world.pieces], f"output missing: {shown}"


def _announcements_are_true(server: Server, course: Course) -> None:
    """Each connect is announced with its delay, each poll with its reason, and the end last."""
    dials = iter(server.witness.dials)
    for at, state in course.states:
        if state.state in ("connecting", "reconnecting"):
            due = at + (state.delay_s or 0.0)
            dial = next(dials, None)
            assert dial is None or abs(dial - due) < 0.01, f"announced for {due:.2f}, connected at {dial:.2f}"
            assert dial is not None or course.interrupted, f"announced for {due:.2f}, and not connected"
            assert state.state == "connecting" or state.reason or state.code, "connects again without a reason"
        elif state.state == "polling":
            assert state.delay_s is not None, "polls, but does not say when"
            assert state.reason, "polls without a reason"
    assert next(dials, None) is None, "a connect that was not announced"
    states = [state.state for _, state in course.states]
    assert states[0] == "connecting"
    assert states.count("connecting") == 1
    if not course.interrupted:
        assert states.count("closed") == 1
        last = course.states[-1][1]
        assert last.state == "closed"
        assert (last.code == 1000) == (course.watch.verdict is not None), f"{last}"
        assert last.reason == (course.error.message if course.error else None)


def _no_number_twice(course: Course) -> None:
    shown = [event.seq for event in course.shown if event.seq is not None]
    assert shown == sorted(set(shown)), f"shown {shown}"


def _nothing_new_twice(course: Course) -> None:
    """Without seq: no result twice in a row for a test, no analysis twice, one verdict."""
    last: dict[int, str] = {}
    told: set[str] = set()
    for event in course.shown:
        if isinstance(event, TestResult):
            assert last.get(event.number) != event.status, f"{event.test_name} {event.status} twice"
            last[event.number] = event.status
        elif isinstance(event, ErrorAnalysis):
            assert event.analysis not in told, f"{event.analysis} twice"
            told.add(event.analysis)
    assert sum(isinstance(event, Complete) for event in course.shown) <= 1, "two verdicts"


def _statuses_only_advance(course: Course) -> None:
    attempt, rank = None, -1
    for event in course.shown:
        if isinstance(event, StatusUpdate):
            if event.attempt is not None and event.attempt != attempt:
                attempt, rank = event.attempt, -1
            assert STATUS_RANKS[event.status] >= rank, f"back to {event.status}"
            rank = STATUS_RANKS[event.status]


def _final_state_is_right(world: World, server: Server, course: Course) -> None:
    """With a verdict, the picture has the last result of each test.

    But where the server does not replay, and REST did not answer since the last connect, nobody can know.
    """
    if course.watch.verdict is None or world.after_seq or world.kind is Kind.NUMBERED:
        return
    if world.kind is not Kind.RESUMING and not server.witness.answered_since_open:
        return
    by_rule = course.watch.verdict.raw.get("uid") is None
    told = world.events if not by_rule else world.happened_by(course.ended_at)
    last = {event["nth"]: event["status"] for event in told if event["type"] == "test_result"}
    counts = course.watch.snapshot().counts
    if world.namesakes is Namesakes.ROWS and any(isinstance(event, TestResult) and event.row for event in course.shown):
        # An id that comes after a row of that name may be that test or its namesake; the next listing tells.
        assert counts.done <= len(last), f"{counts.done} tests, not {len(last)}"
        if not by_rule:
            return
    for status, count in (
        ("passed", counts.passed),
        ("failed", counts.failed),
        ("error", counts.errored),
        ("skipped", counts.skipped),
    ):
        assert count == list(last.values()).count(status), f"{count} {status}, not {list(last.values())}"


def _socket_given_up_for_a_reason(world: World, server: Server, course: Course) -> None:
    """The attempts are used up exactly when there were that many troubles since the last progress.

    Where the grace after our own submit takes some of the troubles, they are not counted here. A refresh and a
    sleep connect once more without counting it.
    """
    if world.own_submit:
        return
    free = server.witness.refusals + sum(state.reason == "this machine slept" for _, state in course.states)
    moments = sorted(
        [(at, 0 if state.state == "open" else 3, state.state) for at, state in course.states]
        + [(at, 1, "progress") for at in course.progress]
        + [(at, 2, kind) for at, kind in server.witness.troubles]
    )
    counted = perhaps = oversize = incurable = 0
    opened_at: float | None = None
    for at, _, what in moments:
        if what == "progress":
            counted = perhaps = oversize = 0
        elif what == "open":
            opened_at, incurable = at, 0
        elif what in ("counted", "oversize", "incurable", "authentication", "not found", "perhaps"):
            if opened_at is not None and at - opened_at >= 30.0:
                counted = perhaps = 0
            opened_at = None
            counted += what in ("counted", "oversize", "incurable")
            perhaps += what == "perhaps"
            oversize += what == "oversize"
            incurable += what == "incurable"
        elif what == "polling":
            reason = (
                counted + perhaps > world.max_attempts
                or oversize >= 2
                or incurable >= 2
                or course.watch.malformed >= 20
            )
            assert reason, f"the socket given up after {counted} troubles"
            return
        assert counted <= max(world.max_attempts, 1) + 1 + free, f"{counted} reconnects without progress"
