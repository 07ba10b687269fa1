"""Another platform built from the same specification, with all the habits that were observed (contract, section 6).

Its ``POST /submissions`` answers 200 with ``id`` and no ``submission_id``, and wants ``problem_id``. There is no
``/info``. A bad token closes before accepting: the handshake fails with 403. The first message is ``connected``;
timestamps have no zone; only the bare ``ping`` is answered; a bare ``ping`` of its own wants ``pong``. There is
no ``seq``, no replay, and often no ``complete``: the end is a terminal status in the snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .scripted import TEXT, Answer, Gone, Request, Server, Wire

API = "/api/distributed"
TOKEN_REFUSED = Answer(401, {"detail": "Could not validate credentials"})


def message(kind: str, **fields: Any) -> dict[str, Any]:
    """A message as it writes them: the timestamp without a zone."""
    return {"type": kind, "submission_id": 7, "timestamp": "2026-11-23T10:40:00.123456", **fields}


def result(number: int, status: str = "passed", kind: str = "functional") -> dict[str, Any]:
    """A ``test_result`` with its ids and types."""
    more = (
        {} if status == "passed" else {"error_category": "timeout", "details": {"error": "no leader after 5 s", "x": 1}}
    )
    return message(
        "test_result",
        test_id=number,
        test_name=f"Test {number}",
        test_type=kind,
        status=status,
        duration_ms=100 * number,
        **more,
    )


ANALYSIS = message(
    "error_analysis",
    test_name="Test 2",
    error="timed out",
    analysis={
        "category": "timeout",
        "confidence": 0.9,
        "explanation": "The node did not answer in time.",
        "suggestions": ["Look at the election timeout."],
    },
)


@dataclass
class OtherPlatform:
    """Judges submission 7, which has three tests.

    Attributes:
        failing: the second test fails, and says why in its details.
        unfinished: how many results still run when it says that it has completed; they end a moment later.
        basic: all tests are called Basic; over REST, rows have ids of their own instead of those of the tests.
        statuses_only: the socket sends nothing but statuses.
        reasons: ``error_message`` and ``build_logs`` of the snapshot.
        judges: otherwise the status stays as it is.
        silent: accepts sockets and never sends anything.
        completes: sends ``complete`` at the end.
        token: the only one that it accepts.
        pongs: how often its own ping was answered.
        done: how many results there are.
    """

    failing: bool = False
    judges: bool = True
    silent: bool = False
    completes: bool = False
    unfinished: int = 0
    basic: bool = False
    statuses_only: bool = False
    reasons: dict[str, str] = field(default_factory=dict)
    token: str | None = None
    pace_s: float = 0.3
    without_results: bool = False
    pongs: int = 0
    done: int = 0
    status: str = "building"
    posted: list[Request] = field(default_factory=list)
    judging: asyncio.Task[None] | None = None
    heard: list[Callable[[dict[str, Any]], None]] = field(default_factory=list)

    def __call__(self, request: Request) -> Answer:
        """REST."""
        if self.token is not None and request.headers.get("authorization") != f"Bearer {self.token}":
            return TOKEN_REFUSED
        path = request.path.removeprefix(API).partition("?")[0]
        if path == "/problems":
            languages = {"supported_languages": ["python", "go"]}
            titles = {3: "Leader Election", 4: "Log Replication"}
            return Answer(200, [{"id": number, "title": title, **languages} for number, title in titles.items()])
        if path == "/submissions" and request.method == "POST":
            self.posted.append(request)
            return Answer(200, {"id": 7, "problem_id": 3, "status": "building", "created_at": "2026-11-23T10:39:59"})
        if path == "/submissions/7":
            if not self.completes:
                # Otherwise a client that comes late would never hear of it.
                self.start()
            fields = {"id": 7, "problem_id": 3, "language": "python", "status": self.status, **self.reasons}
            return Answer(200, fields)
        if path == "/submissions" and request.method == "GET":
            return Answer(200, [{"id": 7, "problem_id": 3, "status": self.status}, {"id": 6, "problem_id": 4}])
        if path == "/submissions/7/tests":
            return Answer(200, self.rows())
        return Answer(404, {"detail": "Not Found"})

    def rows(self) -> list[dict[str, Any]]:
        """The results as its REST shows them."""
        if self.without_results:
            return []
        shown = [self.result(number) for number in range(1, self.done + 1)]
        for row in shown[len(shown) - self.unfinished :] if self.unfinished else ():
            row["status"] = "running"
        if self.basic:
            # Its rows have ids of their own, and not those of the socket.
            told = ("test_name", "test_type", "status", "duration_ms")
            return [{"id": 90 + at, **{name: row[name] for name in told}} for at, row in enumerate(shown)]
        names = ("test_id", "test_name", "test_type", "status", "duration_ms", "details")
        return [{name: row[name] for name in names if name in row} for row in shown]

    def result(self, number: int) -> dict[str, Any]:
        """One result."""
        failed = self.failing and number == 2
        kind = "functional" if self.basic and number == 1 else "chaos" if number == 3 else "performance"
        shown = result(number, "failed" if failed else "passed", kind)
        return {**shown, "test_name": "Basic"} if self.basic else shown

    def start(self) -> None:
        """Judge, once somebody looks."""
        if self.judges and self.judging is None:
            self.judging = asyncio.ensure_future(self.judge())

    async def judge(self) -> None:
        """Three tests, one after the other."""
        await asyncio.sleep(self.pace_s)
        self.tell("testing", progress=10, detail="Running tests")
        for number in (1, 2, 3):
            await asyncio.sleep(self.pace_s)
            self.done = number
            if not self.statuses_only:
                self.say(self.result(number))
            if self.failing and number == 2:
                self.say(ANALYSIS)
            self.tell("testing", progress=10 + 30 * number)
        await asyncio.sleep(self.pace_s)
        self.tell("completed", progress=100)
        if self.unfinished:
            await asyncio.sleep(self.pace_s)
            self.unfinished = 0
        if self.completes:
            word = "failed" if self.failing else "passed"
            counts = {"total_tests": 3, "passed": 3 - self.failing, "failed": int(self.failing), "duration_ms": 600}
            self.say(message("complete", final_status=word, summary=counts))

    def tell(self, status: str, **fields: Any) -> None:
        """A new status."""
        self.status = status
        self.say(message("status_update", status=status, **fields))

    def say(self, said: dict[str, Any]) -> None:
        """To every socket that is open; nothing is kept for those that come later."""
        for each in self.heard:
            each(said)

    async def socket(self, wire: Wire) -> None:
        """Its WebSocket half."""
        if self.token is not None and wire.request.query("token") != self.token:
            await wire.refuse(403)
            return
        await wire.accept()
        if self.silent:
            self.start()
            await wire.stay()
            return
        await wire.text({"type": "connected", "message": "Connected to submission 7", "submission_id": 7})
        waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.heard.append(waiting.put_nowait)
        self.start()
        await wire.text("ping")
        listening = asyncio.ensure_future(self.listen(wire))
        try:
            while True:
                await wire.text(await waiting.get())
        finally:
            listening.cancel()
            self.heard.remove(waiting.put_nowait)

    async def listen(self, wire: Wire) -> None:
        """Answer the bare ping, and no other."""
        try:
            while True:
                opcode, payload = await wire.read()
                if (opcode, payload) == (TEXT, b"ping"):
                    await wire.text("pong")
                elif (opcode, payload) == (TEXT, b"pong"):
                    self.pongs += 1
        except Gone:
            return


def profile(server: Server) -> str:
    """The user file that leads to it."""
    return f'[profiles.other]\nserver = "{server.url}"\napi_path = "{API}"\n'
