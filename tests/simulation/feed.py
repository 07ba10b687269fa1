"""Schedules of a feed: the real client and the gateway's real half in virtual time, and everything between them faulty.

The client is :class:`subcli.client.feed.FeedSession`. On the server's side are the real feed, watcher, wheel, journal
and bus; modelled are the database (a list for each log), the socket between the two halves, REST and logins. Until
``healed_at`` connections are refused, cut, frozen and closed with any code; frames get lost, come twice or late; the
bus loses what it is given; the gateway is restarted; requests fail; tokens expire. From then on everything works.
Throughout, submissions that have ended are judged again, some more than once.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from contextvars import Context
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, TypeVar

from subcli.client.api import EventLog
from subcli.client.exchange import RequestFailed
from subcli.client.feed import FeedSession
from subcli.client.session import Shown
from subcli.client.transport import Disconnected
from subcli.core.errors import AuthError, NetworkError, NotFoundError, RateLimitedError, ServerError, SubcliError
from subcli.core.feed import Feed, Joined, Left
from subcli.core.inputs import Closed, Lost, Refreshed, Refused, RestFailed
from subcli.core.submission import Connection
from subcli.core.watch import Watch
from subcli.server.gateway.feed import FeedReader
from subcli.server.gateway.socket import DisconnectedError, ServerSocket
from subcli.server.gateway.watcher import Watcher
from subcli.server.gateway.wheel import Wheel
from subcli.server.log.bus import MemoryBus
from subcli.server.log.feed import Journal
from subcli.server.log.matching import Cursor, Found, JudgedAgain, Wanted
from subcli.server.log.records import EventPage, LogEnd, Record, UnknownSubmissionError, record
from subcli.server.observe.metrics import Metrics
from subcli.server.settings import ServerLimits
from subcli.shared.messages import Output
from subcli.shared.secret import Secret
from tests.simulation import virtual

BEGAN = 10_000.0
OWNER, OTHER = 1, 2
CODES = (1001, 1006, 1006, 1006, 1011, 1012, 1012, 1013, 1000, 4000, 4029)
STATUSES = (500, 502, 503, 403, 429)
JOINS_WITHIN_S = 150.0
"""A new submission joins by then, once nothing is faulty: the longest wait between two connects, and the comparison of
positions."""
STEADY_AFTER_S = 160.0
"""After the last fault: a dead socket is noticed, and connected again, and all positions are compared."""
LIMITS = ServerLimits()

T = TypeVar("T")


class BrokenPromise(AssertionError):
    """A schedule broke a promise."""


@dataclass
class Log:
    """A submission, or a later run of one: when its events happen, the first one when it is made."""

    id: int
    owner: int
    problem: str
    times: list[float]
    texts: list[str]
    pieces: list[tuple[int, str]] = field(default_factory=list)
    """What it prints, each piece with the event with which it is committed."""
    run: int = 1
    number: int = 0
    """Of the run, among all that were begun again."""
    following: Log | None = None
    """The next run."""

    @property
    def epoch(self) -> str:
        return f"{self.id:016x}" + ("" if self.run == 1 else f"{self.run:08x}")

    @property
    def runs(self) -> list[Log]:
        """This one, and those that follow."""
        return [self, *([] if self.following is None else self.following.runs)]

    def latest(self) -> Log:
        """The run that was begun last by now."""
        return next((run for run in reversed(self.runs) if run.times[0] <= now()), self)

    def under(self, epoch: str | None) -> Log:
        """The run whose log has this name; the latest if there is none."""
        return next((run for run in self.runs if run.epoch == epoch and run.times[0] <= now()), self.latest())

    def happened_by(self, now: float) -> int:
        return sum(1 for at in self.times if at <= now)


@dataclass
class World:
    """What is submitted and judged, and what goes wrong; all of it drawn from one seed."""

    seed: int
    rng: random.Random
    logs: list[Log]
    healed_at: float
    problem: str | None
    p_dial: float
    p_cut: float
    p_rest: float
    p_bus: float
    p_noise: float
    restarts: list[float]
    expiries: list[float]
    latency_s: float
    reader_s: float
    max_attempts: int = 5
    output: bool = False

    @property
    def wanted(self) -> list[Log]:
        return [log for log in self.logs if log.owner == OWNER and self.problem in (None, log.problem)]

    @property
    def deadline(self) -> float:
        events = sum(len(run.texts) for run in self.all_runs)
        return max(self.healed_at, *(run.times[-1] for run in self.all_runs)) + 800.0 + events * self.reader_s * 2

    @property
    def all_runs(self) -> list[Log]:
        return [run for log in self.logs for run in log.runs]

    def faulty(self, probability: float) -> bool:
        return now() < self.healed_at and self.rng.random() < probability


def make(seed: int) -> World:
    """Create the world of a seed."""
    rng = random.Random(f"feed {seed}")
    made = sorted(BEGAN + rng.choice((-9.0, -9.0, 60.0, 300.0)) * rng.random() for _ in range(rng.randrange(1, 13)))
    severity = rng.choice((0.3, 0.6, 0.9, 0.9))
    shares = [severity * (0.3 + 0.7 * rng.random()) if rng.random() < 0.7 else 0.0 for _ in range(5)]
    healed_at = BEGAN + rng.choice((0.0, 60.0, 300.0, 300.0)) * rng.random()
    some = [BEGAN + 300.0 * rng.random() for _ in range(3)]
    logs = [_log(rng, number, at) for number, at in enumerate(made, 1)]
    if logs[0].times[0] < BEGAN and rng.random() < 0.9:
        # Somebody runs, or there is little to see.
        logs[0].times[-1] = max(logs[0].times[-1], BEGAN + 400.0 * rng.random())
    # Drawn apart, so that a seed means the same schedule whether output is followed or not.
    printing = random.Random(f"output {seed}")
    for log in logs:
        log.pieces = _pieces(printing, log)
    has_runs = _judge_again(random.Random(f"again {seed}"), logs)
    return World(
        output=printing.random() < 0.4,
        seed=seed,
        rng=rng,
        logs=logs,
        healed_at=healed_at,
        problem=rng.choice((None, None, "p")),
        p_dial=shares[0],
        p_cut=shares[1],
        p_rest=shares[2],
        p_bus=shares[3],
        # Frames that come late would be taken for those of the next run. No socket lets them.
        p_noise=0.0 if has_runs else shares[4] / 2,
        restarts=sorted(at for at in some if at < healed_at and rng.random() < 0.5),
        expiries=sorted(some) if rng.random() < 0.15 else [],
        latency_s=rng.choice((0.0001, 0.01, 0.3)),
        reader_s=rng.choice((0.0, 0.0, 0.0, 0.01, 0.5)),
        max_attempts=rng.choice((5, 5, 5, 1, 3)),
    )


def _judge_again(rng: random.Random, logs: Sequence[Log]) -> bool:
    """Give some submissions more runs; return whether there are any."""
    if rng.random() < 0.6:
        return False
    for log in logs:
        last = log
        while rng.random() < 0.4:
            at = last.times[-1] + rng.choice((0.001, 1.0, 30.0, 200.0)) * rng.uniform(0.01, 1.0)
            following = _log(rng, log.id, at, last.run + 1)
            following.owner, following.problem = log.owner, log.problem
            following.pieces = _pieces(rng, following)
            last.following = last = following
    begun = sorted((run for log in logs for run in log.runs[1:]), key=lambda run: run.times[0])
    for number, run in enumerate(begun, 1):
        run.number = number
    return bool(begun)


def _log(rng: random.Random, number: int, at: float, run: int = 1) -> Log:
    pace = rng.choice((0.0, 1.0, 10.0, 60.0))
    times, texts = [], []
    count = rng.randrange(2, 15)
    for seq in range(1, count + 1):
        times.append(at)
        at += pace * rng.random()
        event: dict[str, Any] = {"submission_id": number, "seq": seq}
        if seq == 1:
            event |= {"type": "status_update", "status": "pending", "epoch": Log(number, 0, "", [], [], run=run).epoch}
        elif seq == count:
            event |= {"type": "complete", "final_status": "passed", "summary": {}}
        else:
            event |= {"type": "test_result", "test_name": f"test {seq}", "status": "passed", "duration_ms": 5}
        texts.append(json.dumps(event))
    owner, problem = rng.choices((OWNER, OTHER), weights=(6, 1))[0], rng.choice("ppq")
    return Log(number, owner, problem, times, texts, run=run)


def _pieces(rng: random.Random, log: Log) -> list[tuple[int, str]]:
    pieces: list[tuple[int, str]] = []
    for seq in range(2, len(log.texts) + 1):
        for _ in range(rng.choice((0, 0, 1, 3))):
            place = {"submission_id": log.id, "output_seq": len(pieces) + 1, "after_seq": seq - 1}
            pieces.append((seq, json.dumps({"type": "output", "stream": "stdout", "text": "x", **place})))
    return pieces


def now() -> float:
    return asyncio.get_running_loop().time()


# -- the server's half ----------------------------------------------------------------------------------


class Database:
    """The store of the model: logs that grow with time, read after some latency."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.lookup = self.matching = self
        self.outputs = Outputs(world)

    async def run(self, method: Callable[..., T], *args: Any) -> T:
        """Answer with what is there when the query runs, and some time later."""
        await asyncio.sleep(self._world.latency_s * self._world.rng.random() / 10)
        answer = method(*args)
        await asyncio.sleep(self._world.latency_s * self._world.rng.random() / 10)
        return answer

    def _made(self) -> list[Log]:
        return [log.latest() for log in self._world.logs if log.times[0] <= now()]

    def _found(self, wanted: Wanted, limit: int, fits: Callable[[Log], bool]) -> tuple[list[Found], Cursor]:
        of_owner = [log for log in self._made() if log.owner == wanted.owner_id]
        newest = Cursor(of_owner[-1].id, of_owner[-1].epoch) if of_owner else Cursor()
        fitting = [log for log in of_owner if fits(log) and wanted.problem in (None, log.problem)]
        found = [_found_of(log) for log in fitting[:limit]]
        return found, Cursor(found[-1].id, found[-1].epoch) if len(found) == limit else newest

    def running(self, wanted: Wanted, limit: int) -> tuple[list[Found], Cursor]:
        return self._found(wanted, limit, lambda log: log.times[-1] > now())

    def since(self, wanted: Wanted, cursor: Cursor, limit: int) -> tuple[list[Found], Cursor]:
        return self._found(wanted, limit, lambda log: log.id > cursor.submission_id)

    def among(self, owner_id: int, ids: Collection[int]) -> dict[int, Found]:
        found = [log for log in self._made() if log.owner == owner_id and log.id in ids]
        return {log.id: _found_of(log) for log in found}

    def newest(self) -> int:
        return max((log.id for log in self._made()), default=0)

    def newest_run(self) -> int:
        return max((run.number for run in self._world.all_runs if run.times[0] <= now()), default=0)

    def judged_again(self, wanted: Wanted, after: int, limit: int) -> tuple[list[JudgedAgain], int]:
        fitting = [log for log in self._made() if log.owner == wanted.owner_id and log.number > after]
        fitting = [log for log in fitting if wanted.problem in (None, log.problem)]
        found = [JudgedAgain(log.number, _found_of(log)) for log in sorted(fitting, key=lambda log: log.number)]
        return found[:limit], found[limit - 1].number if len(found) >= limit else self.newest_run()

    def pages(self, positions: Mapping[int, int]) -> dict[int, EventPage]:
        """Sometimes not all of them, as if there were too many."""
        rng = self._world.rng
        return {number: self.page(number, after, 500) for number, after in positions.items() if rng.random() < 0.8}

    def page(self, submission_id: int, after: int, limit: int, epoch: str | None = None) -> EventPage:
        latest = next((log for log in self._made() if log.id == submission_id), None)
        if latest is None:
            raise UnknownSubmissionError
        log = self._world.logs[submission_id - 1].under(epoch)
        count = log.happened_by(now())
        limit = self._world.rng.choice((1, 2, limit))
        records = tuple(records_of(log, after + 1, min(count, after + limit)))
        ended, is_kept = count == len(log.texts), log is not latest
        return EventPage(records, after + limit < count, ended, count, log.epoch, is_kept=is_kept)

    def ends(self, ids: Collection[int]) -> dict[int, LogEnd]:
        return {log.id: LogEnd(log.happened_by(now()), log.epoch) for log in self._made() if log.id in ids}


