"""A model of the server and of the way to it: sockets, REST and logins of one world.

Nothing here runs by itself: a socket works out what it has to say when it is asked to. So a schedule costs
what its client does, and a cancelled wait loses nothing.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import deque
from collections.abc import Iterator
from typing import Any

from subcli.client.api import EventLog, ServerInfo
from subcli.client.exchange import RequestFailed
from subcli.client.session import OpenSocket
from subcli.client.transport import Disconnected
from subcli.core.inputs import Blocked, Closed, Lost, Refreshed, Refused, RestFailed
from subcli.shared.protocol import STATUS_RANKS
from subcli.shared.secret import Secret
from tests.simulation.world import CODES, FATAL, INCURABLE, STATUSES, SUBMISSION, Kind, Namesakes, World

NEVER = float("inf")
IDLE_S = 300.0
GARBAGE: tuple[str | bytes, ...] = (
    "{",
    "",
    b"\x00\x01",
    "[]",
    '{"type": "test_result"}',
    '{"type": "complete"}',
    '{"type": "complete", "final_status": "passed", "submission_id": 8}',
    '{"type": "complete", "final_status": "passed", "submission_id": [7]}',
    '{"type": "test_result", "test_name": "forged", "status": "failed", "submission_id": 8, "seq": 1}',
    '{"type": "status_update", "status": 5}',
    "[" * 3000,
)
HARMLESS: tuple[str, ...] = ("ping", "pong", '{"type":"connected"}', '{"type":"news","submission_id":7,"n":nan}')


def now() -> float:
    return asyncio.get_running_loop().time()


class Witness:
    """What the server saw, for the final checks."""

    def __init__(self) -> None:
        self.dials: list[float] = []
        self.troubles: list[tuple[float, str]] = []
        self.delivered: set[int] = set()
        self.rest_failures = 0
        self.output_failures = 0
        self.refusals = 0
        self.limits = 0
        self.not_found = 0
        self.refused_for_good = False
        self.fatal = False
        self.replaced = False
        self.blocked = False
        self.answered_since_open = False
        self.worst_freeze_s = 0.0
        self.sockets: list[ModelSocket] = []
        self.idle_closes = 0

    def trouble(self, kind: str) -> None:
        """A socket was lost, or could not be opened."""
        self.troubles.append((now(), kind))


class Login:
    """Expiring tokens, and one that renews them."""

    def __init__(self, world: World, witness: Witness) -> None:
        self._world = world
        self._witness = witness
        self._renewed_at = 0.0
        self.failed = False

    @property
    def valid(self) -> bool:
        return not any(self._renewed_at < expiry <= now() for expiry in self._world.expiries)

    def token(self) -> Secret | None:
        return Secret("token")

    async def refresh(self, refused: Secret | None) -> Refreshed:
        await asyncio.sleep(self._world.latency_s)
        if self._world.refresh_fails:
            self.failed = True
            return Refreshed(ok=False, hint="log in")
        self._renewed_at = now()
        return Refreshed(ok=True)


class Server:
    """Everything behind the connection, for one client."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = world.rng
        self.witness = Witness()
        self.login = Login(world, self.witness)
        self._info: ServerInfo | None = None

    def faulty(self, probability: float) -> bool:
        return self.world.ailing(now()) and self.rng.random() < probability

    def hidden(self) -> bool:
        """Whether the submission is not found: for good, unless the client submitted it just now."""
        lost = now() >= self.world.lost_at
        self.witness.not_found += lost
        return lost or now() < self.world.visible_at

    # -- the socket -------------------------------------------------------------------------------

    async def dial(self, submission_id: int, after_seq: int, epoch: str | None, output_after: int | None) -> OpenSocket:
        assert submission_id == SUBMISSION
        world, witness = self.world, self.witness
        witness.dials.append(now())
        await asyncio.sleep(world.latency_s)
        if world.away(now()):
            raise self._gone(Lost("refused"))
        if self.faulty(world.p_dial):
            await self._fail_to_dial()
        if not self.login.valid and world.refusal != 4003:
            witness.refusals += 1
            witness.trouble("authentication" if world.refusal == 401 else "perhaps")
            raise Disconnected(Refused(world.refusal, "who are you?"))
        if self.hidden() and self.rng.random() < 0.5:
            witness.trouble("not found")
            raise Disconnected(Refused(404))
        witness.answered_since_open = False
        socket = ModelSocket(self, after_seq, epoch, output_after)
        witness.sockets.append(socket)
        return socket

    async def _fail_to_dial(self) -> None:
        world, rng = self.world, self.rng
        way = rng.choices(("lost", "slow", "status", "incurable", "cut", "certificate"), weights=(4, 1, 4, 1, 2, 0.05))[
            0
        ]
        if way == "slow":
            await asyncio.sleep(10.0 * rng.random())
            if rng.random() < 0.5:
                return
            raise self._gone(Lost("timed out"))
        if way == "lost":
            raise self._gone(Lost("no route"))
        if way == "cut":
            raise self._gone(Lost("cut in the handshake", reached=True))
        if way == "certificate":
            self.witness.blocked = True
            raise Disconnected(Blocked("certificate", "hint"))
        status = rng.choice(STATUSES if way == "status" else INCURABLE)
        told = rng.choice((None, 1.0, 100.0, 1e9)) if status in (429, 503) and rng.random() < 0.5 else None
        if status == 429:
            self.witness.limits += 1
        self.witness.trouble("incurable" if way == "incurable" else "counted")
        raise Disconnected(Refused(status, "no", told if world.ailing(now()) else None))

    def _gone(self, input: Lost) -> Disconnected:
        self.witness.trouble("counted")
        return Disconnected(input)

    # -- REST -------------------------------------------------------------------------------------

    async def info(self) -> ServerInfo:
        if self._info is None:
            await self._request(absent=False)
            known = self.world.kind is Kind.RESUMING
            self._info = ServerInfo(name="model", features=frozenset({"resume", "output"})) if known else ServerInfo()
        return self._info

    async def submission(self, submission_id: int, epoch: str | None = None) -> dict[str, Any]:
        await self._request()
        return self._snapshot()

    async def tests(self, submission_id: int, epoch: str | None = None) -> list[Any]:
        await self._request()
        self.witness.answered_since_open = True
        last: dict[int, dict[str, Any]] = {}
        for event in self.world.present(now()).happened_by(now()):
            if event["type"] == "test_result":
                last[event["nth"]] = event
        # Ids of the rows' own; the ids that the socket gives only where nothing else tells tests apart.
        told = {Namesakes.TYPES: ("test_type",), Namesakes.IDS: ("test_id",)}.get(self.world.namesakes, ())
        return [
            {
                "id": 900 + row,
                "name": event["test_name"],
                "status": event["status"],
                **{name: event[name] for name in told},
            }
            for row, event in enumerate(last.values())
        ]

    async def events(self, submission_id: int, after_seq: int, epoch: str | None = None) -> EventLog:
        assert self.world.kind is Kind.RESUMING
        await self._request()
        present = self.world.present(now())
        told = present.happened_by(now())
        log = [dict(event) for event in told if event["seq"] > after_seq]
        last_seq = log[-1]["seq"] if log else after_seq
        return EventLog(log, present.epoch, min(last_seq, len(told)) if present.epoch else last_seq)

    async def output(self, submission_id: int, output_after: int, epoch: str | None = None) -> list[Any]:
        self.witness.output_failures += 1
        await self._request()
        self.witness.output_failures -= 1
        present = self.world.present(now())
        told = [piece for at, piece in present.pieces if at <= now() < present.forgotten_at]
        return [dict(piece) for piece in told if piece["output_seq"] > output_after]

    def _snapshot(self) -> dict[str, Any]:
        present = self.world.present(now())
        told = present.happened_by(now())
        statuses = [event["status"] for event in told if event["type"] == "status_update"]
        snapshot: dict[str, Any] = {"id": SUBMISSION, "status": statuses[-1] if statuses else "pending"}
        verdicts = [event["final_status"] for event in told if event["type"] == "complete"]
        if present.epoch is not None:
            snapshot |= {"epoch": present.epoch, "last_seq": len(told), "summary": {"log": present.epoch}}
        if self.world.kind is Kind.RESUMING:
            # A verdict left over from an earlier judging must not be believed before the end.
            stale = "passed" if STATUS_RANKS[snapshot["status"]] < 9 and self.rng.random() < 0.2 else None
            snapshot["final_status"] = verdicts[0] if verdicts else stale
            if not verdicts and STATUS_RANKS[snapshot["status"]] == 9:
                # Ours commits the last status and the verdict together.
                snapshot["status"] = "testing"
        return snapshot

    async def _request(self, *, absent: bool = True) -> None:
        """What applies to every request: the network, outages, faults, the login."""
        world, rng = self.world, self.rng
        await asyncio.sleep(world.latency_s)
        if world.away(now()):
            raise self._in_vain(None)
        if self.faulty(world.p_rest):
            way = rng.choices(("none", "status", "hang", "slow", "limit", "oddity"), weights=(3, 4, 1, 1, 1, 1))[0]
            if way == "hang":
                self.witness.rest_failures += 1
                await asyncio.sleep(1e6)
            if way == "slow":
                # Two of these are more than a look may take.
                self.witness.rest_failures += 1
                await asyncio.sleep(9.0 * rng.random())
            elif way == "none":
                raise self._in_vain(None)
            elif way == "limit":
                self.witness.limits += 1
                raise self._in_vain(429, rng.choice((None, 5.0, 60.0, 1e9)))
            else:
                raise self._in_vain(rng.choice((500, 502, 503, 403) if way == "status" else (200, 400, 418)))
        if not self.login.valid:
            self.witness.refusals += 1
            raise self._in_vain(401)
        if absent and self.hidden():
            raise self._in_vain(404)

    def _in_vain(self, status: int | None, told: float | None = None) -> RequestFailed:
        self.witness.rest_failures += 1
        self.witness.refused_for_good |= status in (400, 403, 418)
        return RequestFailed(RestFailed(status, "in vain", told))


