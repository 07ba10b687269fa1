"""The world of one schedule: what is judged, how the server behaves, and which faults befall it.

Everything is drawn from one seed. The faults end at ``healed_at``: from then on the server is a good one, so
that a watch which has not given up, with a reason to, must end with the verdict.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

SUBMISSION = 7
BEGAN = 10_000.0


class Kind(Enum):
    """The kinds of servers."""

    RESUMING = "seq, replay and a log: ours"
    NUMBERED = "seq, but neither replay nor log"
    PLAIN = "no seq, no replay: the bare specification"
    SILENT = "as PLAIN, but complete never comes: the other platform"
    MUTE = "accepts the socket and never sends anything"


class Namesakes(Enum):
    """What tells tests of one name apart, where there are any."""

    NONE = "each test has a name of its own"
    TYPES = "their types, everywhere"
    IDS = "their ids, everywhere"
    ROWS = "their ids on the socket; over REST only that they are different rows"


SEQ = (Kind.RESUMING, Kind.NUMBERED)
CODES = (
    *(1000, 1001, 1005, 1006, 1011, 1012, 1013, 1000, 1001, 1005, 1006, 1011, 1012, 1013),
    *(1006, 1006, 1006, 1004, 1014, 1015, 3000, 4000, 4028, 4100, 4499, 4029, 4029),
)
FATAL = (1002, 1003, 1007, 1008, 1010, 4500, 4999)
STATUSES = (500, 502, 503, 504, 503, 403, 418, 429, 429)
INCURABLE = (200, 302, 400, 405, 426)


@dataclass
class World:
    """One schedule's world.

    Attributes:
        events: what the server tells, in order; each has a ``uid`` of its own.
        times: monotonic seconds at which each happens.
        verdicts: those that a watch may end with; none where the server has none.
        p_dial, p_socket, p_rest: how likely a connect, an open socket, a request is to fail before ``healed_at``.
        outages: (from, to, close code): the server is away; it keeps its memory.
        expiries: when tokens expire; a refresh gives one that lives until the next of them.
        refresh_fails: the refresh token is worth nothing.
        visible_at: before that nobody finds the submission.
        lost_at: from then on nobody finds it any more: the server lost its memory.
        epoch: the name of the log; older servers that resume have none.
        restored: from ``restored_at`` on, after a restored backup, the id is another submission's: its world.
        knows_epoch: the watch was told the name of the log when the submission was made.
        clock_rate: seconds of the wall clock in one of the monotonic clock.
        naps: when the machine sleeps, and for how long: the wall clock jumps.
        reader_s: seconds that the reader of the events takes for each.
        interrupted_at: Ctrl-C.
        pieces: what is printed, in order, each with the time at which that happens.
        asks_at: when the watch asks for it; never if it does not.
        forgotten_at: from then on the server has none of it any more.
    """

    seed: int
    kind: Kind
    events: list[dict[str, Any]]
    times: list[float]
    verdicts: frozenset[str]
    namesakes: Namesakes
    healed_at: float
    rng: random.Random
    p_dial: float = 0.0
    p_socket: float = 0.0
    p_rest: float = 0.0
    p_noise: float = 0.0
    p_fatal: float = 0.0
    latency_s: float = 0.01
    outages: list[tuple[float, float, int]] = field(default_factory=list)
    expiries: list[float] = field(default_factory=list)
    refresh_fails: bool = False
    refusal: int = 4003
    visible_at: float = 0.0
    lost_at: float = float("inf")
    epoch: str | None = None
    restored_at: float = float("inf")
    restored: World | None = None
    knows_epoch: bool = False
    clock_rate: float = 1.0
    naps: list[tuple[float, float]] = field(default_factory=list)
    reader_s: float = 0.0
    after_seq: int = 0
    own_submit: bool = False
    max_attempts: int = 5
    interrupted_at: float | None = None
    pieces: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    asks_at: float = float("inf")
    forgotten_at: float = float("inf")

    @property
    def ends_at(self) -> float:
        """When the server has sent everything."""
        return self.times[-1]

    @property
    def deadline(self) -> float:
        """When a watch must have ended: the longest wait that a server can ask for, plus a poll."""
        ends_at = self.ends_at if self.restored is None else max(self.ends_at, self.restored.ends_at)
        return max(self.healed_at, ends_at) + 400.0 + self.reader_s * (len(self.events) + 200)

    def present(self, now: float) -> World:
        """This world, or the one that a restored backup has put in its place."""
        return self if self.restored is None or now < self.restored_at else self.restored

    def lacks(self, after_seq: int, epoch: str | None, now: float) -> bool:
        """Whether a watcher at this position of this log must have followed another one."""
        if self.epoch is None:
            return False
        return epoch not in (None, self.epoch) or after_seq > len(self.happened_by(now))

    def happened_by(self, now: float) -> list[dict[str, Any]]:
        """The events so far."""
        return [event for event, at in zip(self.events, self.times, strict=True) if at <= now]

    def wall(self, now: float) -> float:
        """The time on the wall clock."""
        return 1.7e9 + now * self.clock_rate + sum(slept for at, slept in self.naps if at <= now)

    def away(self, now: float) -> bool:
        """Whether the server is down."""
        return any(began <= now < ended for began, ended, _ in self.outages)

    def ailing(self, now: float) -> bool:
        """Whether faults can still occur."""
        return now < self.healed_at


def make(seed: int) -> World:
    """Create the world of a seed."""
    rng = random.Random(seed)
    kind = rng.choices(list(Kind), weights=(5, 1, 2, 2, 1))[0]
    # Drawn apart, so that the other draws of a seed stay what they are.
    namesakes = random.Random(f"namesakes {seed}").choices(list(Namesakes), weights=(3, 1, 1, 1))[0]
    events, verdicts = _judging(rng, kind, namesakes)
    world = World(
        seed=seed,
        kind=kind,
        events=events,
        times=_times(rng, len(events)),
        verdicts=verdicts,
        namesakes=namesakes,
        healed_at=BEGAN + rng.choice((0, 60, 60, 300, 300, 1200)) * rng.random(),
        rng=rng,
        latency_s=rng.choice((0.0001, 0.01, 0.3)),
    )
    severity = rng.choice((0.3, 0.6, 0.95, 0.95))
    for name, share in (("p_dial", 0.5), ("p_socket", 0.8), ("p_rest", 0.6), ("p_noise", 0.5)):
        if rng.random() < share:
            setattr(world, name, severity * (0.3 + 0.7 * rng.random()))
    if rng.random() < 0.05:
        world.p_fatal = 0.1
    _surroundings(world, rng)
    if kind is Kind.RESUMING:
        _print(world, random.Random(f"output {seed}"))
    return world


def _print(world: World, rng: random.Random) -> None:
    """Let builds and tests print, in some of the worlds. Drawn apart, so that the other draws of a seed stay."""
    if rng.random() < 0.4:
        return
    duration = max(world.ends_at - BEGAN, 1.0)
    world.asks_at = BEGAN if rng.random() < 0.6 else BEGAN + duration * rng.random()
    if rng.random() < 0.1:
        world.forgotten_at = world.ends_at + rng.choice((0.0, 5.0, 100.0)) * rng.random()
    for uid, log in ((500, world), *([(1500, world.restored)] if world.restored is not None else ())):
        log.asks_at, log.forgotten_at = world.asks_at, world.forgotten_at
        for event, at, until in zip(log.events, log.times, log.times[1:], strict=False):
            for moment in sorted(rng.random() for _ in range(rng.choice((0, 0, 1, 1, 4)))):
                number = len(log.pieces) + 1
                place = {"output_seq": number, "after_seq": event["seq"], "uid": uid + number}
                piece = {"type": "output", "submission_id": SUBMISSION, "stream": "stderr", "text": "x", **place}
                log.pieces.append((at + (until - at) * moment, piece))


def _surroundings(world: World, rng: random.Random) -> None:
    """Faults of the server and the client as a whole, each in some of the worlds."""
    end = world.healed_at - BEGAN
    duration = max(world.ends_at - BEGAN, 1.0)

    def some(probability: float) -> bool:
        return rng.random() < probability

    if some(0.25):
        for _ in range(rng.randrange(1, 4)):
            began = BEGAN + end * rng.random()
            code = rng.choice((1012, 1006, 1001, 1011))
            world.outages.append((began, min(began + rng.choice((1, 10, 90)) * rng.random(), world.healed_at), code))
    if some(0.2):
        world.expiries = sorted(BEGAN + 1.5 * duration * rng.random() for _ in range(rng.randrange(1, 4)))
        if some(0.3):
            world.expiries[0] = BEGAN
        world.refresh_fails = some(0.15)
        world.refusal = rng.choice((4003, 401, 403))
    if some(0.1):
        world.own_submit = True
        world.visible_at = BEGAN + 4.0 * rng.random()
    if some(0.05):
        world.lost_at = BEGAN + duration * rng.random()
    if some(0.1):
        world.naps = [(BEGAN + duration * rng.random(), rng.choice((3.0, 60.0, 3600.0))) for _ in range(3)]
    if some(0.05):
        world.clock_rate = rng.choice((0.0, 0.5, 1.5, 1.9, 3.0))
    if some(0.1):
        world.reader_s = rng.choice((0.001, 0.1, 2.0))
    if some(0.1):
        world.after_seq = rng.randrange(0, len(world.events) + 5)
    if some(0.15):
        world.max_attempts = rng.randrange(0, 8)
    if some(0.05):
        world.interrupted_at = BEGAN + duration * rng.random()
    if world.kind is Kind.RESUMING and some(0.7):
        _name_logs(world, rng, duration)


def _name_logs(world: World, rng: random.Random, duration: float) -> None:
    """Name the log; in some worlds another one takes its place."""
    world.epoch = "first"
    world.knows_epoch = rng.random() < 0.5
    if rng.random() < 0.5:
        # Beyond the end there is nothing to resume.
        world.after_seq = min(world.after_seq, len(world.happened_by(BEGAN)))
    _mark(world)
    if rng.random() < 0.5:
        # Who begins in the middle of a log without its name, and finds no REST to ask, cannot tell two logs apart.
        world.knows_epoch = world.knows_epoch or world.after_seq > 0
        events, verdicts = _judging(rng, world.kind, world.namesakes)
        world.restored_at = BEGAN + duration * rng.random()
        times = [at - BEGAN + world.restored_at for at in _times(rng, len(events))]
        for event in events:
            event["uid"] += 1000
        world.restored = replace(world, epoch="second", events=events, times=times, verdicts=verdicts, pieces=[])
        _mark(world.restored)


def _mark(world: World) -> None:
    """Put the name of the log into event 1, and where a verdict can be told by it."""
    world.events[0]["epoch"] = world.epoch
    world.events[-1]["summary"]["log"] = world.epoch


def _times(rng: random.Random, count: int) -> list[float]:
    """Bursts, steady work, and long silences."""
    now = BEGAN + rng.choice((-20.0, 0.0, 0.0, 5.0))
    times = []
    pace = rng.choice((0.0, 0.05, 1.0, 5.0, 20.0))
    for _ in range(count):
        now += pace * rng.random() if rng.random() < 0.95 else rng.choice((1.0, 15.0, 70.0)) * rng.random()
        times.append(now)
    return times


def _judging(rng: random.Random, kind: Kind, namesakes: Namesakes) -> tuple[list[dict[str, Any]], frozenset[str]]:
    """The events of a submission, and the verdicts they allow. ``nth``, which no server sends, tells tests apart."""
    events: list[dict[str, Any]] = []

    def tell(kind_of: str, **fields: Any) -> None:
        events.append({"type": kind_of, "submission_id": SUBMISSION, "uid": len(events), **fields})

    tests = range(rng.choice((0, 1, 3, 10)))
    names = [f"test {number}" for number in tests]
    identities: list[dict[str, Any]] = [{"test_id": f"t{number}"} if number % 2 else {} for number in tests]
    if namesakes is not Namesakes.NONE:
        names = [f"test {number % 2}" for number in tests]
        known_by = "test_type" if namesakes is Namesakes.TYPES else "test_id"
        identities = [{known_by: f"t{number}"} for number in tests]
    again = rng.random() < 0.15 and kind is Kind.RESUMING
    last: dict[int, str] = {}
    tell("status_update", status="pending")
    for attempt in (1, 2) if again else (1,):
        numbered = {"attempt": attempt} if again else {}
        tell("status_update", status="building", **numbered)
        if rng.random() < 0.1:
            break
        tell("status_update", status="testing", total_tests=len(names), **numbered)
        for number, name in enumerate(names):
            if attempt == 1 and again and rng.random() < 0.2:
                break
            for _ in range(2 if rng.random() < 0.05 and namesakes is not Namesakes.ROWS else 1):
                last[number] = rng.choices(("passed", "failed", "error", "skipped"), weights=(8, 2, 1, 1))[0]
                fields = {"nth": number, **identities[number]}
                tell("test_result", test_name=name, status=last[number], duration_ms=5, **fields)
                if last[number] in ("failed", "error"):
                    tell("error_analysis", error="E", analysis=f"why {len(events)}", test_name=name)
        if rng.random() < 0.2:
            tell("coverage", percent=80)
    testing = any(event.get("status") == "testing" for event in events)
    good = testing and all(status in ("passed", "skipped") for status in last.values())
    status = ("completed" if testing else "build_failed") if rng.random() < 0.95 else "cancelled"
    verdict = {"build_failed": "build_failed", "cancelled": "cancelled"}.get(status, "passed" if good else "failed")
    if rng.random() < 0.05 and kind is Kind.RESUMING:
        verdict = "passed"  # As in the specification's own example: passed, with failed tests.
    tell("status_update", status=status)
    verdicts = {verdict}
    if kind not in (Kind.SILENT, Kind.MUTE):
        tell("complete", final_status=verdict, summary={"total_tests": len(last)})
    if kind is not Kind.RESUMING:
        # The rule for snapshots without a verdict (contract, section 6).
        by_rule = "failed" if status != "completed" else verdict
        verdicts = {verdict, by_rule} if kind not in (Kind.SILENT, Kind.MUTE) else {by_rule}
        if status == "completed" and not last:
            verdicts -= {by_rule} if kind in (Kind.SILENT, Kind.MUTE) else set()
    if kind in SEQ:
        for seq, event in enumerate(events, 1):
            event["seq"] = seq
    return events, frozenset(verdicts)