def _found_of(log: Log) -> Found:
    return Found(log.id, log.problem, "python", log.epoch)


class Outputs:
    """What the submissions of the model have printed."""

    def __init__(self, world: World) -> None:
        self._world = world

    def page(self, submission_id: int, after: int, limit: int, epoch: str | None = None) -> EventPage:
        log = self._world.logs[submission_id - 1].under(epoch)
        if log.following is not None and log.following.times[0] <= now():
            return EventPage((), False, True, after, log.epoch, is_kept=True)
        count = log.happened_by(now())
        found = printed_by(log, 0, count)
        limit = self._world.rng.choice((1, 2, limit))
        rest = found[after:]
        return EventPage(tuple(rest[:limit]), len(rest) > limit, count == len(log.texts), len(found), log.epoch)

    def ends(self, ids: Collection[int]) -> dict[int, LogEnd]:
        logs = [log.latest() for log in self._world.logs if log.id in ids]
        return {log.id: LogEnd(len(printed_by(log, 0, log.happened_by(now()))), log.epoch) for log in logs}


def printed_by(log: Log, first: int, last: int) -> list[Record]:
    """The pieces that are committed with these events."""
    numbered = enumerate(log.pieces, 1)
    return [record(n, text, last=False, epoch=log.epoch) for n, (seq, text) in numbered if first <= seq <= last]