class ModelSocket:
    """One open socket. What it will send and how it will end is drawn when it opens."""

    def __init__(self, server: Server, after_seq: int, epoch: str | None, output_after: int | None) -> None:
        self._server = server
        self._world = server.world.present(now())
        self._is_another = self._world.lacks(after_seq, epoch, now())
        self._replaced_with = server.rng.choice((4010, 4010, 1006, 1012)) if self._world.restored else 4010
        self._witness = server.witness
        self._opened_at = now()
        self._after_seq = after_seq
        self.output_after = output_after
        self._repeats = random.Random(f"repeats {server.world.seed} {now()}")
        self._heard_at = now()
        self.said_at = now()
        self._pong_at = NEVER
        self.frozen_at = NEVER
        self.takes_nothing = False
        self.gone = False
        self.script = self._frames()
        self._next: tuple[float, Any] | None = None

    # -- what the client calls --------------------------------------------------------------------

    @property
    def last_byte_at(self) -> float:
        return max(self._heard_at, self._pong_at if self._pong_at <= now() else 0.0)

    def _due(self) -> tuple[float, Any]:
        if self._next is None:
            self._next = next(self.script)
        return self._next

    async def receive(self) -> list[str | bytes]:
        """All frames that have arrived by now, at least one."""
        frames = [await self._frame()]
        while self._due()[0] <= now() < self.cut()[0] and not isinstance(self._due()[1], int):
            frames.append(await self._frame())
        return frames

    async def _frame(self) -> str | bytes:
        while True:
            assert not self.gone, "reading a socket that is gone"
            due, what = self._due()
            cut_at, code = self.cut()
            if min(due, cut_at) > now():
                # Never longer than a while: the other side may have said something meanwhile.
                await asyncio.sleep(min(due - now(), cut_at - now(), 60.0))
                continue
            if cut_at <= due:
                raise self._close(code)
            self._next = None
            self._heard_at = now()
            if isinstance(what, int):
                raise self._close(what)
            if isinstance(what, dict):
                self._witness.delivered.add(what["uid"])
                return json.dumps(what)
            assert isinstance(what, str | bytes)
            return what

    async def send(self, text: str) -> None:
        assert text == "pong"
        await self._said()

    async def ping(self) -> None:
        await self._said()
        if now() < self.frozen_at:
            self._pong_at = now() + max(self._world.latency_s, 1e-6)

    async def _said(self) -> None:
        assert not self.gone, "writing to a socket that is gone"
        if self.takes_nothing:
            await asyncio.sleep(1e6)
        self.said_at = now()
        await asyncio.sleep(0)

    async def close(self) -> None:
        await asyncio.sleep(self._world.latency_s)
        self.abort()

    def abort(self) -> None:
        if not self.gone and self.frozen_at <= now():
            self._witness.worst_freeze_s = max(self._witness.worst_freeze_s, now() - self.frozen_at)
            self._witness.trouble("counted")
        elif not self.gone:
            self._witness.trouble("perhaps")
        self.gone = True

    # -- what befalls it --------------------------------------------------------------------------

    def cut(self) -> tuple[float, int]:
        """When and how the server ends this socket, whatever it was sending; a frozen socket is silent."""
        if self.frozen_at <= now():
            return NEVER, 1006
        cuts = [(began, code) for began, _, code in self._world.outages if began >= self._opened_at]
        cuts.append((self.said_at + IDLE_S, 1001))
        if self._world.restored is not None and self._opened_at < self._world.restored_at:
            cuts.append((self._world.restored_at, self._replaced_with))
        if self._opened_at < self._world.lost_at:
            cuts.append((self._world.lost_at, 1006))
        return min(cuts)

    def _close(self, code: int) -> Disconnected:
        return Disconnected(Closed(code, "", self.account(code)))

    def account(self, code: int) -> float | None:
        """Note how this socket ended, and draw how long the client is asked to wait."""
        witness, rng = self._witness, self._server.rng
        if now() >= self.said_at + IDLE_S:
            witness.idle_closes += 1
        told = None
        kind = "counted"
        if code == 4029:
            witness.limits += 1
            told = rng.choice((None, 3.0, 100.0, 1e9)) if self._world.ailing(now()) else None
        elif code == 4003:
            witness.refusals += 1
            kind = "authentication"
        elif code == 4004:
            kind = "not found"
        elif code == 1009:
            kind = "oversize"
        elif code == 4010:
            witness.replaced = True
        elif code in FATAL:
            witness.fatal = True
        witness.trouble(kind)
        self.gone = True
        return told

    def _frames(self) -> Iterator[tuple[float, Any]]:
        """Pairs of due time and content: an event, a text, bytes, or the code of a close."""
        world, server, rng = self._world, self._server, self._server.rng
        if server.hidden():
            yield now(), 4004
        if not server.login.valid:
            yield now(), 4003
        if self._is_another:
            yield now(), 4010
        ending = self._draw_ending()
        if world.kind is not Kind.RESUMING and rng.random() < 0.5:
            yield now(), '{"type":"connected","submission_id":7}'
        pieces = self._pieces()
        for count, (due, event) in enumerate(self._told()):
            if ending is not None and count >= ending[0]:
                yield from self._end(ending[1])
            yield from self._noise()
            yield from self._printed_before(event.get("seq", 0), pieces)
            yield due, event
        if ending is not None:
            yield from self._end(ending[1])
        if world.events[-1]["type"] == "complete" and (self._opened_at > 0 and rng.random() < 0.8):
            yield max(now(), world.ends_at), 1000
        yield NEVER, 1006

    def _pieces(self) -> deque[tuple[float, dict[str, Any]]]:
        """What this connection is to tell of what is printed."""
        if self.output_after is None or now() >= self._world.forgotten_at:
            return deque()
        return deque((at, piece) for at, piece in self._world.pieces if piece["output_seq"] > self.output_after)

    def _printed_before(
        self, seq: int, pieces: deque[tuple[float, dict[str, Any]]]
    ) -> Iterator[tuple[float, dict[str, Any]]]:
        """The pieces before an event, some of them twice."""
        while pieces and pieces[0][1]["after_seq"] < seq:
            at, piece = pieces.popleft()
            for _ in range(2 if self._repeats.random() < 0.1 else 1):
                yield max(at, self._opened_at), piece

    def _told(self) -> Iterator[tuple[float, dict[str, Any]]]:
        """The events of this connection, with duplicates; with seq also out of order and with holes."""
        world, rng = self._world, self._server.rng
        if world.kind is Kind.MUTE:
            return
        events = [
            (max(at, self._opened_at), event)
            for event, at in zip(world.events, world.times, strict=True)
            if (event["seq"] > self._after_seq if world.kind is Kind.RESUMING else at > self._opened_at)
        ]
        held: tuple[float, dict[str, Any]] | None = None
        for due, event in events:
            fate = rng.random() if self._server.faulty(world.p_noise) else 1.0
            if fate < 0.3:
                yield due, event
                yield due, event
            elif fate < 0.5 and world.kind is Kind.RESUMING:
                continue
            elif fate < 0.8 and world.kind is Kind.RESUMING and held is None:
                held = (due, event)
            else:
                yield due, event
                if held is not None and rng.random() < 0.5:
                    yield due, held[1]
                    held = None

    def _noise(self) -> Iterator[tuple[float, str | bytes]]:
        rng = self._server.rng
        while self._server.faulty(self._world.p_noise / 2):
            for _ in range(rng.choice((1, 1, 1, 5, 19, 25))):
                yield now(), rng.choice(GARBAGE)
            if rng.random() < 0.5:
                yield now(), rng.choice(HARMLESS)

    def _draw_ending(self) -> tuple[int, str | int] | None:
        """Draw after how many events this connection ends, and how."""
        world, rng = self._world, self._server.rng
        if not self._server.faulty(world.p_socket):
            return None
        after = rng.choice((0, 0, 1, 2, rng.randrange(20)))
        if self._server.faulty(world.p_fatal):
            return after, rng.choice(FATAL)
        way = rng.choices(("code", "freeze", "mute", "deaf", "oversize"), weights=(8, 1, 1, 0.5, 0.5))[0]
        return after, rng.choice(CODES) if way == "code" else way

    def _end(self, way: str | int) -> Iterator[tuple[float, Any]]:
        rng = self._server.rng
        if isinstance(way, int):
            yield now() + rng.choice((0.0, 0.0, 1.0, 50.0)) * rng.random(), way
        elif way == "freeze":
            self.frozen_at = now()
            yield NEVER, 1006
        elif way == "mute":
            # Answers pings and tells nothing any more, until it is cut.
            yield now() + 100.0 * rng.random(), 1006
        elif way == "deaf":
            self.takes_nothing = True
            self.frozen_at = now()
            yield now(), "ping"
            yield NEVER, 1006
        else:
            yield now(), 1009