def records_of(log: Log, first: int, last: int) -> list[Record]:
    is_last = len(log.texts)
    return [record(seq, log.texts[seq - 1], last=seq == is_last, epoch=log.epoch) for seq in range(first, last + 1)]


class Gateway:
    """One process: its bus, its wheel, its sockets. A restart makes another one."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._bus = MemoryBus(tail_records=world.rng.choice((1, 3, 1024)))
        self._output_bus = MemoryBus()
        self._database = Database(world)
        self.journal = Journal(self._database, self._bus, LIMITS.compare_s, self._output_bus)  # type: ignore[arg-type]
        self._wheel = Wheel()
        self._metrics: Metrics = SimpleNamespace(connections=0, sent=_nothing, refused=_nothing)  # type: ignore[assignment]
        self.sockets: list[Pipe] = []

    def publish(self, log: Log, seq: int) -> None:
        """An event was committed: tell the bus, which may lose it, or get it late."""
        world = self._world

        def tell() -> None:
            if seq == 1 and log.run == 1:
                self.journal.arrived(log.id, log.owner)
            elif seq == 1:
                self.journal.began_again(log.number, log.owner)
            self._bus.publish(log.id, records_of(log, seq, seq))

        def tell_output() -> None:
            if pieces := printed_by(log, seq, seq):
                self._output_bus.publish(log.id, pieces)

        if world.output and not world.faulty(world.p_bus):
            tell_output()

        if world.faulty(world.p_bus / 2):
            return
        if world.faulty(world.p_bus / 2):
            asyncio.get_running_loop().call_later(3.0 * world.rng.random(), tell)
        else:
            tell()

    def admit(self, pipe: Pipe, cursor: str | None) -> None:
        """Let a client watch, as `subcli.server.gateway.gateway.Gateway` does."""
        wanted = Wanted(OWNER, self._world.problem)
        after = None if cursor is None else Cursor.of(cursor)
        output = self._world.output
        feed = FeedReader(self._database, self.journal, wanted, after, 10_000, with_output=output)  # type: ignore[arg-type]
        stack = AsyncExitStack()
        stack.callback(feed.close)
        self.sockets.append(pipe)
        socket: ServerSocket = pipe  # type: ignore[assignment]
        watcher = Watcher(socket, feed, self._wheel, LIMITS, self._metrics, None, feed.hear)
        pipe.watcher = watcher
        watcher.start(held=stack)

    async def compare(self) -> None:
        await asyncio.gather(self.journal.compare_positions(), self.journal.compare_output())

    def stop(self) -> None:
        for pipe in self.sockets:
            pipe.cut(1012)


def _nothing(*_: object) -> None:
    return


class Pipe:
    """The socket between the two halves, as either sees it: frames that arrive later, and are cut at some point."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._to_client: deque[tuple[float, str | int]] = deque()
        self._to_server: deque[str] = deque()
        self._arrived = asyncio.Event()
        self._when_filled: Callable[[], object] | None = None
        self._last_at = now()
        self._is_full = False
        self._seqs: dict[int, int] = {}
        self._whole: set[int] = set()
        self.disorder = ""
        self.watcher: Watcher | None = None
        self.is_cut = False
        self.gone = False
        self.frozen = False
        self.tasks: set[asyncio.Task[None]] = set()
        if world.faulty(world.p_cut):
            after_s = world.rng.choice((0.0, 0.5, 5.0, 40.0)) * world.rng.random()
            way = world.rng.choice((self.freeze, lambda: self.cut(world.rng.choice(CODES)), lambda: self.cut(1006)))
            asyncio.get_running_loop().call_later(after_s, way)

    # -- what befalls it --

    def cut(self, code: int) -> None:
        if not self.is_cut:
            self.is_cut = True
            self._put(code)
            if self.watcher is not None:
                self.watcher.end(None)

    def freeze(self) -> None:
        self.frozen = True

    # -- the server's end (`ServerSocket`) --

    def send_now(self, frames: bytes) -> bool:
        if self.is_cut or self._is_full:
            return False
        self._is_full = self._world.rng.random() < 0.05
        for text in _texts(frames):
            self._deliver(text)
        return True

    async def send_records(self, records: Sequence[Record]) -> None:
        if self._world.rng.random() < 0.3:
            # There is no room for a while.
            await asyncio.sleep(self._world.latency_s)
        self._is_full = False
        if self.is_cut:
            raise DisconnectedError
        for each in records:
            self._deliver(each.text)

    async def send_text(self, text: str) -> None:
        self._deliver(text)

    def _deliver(self, text: str) -> None:
        """Send a frame to the client; while things are faulty it may get lost, come twice or late."""
        world = self._world
        if '"seq"' in text:
            event = json.loads(text)
            number, seq = event["submission_id"], event["seq"]
            if seq == 1 and number in self._whole:
                # The next run.
                self._seqs[number] = 0
            if event["type"] == "complete":
                self._whole.add(number)
            if seq != self._seqs.get(number, seq - 1) + 1:
                self.disorder = f"the server sent #{number} {seq} after {self._seqs[number]}"
            self._seqs[number] = seq
        if '"seq"' in text and world.faulty(world.p_noise):
            way = world.rng.choice(("lost", "twice", "late"))
            if way == "lost":
                return
            if way == "late":
                asyncio.get_running_loop().call_later(2.0 * world.rng.random(), self._put, text)
                return
            self._put(text)
        self._put(text)

    def _put(self, what: str | int) -> None:
        if not self.gone:
            self._last_at = max(self._last_at, now() + self._world.latency_s)
            self._to_client.append((self._last_at, what))
            self._arrived.set()

    def has_arrived(self) -> bool:
        return bool(self._to_server)

    async def receive_text(self) -> str:
        return self._to_server.popleft()

    def when_filled(self, call: Callable[[], object]) -> None:
        self._when_filled = call

    def begin(self, work: Coroutine[Any, Any, None], context: Context) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, context=context)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def close_in_time(self, code: int, reason: str, seconds: float) -> None:
        self.cut(int(code))

    def finished(self) -> None:
        self.watcher = None

    def ping_now(self) -> None:
        """A ping frame tells the client nothing."""

    # -- the client's end (`OpenSocket`) --

    @property
    def last_byte_at(self) -> float:
        return self._last_byte_at

    _last_byte_at = 0.0

    async def receive(self) -> Any:
        raise NotImplementedError


class ServerEnd(Pipe):
    """The pipe with the methods that both ends have under one name, as the server calls them."""

    async def receive(self) -> str:
        return await self.receive_text()

    def ping(self) -> None:
        return


class ClientEnd:
    """The pipe as the client calls it."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self.last_byte_at = now()

    async def receive(self) -> list[str | bytes]:
        pipe = self._pipe
        assert not pipe.gone, "reading a socket that is gone"
        while True:
            due = [each for each in pipe._to_client if each[0] <= now()]
            if pipe.frozen:
                await asyncio.sleep(1e6)
            if due:
                break
            if pipe._to_client:
                await asyncio.sleep(pipe._to_client[0][0] - now())
                continue
            pipe._arrived.clear()
            await pipe._arrived.wait()
        self.last_byte_at = now()
        texts: list[str | bytes] = []
        while pipe._to_client and pipe._to_client[0][0] <= now():
            what = pipe._to_client[0][1]
            if isinstance(what, int):
                if texts:
                    break
                pipe.gone = True
                raise Disconnected(Closed(what, "", None))
            texts.append(what)
            pipe._to_client.popleft()
        return texts

    async def send(self, text: str) -> None:
        await asyncio.sleep(0)
        pipe = self._pipe
        assert not pipe.gone, "writing to a socket that is gone"
        if pipe.frozen or pipe.is_cut:
            return
        pipe._to_server.append(text)
        if pipe._when_filled is not None:
            asyncio.get_running_loop().call_later(pipe._world.latency_s, pipe._when_filled)

    async def ping(self) -> None:
        await self.send("ping")

    async def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        self._pipe.gone = True
        self._pipe.cut(1006)


def _texts(frames: bytes) -> list[str]:
    """The texts in unmasked frames (RFC 6455, section 5.2)."""
    texts = []
    while frames:
        size, begins = frames[1], 2
        if size == 126:
            size, begins = int.from_bytes(frames[2:4], "big"), 4
        texts.append(frames[begins : begins + size].decode())
        frames = frames[begins + size :]
    return texts


# -- what is between them -------------------------------------------------------------------------------


class Server:
    """Gateways, REST and logins, for one client."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.gateway = Gateway(world)
        self.dials: list[float] = []
        self.pipes: list[Pipe] = []
        self.limits = self.failures = self.refusals = 0
        self._renewed_at = 0.0

    async def judge(self) -> None:
        """Let everything happen at its time."""
        comparing = asyncio.create_task(self.gateway.compare())
        events = [(at, log, seq) for log in self.world.all_runs for seq, at in enumerate(log.times, 1) if at > BEGAN]
        restarts: list[tuple[float, Log | None, int]] = [(at, None, 0) for at in self.world.restarts]
        try:
            for at, log, seq in sorted([*events, *restarts], key=lambda each: each[0]):
                await asyncio.sleep(max(0.0, at - now()))
                if log is not None:
                    self.gateway.publish(log, seq)
                    continue
                self.gateway.stop()
                comparing.cancel()
                self.gateway = Gateway(self.world)
                comparing = asyncio.create_task(self.gateway.compare())
            await asyncio.Event().wait()
        finally:
            comparing.cancel()

    async def dial(self, cursor: str | None) -> ClientEnd:
        world = self.world
        self.dials.append(now())
        await asyncio.sleep(world.latency_s)
        if world.faulty(world.p_dial):
            if world.rng.random() < 0.5:
                raise Disconnected(Lost("no route", reached=world.rng.random() < 0.5))
            status = world.rng.choice(STATUSES)
            self.limits += status == 429
            raise Disconnected(Refused(status, "no"))
        if not self._is_valid:
            self.refusals += 1
            raise Disconnected(Closed(4003, "token expired"))
        pipe = ServerEnd(world)
        self.pipes.append(pipe)
        self.gateway.admit(pipe, cursor)
        return ClientEnd(pipe)

    # -- logins --

    @property
    def _is_valid(self) -> bool:
        return not any(self._renewed_at < expiry <= now() for expiry in self.world.expiries)

    def token(self) -> Secret | None:
        return Secret("token")

    async def refresh(self, refused: Secret | None) -> Refreshed:
        self._renewed_at = now()
        return Refreshed(ok=True)

    # -- REST --

    async def latest(self) -> list[dict[str, Any]]:
        await self._request()
        found = [log for log in self.world.wanted if log.times[0] <= now()]
        return [self._row(log.latest()) for log in reversed(found)]

    async def events(self, submission_id: int, after_seq: int, epoch: str | None = None) -> EventLog:
        await self._request()
        log = self.world.logs[submission_id - 1].under(epoch)
        told = [json.loads(text) for text in log.texts[: log.happened_by(now())]]
        return EventLog(told[after_seq:], log.epoch, len(told))

    async def output(self, submission_id: int, output_after: int, epoch: str | None = None) -> list[dict[str, Any]]:
        await self._request()
        log = self.world.logs[submission_id - 1].under(epoch)
        if log.following is not None and log.following.times[0] <= now():
            return []
        return [json.loads(each.text) for each in printed_by(log, 0, log.happened_by(now()))[output_after:]]

    def _row(self, log: Log) -> dict[str, Any]:
        count = log.happened_by(now())
        status = "completed" if count == len(log.texts) else "testing"
        return {"submission_id": log.id, "status": status, "last_seq": count, "epoch": log.epoch}

    async def _request(self) -> None:
        world = self.world
        await asyncio.sleep(world.latency_s)
        if world.faulty(world.p_rest):
            self.failures += 1
            status = world.rng.choice((None, 500, 503, 429))
            self.limits += status == 429
            raise RequestFailed(RestFailed(status, "in vain"))
        if not self._is_valid:
            self.refusals += 1
            raise RequestFailed(RestFailed(401, "expired"))

    def alone(self, watch: Watch) -> Alone:
        return Alone(self.world, watch)


class Alone:
    """The session of one submission, followed without the feed."""

    def __init__(self, world: World, watch: Watch) -> None:
        self._log = world.logs[watch.submission_id - 1].under(watch.epoch)
        self._watch = watch

    async def batches(self) -> AsyncGenerator[Sequence[Shown], None]:
        while self._watch.verdict is None:
            after, count = self._watch.last_seq, self._log.happened_by(now())
            for text in self._log.texts[after:count]:
                yield self._watch.receive(text).events
            await asyncio.sleep(1.0)


# -- playing --------------------------------------------------------------------------------------------


@dataclass
class Course:
    """What the user of a feed saw, of each run by the name of its log."""

    shown: dict[str, list[int]] = field(default_factory=dict)
    printed: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """The pieces that were shown, each with the last event before it."""
    shown_at: dict[tuple[str, int], float] = field(default_factory=dict)
    left: dict[str, SubcliError | None] = field(default_factory=dict)
    running: dict[int, str] = field(default_factory=dict)
    states: list[Connection] = field(default_factory=list)
    error: SubcliError | None = None
    listed_at: float = float("inf")
    asked_at: float = float("inf")
    """From when on new runs are announced."""
    ended_at: float = 0.0
    ended: bool = False
    was_given_up: bool = False


def play(seed: int) -> Course:
    """Play the schedule of a seed and judge it.

    Raises:
        BrokenPromise: with what was broken, and the command that plays it again.
    """
    world = make(seed)
    course = Course()
    server_of: list[Server] = []
    try:
        virtual.run(_follow(world, course, server_of), began=BEGAN)
        check(world, server_of[0], course)
    except Exception as error:
        said = str(error) if isinstance(error, AssertionError) else repr(error)
        again = f"python -m tests.simulation --feed --seed {seed}"
        raise BrokenPromise(f"seed {seed} (feed): {said}\n  again: {again}") from error
    return course


async def _follow(world: World, course: Course, server_of: list[Server]) -> None:
    server = Server(world)
    server_of.append(server)
    session = FeedSession(
        Feed(output=world.output),
        server,
        server.dial,
        server,
        server.alone,
        max_attempts=world.max_attempts,
        wall=lambda: 1.7e9 + now(),
        random=world.rng.random,
    )
    judging = asyncio.create_task(server.judge())
    reading = asyncio.create_task(_read(world, session, course))
    done, _ = await asyncio.wait({reading}, timeout=world.deadline - now())
    course.ended = bool(done)
    course.ended_at = now()
    for task in (reading, judging):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    # Let the sockets of the server's side end, and its last late frames arrive.
    await asyncio.sleep(10.0)
    assert not any(pipe.tasks or pipe.watcher for pipe in server.pipes), "a watcher is left"
    assert not server.gateway.journal._bus.watched(), "a subscription is left"


async def _read(world: World, session: FeedSession, course: Course) -> None:
    try:
        async with aclosing(session.batches()) as batches:
            async for batch in batches:
                for item in batch:
                    _note(item, course)
                    if world.reader_s:
                        await asyncio.sleep(world.reader_s)
                if session.feed.cursor is not None:
                    course.listed_at = min(course.listed_at, now())
                if session.feed.runs is not None:
                    course.asked_at = min(course.asked_at, now())
    except SubcliError as error:
        course.error = error


def _note(item: Any, course: Course) -> None:
    if isinstance(item, Connection):
        course.states.append(item)
        course.was_given_up = course.was_given_up or item.state == "polling"
        return
    number, name = item.watch.submission_id, item.watch.epoch
    assert name not in course.left, f"{name} after its end"
    match item:
        case Joined():
            assert name not in course.shown, f"{name} joined twice"
            assert number not in course.running, f"{name} joined before the end of {course.running[number]}"
            course.shown[name] = []
            course.running[number] = name
        case Left(_, error):
            course.left[name] = error
            del course.running[number]
        case _:
            assert name in course.shown, f"{name} before it joined"
            seqs: list[int] = []
            for event in item.events:
                if isinstance(event, Output):
                    last = (seqs or course.shown[name] or [0])[-1]
                    course.printed.setdefault(name, []).append((event.output_seq or 0, last))
                elif not isinstance(event, Connection):
                    seqs.append(event.seq or 0)
            course.shown[name] += seqs
            course.shown_at |= {(name, seq): now() for seq in seqs}


def check(world: World, server: Server, course: Course) -> None:
    """Check the promises."""
    assert course.ended, f"no end by {world.deadline - BEGAN:.0f} s; {course.states[-3:]}"
    for earlier, later in zip(server.dials, server.dials[5:], strict=False):
        assert later - earlier >= 10.0 - 1e-6, f"6 connects in {later - earlier:.2f} s"
    wanted = {run.epoch: run for log in world.wanted for run in log.runs}
    for name, seqs in course.shown.items():
        assert name in wanted, f"{name} does not match"
        log = wanted[name]
        assert seqs == list(range(1, len(seqs) + 1)), f"{name} showed {seqs}"
        if name in course.left and course.left[name] is None:
            assert len(seqs) == len(log.texts), f"{name} ended after {len(seqs)} of {len(log.texts)} events"
        _check_output(world, course, log)
    for pipe in server.pipes:
        assert not pipe.disorder, pipe.disorder
    _check_error(world, server, course)
    _check_delays(world, course)
    if course.error is None:
        assert set(course.left) == set(course.shown), "an end is missing"
        assert not any(course.left.values()), f"{course.left}"
    _check_joined(world, course)


def _check_delays(world: World, course: Course) -> None:
    """Long after the last fault, every event is shown when it happens."""
    steady_at = max(world.healed_at, *world.expiries, 0.0) + STEADY_AFTER_S
    if world.reader_s or course.was_given_up or course.error is not None:
        return
    for run in (run for log in world.wanted for run in log.runs):
        for seq, at in enumerate(run.times, 1):
            shown_at = course.shown_at.get((run.epoch, seq))
            if shown_at is not None and at > max(steady_at, course.listed_at):
                assert shown_at - at <= 4 * world.latency_s + 1.0, f"{run.epoch} {seq} came {shown_at - at:.1f} s late"


def _check_error(world: World, server: Server, course: Course) -> None:
    """An error needs a cause."""
    match course.error:
        case None:
            return
        case NotFoundError():
            assert not course.shown, "nothing runs, although something was followed"
        case RateLimitedError():
            assert server.limits or world.p_cut, "limited without a limit"
        case AuthError():
            assert server.refusals > 1, "not logged in without a refusal"
        case NetworkError() | ServerError():
            assert now_failed(world, server), f"gave up without a reason: {course.error}"


def now_failed(world: World, server: Server) -> bool:
    return bool(server.failures or (world.p_dial and not server.pipes))


def _check_output(world: World, course: Course, log: Log) -> None:
    """Only who asks gets what is printed: each piece once, after the event that it follows and before the next."""
    printed = course.printed.get(log.epoch, [])
    numbers = [number for number, _ in printed]
    assert world.output or not printed, f"{log.epoch} printed {numbers}, and nobody asked"
    assert numbers == list(range(1, len(numbers) + 1)), f"{log.epoch} printed {numbers}"
    for number, last in printed:
        after = log.pieces[number - 1][0] - 1
        # If an event gets lost on the way, its pieces are fetched, and others may have come meanwhile.
        assert last == after or (world.p_noise and last > after), f"{log.epoch} printed {number} after event {last}"
    # A frame that overtakes others, which no socket allows, may bring the verdict before what is fetched.
    # What a run before the latest has printed is gone.
    is_whole = not (world.p_noise or course.was_given_up or log.following is not None)
    if world.output and is_whole and log.epoch in course.left and course.left[log.epoch] is None:
        assert len(numbers) == len(log.pieces), f"{log.epoch} ended after {len(numbers)} of {len(log.pieces)} pieces"


def _check_joined(world: World, course: Course) -> None:
    """Who had ended before does not join; who ran at the beginning does, and so does who came or began again later."""
    for run in (run for log in world.wanted for run in log.runs):
        if run.times[-1] <= BEGAN:
            assert run.epoch not in course.shown, f"{run.epoch} had ended before"
        if course.error is not None or course.was_given_up:
            continue
        # Of several runs that begin while nothing is connected, the latest is announced.
        until = course.ended_at if run.following is None else min(course.ended_at, run.following.times[0])
        ran_at_first = run.times[0] <= BEGAN and run.times[-1] > min(course.listed_at, course.ended_at)
        came_in_time = max(run.times[0], world.healed_at) + JOINS_WITHIN_S < until
        known_from = course.listed_at if run.run == 1 else course.asked_at
        if ran_at_first or (came_in_time and run.times[0] > known_from):
            assert run.epoch in course.shown, f"{run.epoch} is missing"
