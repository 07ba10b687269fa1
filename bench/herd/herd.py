"""Are all verdicts right while workers are ill, restarted and killed? `python -m bench.herd`

Two gateways with logins and two workers share PostgreSQL and Redis; a third worker has a temporary directory that is
full. Users submit code whose verdict is known, one of them many at once. Meanwhile the gateways are restarted one after
the other, one worker is stopped with SIGTERM and the other killed with SIGKILL, each while it judges, and started
again. Each submission has a watcher that reconnects as `subcli` does. Read from the log at the end: the verdicts, how
long what was interrupted took until it was under way again, and how long users waited for their judging to begin.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import httpx
from sqlalchemy import Engine, func, select

from bench.crowd import need_files, quantile, watch
from bench.processes import free_port
from subcli.core.backoff import backoff
from subcli.judge.sandbox import Sandbox
from subcli.judge.sandbox.choice import SandboxError, choose
from subcli.server import ServerLimits
from subcli.server.accounts.accounts import Accounts
from subcli.server.accounts.passwords import Passwords
from subcli.server.log.database import open_database
from subcli.server.log.requeue import AGAIN, CONTENDED, LOST, NO_LONGER_ABLE, STOPPED
from subcli.server.log.tables import attempts, events, submissions
from subcli.server.settings import PasswordCost
from tests.backends import Postgres, RedisServer

KEY: Final = "the key of the herd, known to both of its gateways"
PASSWORD: Final = "correct horse"
MANY: Final = "user0"
CASES: Final = 2
PROBLEM: Final = f"""
id = 77
slug = "sums"
title = "Sums"
description = "description.md"
runner = "tap"
command = ["{{python}}", "-I", "-S", "run.py"]
total_tests = {CASES}

[languages.python]
source = "sums.py"
build = ["{{python}}", "-I", "-S", "-m", "py_compile", "{{sources}}"]
run = ["{{python}}", "-I", "-S", "{{source}}"]
"""
# It waits rather than computes, so that two cores can judge several at once.
TESTS: Final = """
import os, subprocess, time
cases = ((1, 2), (40, 2))
print("TAP version 14")
print(f"1..{len(cases)}", flush=True)
for number, (one, other) in enumerate(cases, 1):
    time.sleep(PAUSE)
    done = subprocess.run([os.environ["SUBCLI_SOLUTION"]], input=f"{one} {other}", capture_output=True, text=True)
    passed = done.returncode == 0 and done.stdout.split() == [str(one + other)]
    print("ok" if passed else "not ok", number, "- Sum", one, other, flush=True)
"""
SOLUTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "right": ("print(sum(map(int, input().split())))", "passed"),
    "right, after a tenth of a second": (
        "import time\ntime.sleep(0.1)\nprint(sum(map(int, input().split())))",
        "passed",
    ),
    "wrong": ("print(sum(map(int, input().split())) + 1)", "failed"),
    "raises": ("raise SystemExit('no')", "failed"),
    "does not compile": ("print(sum(map(int, input().split()))", "build_failed"),
}
WEIGHTS: Final = (50, 20, 15, 10, 5)
_SEQ: Final = re.compile(rb'"seq":([0-9]+)')
_FULL: Final = """
mount -t tmpfs -o size=64m none "$TMPDIR" || exit 9
fill() {
    until [ -e "$TMPDIR.go" ]; do kill -0 $$ || exit; sleep 0.2; done
    cat /dev/zero > "$TMPDIR/filling"
}
fill > /dev/null 2>&1 &
exec "$@"
"""
"""A directory that only this worker and its children see, so nothing stays behind. It is filled when the worker is
ready: Python takes another one if it is full at the start.
"""
_CAUSES: Final = {
    STOPPED: "SIGTERM",
    LOST: "SIGKILL",
    NO_LONGER_ABLE: "what the worker lacks",
    CONTENDED: "a time-out on a busy machine",
}
"""By what watchers are told."""
_JUDGE_FAILED: Final = "a failure of the judge"


@dataclass
class Followed:
    """A submission, its known verdict, and what its watcher saw."""

    user: str
    kind: str
    submission_id: int = 0
    seqs: list[int] = field(default_factory=list)
    is_over: bool = False
    reconnects: int = 0

    @property
    def expected(self) -> str:
        """The verdict that the judge must give."""
        return SOLUTIONS[self.kind][1]


class Process:
    """A gateway or a worker that can be stopped and started again."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self.name = name
        self._command = command
        self._env = env
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self.pids: list[int] = []

    async def start(self) -> None:
        """Start it and wait until it is ready. Raises SystemExit if it does not get there."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self._env,
            )
        self.pids.append(self._process.pid)
        assert self._process.stdout is not None
        if not await self._process.stdout.readline():
            raise SystemExit(f"{self.name} did not start: {self._log.read_text()[-2000:]}")

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal and wait for the end."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(number)
        await self._process.wait()

    def judged_with(self, worker: str) -> bool:
        """Whether this is the worker of that name, `host:pid:random`."""
        return int(worker.split(":")[-2]) in self.pids


class Herd:
    """The submissions and the processes."""

    def __init__(self, words: argparse.Namespace, folder: Path, database: str, redis: str) -> None:
        self._words = words
        self._folder = folder
        self._engine: Engine = open_database(database)
        self._random = random.Random(words.seed)
        self.ports = (free_port(), free_port())
        self.followed = self._plan()
        self.killed_at: dict[int, float] = {}
        self.repeated = 0
        env = {name: value for name, value in os.environ.items() if not name.startswith("SUBCLI_")}
        env |= {"SUBCLI_DATABASE": database, "SUBCLI_REDIS": redis, "SUBCLI_SECRET_KEY": KEY, "HOME": str(folder)}
        subcli = [sys.executable, "-m", "subcli"]
        problems = ["--problems", str(self._make_problem()), "--log-level", "info"]
        self.gateways = [
            Process(
                f"gateway {number}",
                [
                    *(*subcli, "serve", "--auth", "--no-worker", "--port", str(port), *problems),
                    *("--data-dir", str(folder / f"data{number}")),
                ],
                env,
                folder / f"gateway{number}.log",
            )
            for number, port in enumerate(self.ports, 1)
        ]
        worker = [*subcli, "worker", "--concurrency", str(words.concurrency), "--sandbox", words.sandbox, *problems]
        self.workers = [
            Process(f"worker {number}", worker, env, folder / f"worker{number}.log") for number in range(1, 3)
        ]
        # A sandbox that is started by root runs as somebody else, who has to reach the temporary directory.
        folder.chmod(0o711)
        (folder / "full").mkdir()
        unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
        self.sick = Process(
            "the worker without space",
            [*unshare, "sh", "-c", _FULL, "sh", *worker],
            {**env, "TMPDIR": str(folder / "full")},
            folder / "sick.log",
        )

    def _make_problem(self) -> Path:
        root = self._folder / "problems" / "sums"
        (root / "tests").mkdir(parents=True)
        (root / "problem.toml").write_text(PROBLEM)
        (root / "description.md").write_text("Print the sum.")
        (root / "tests" / "run.py").write_text(TESTS.replace("PAUSE", str(self._words.judging / CASES)))
        return root.parent

    def _plan(self) -> list[Followed]:
        """Who submits what: one user many, the others the rest in turn."""
        words = self._words
        users = [MANY] * words.many
        users += [f"user{1 + number % (words.users - 1)}" for number in range(words.submissions - words.many)]
        return [Followed(user, self._random.choices(list(SOLUTIONS), WEIGHTS)[0]) for user in users]

    def add_users(self) -> None:
        """Passwords are hashed cheaply: the trial is not about them."""
        accounts = Accounts(self._engine, time.time, ServerLimits(), KEY.encode())
        hashed = Passwords(PasswordCost(passes=1, memory_kib=8, lanes=1)).hash(PASSWORD)
        for number in range(self._words.users):
            accounts.add_user(f"user{number}", hashed)

    def fill(self) -> None:
        """Let the temporary directory of the third worker be filled."""
        (self._folder / "full.go").touch()

    async def run(self) -> None:
        """Submit, watch and disturb until every submission has its verdict."""
        tokens = await self._log_in()
        begun = time.monotonic()
        async with asyncio.timeout(self._words.seconds * 4 + 120), asyncio.TaskGroup() as group:
            for each in self.followed:
                moment = self._words.seconds * (0.15 if each.user == MANY else self._random.random())
                group.create_task(self._live(each, tokens[each.user], begun + moment))
            group.create_task(self._restart_gateways(begun))
            group.create_task(self._interrupt_workers(begun))

    async def _log_in(self) -> dict[str, str]:
        tokens = {}
        async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
            for user in sorted({each.user for each in self.followed}):
                form = {"grant_type": "password", "username": user, "password": PASSWORD}
                answer = await http.post(f"http://127.0.0.1:{self.ports[0]}/api/auth/token", data=form)
                tokens[user] = str(answer.raise_for_status().json()["access_token"])
        return tokens

    async def _live(self, each: Followed, token: str, moment: float) -> None:
        await asyncio.sleep(max(0.0, moment - time.monotonic()))
        key = f"{self._random.getrandbits(64):x}"
        body = {"problem": "sums", "language": "python", "source_code": SOLUTIONS[each.kind][0]}
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
        attempt = 0
        async with httpx.AsyncClient(trust_env=False, timeout=30, headers=headers) as http:
            while not each.submission_id:
                with contextlib.suppress(httpx.TransportError):
                    answer = await http.post(f"http://127.0.0.1:{self._port(attempt)}/api/submissions", json=body)
                    if answer.status_code not in (429, 500, 503):
                        each.submission_id = int(answer.raise_for_status().json()["id"])
                        break
                attempt += 1
                self.repeated += 1
                await asyncio.sleep(backoff(attempt, self._random.random()))
        await self._watch(each, token)

    async def _watch(self, each: Followed, token: str) -> None:
        """Reconnect until the verdict, after the last event seen."""
        while not each.is_over:
            closed = asyncio.Event()

            def read(text: bytes) -> None:
                found = _SEQ.search(text)
                if found is not None:
                    each.seqs.append(int(found[1]))
                each.is_over = each.is_over or b'"type":"complete"' in text

            def end(_code: int, closed: asyncio.Event = closed) -> None:
                closed.set()

            after = each.seqs[-1] if each.seqs else 0
            path = f"/ws/submissions/{each.submission_id}?token={token}&after_seq={after}"
            with contextlib.suppress(OSError, TimeoutError):
                await watch(self._port(each.reconnects + each.submission_id), path, read, end)
                await closed.wait()
            if not each.is_over:
                each.reconnects += 1
                await asyncio.sleep(backoff(1, self._random.random()))

    def _port(self, number: int) -> int:
        return self.ports[number % len(self.ports)]

    async def _restart_gateways(self, begun: float) -> None:
        """One after the other."""
        for part, gateway in zip((0.25, 0.4), self.gateways, strict=True):
            await self._until(begun, part)
            await gateway.stop()
            await gateway.start()
            print(f"{gateway.name} was restarted", flush=True)

    async def _interrupt_workers(self, begun: float) -> None:
        """One with SIGTERM, then the other with SIGKILL, both while they judge."""
        stopped, killed = self.workers
        await self._until(begun, 0.2)
        held = await self._judging(stopped)
        await stopped.stop()
        await stopped.start()
        print(f"{stopped.name} got SIGTERM while it judged {len(held)}, and was started again", flush=True)
        await self._until(begun, 0.5)
        held = await self._judging(killed)
        self.killed_at |= dict.fromkeys(held, time.time())
        await killed.stop(signal.SIGKILL)
        await killed.start()
        print(f"{killed.name} got SIGKILL while it judged {len(held)}, and was started again", flush=True)

    async def _until(self, begun: float, part: float) -> None:
        await asyncio.sleep(max(0.0, begun + part * self._words.seconds - time.monotonic()))

    async def _judging(self, worker: Process) -> list[int]:
        """Wait until a worker judges something, and say what; nothing if the others have done it all."""
        host = f"{socket.gethostname()}:{worker.pids[-1]}:%"
        query = select(submissions.c.id).where(
            submissions.c.final_status.is_(None),
            submissions.c.lease_until.is_not(None),
            submissions.c.lease_owner.like(host),
        )
        for _ in range(500):
            with self._engine.connect() as connection:
                if found := list(connection.execute(query).scalars()):
                    return found
            await asyncio.sleep(0.02)
        return []

    async def close(self) -> None:
        """Stop what runs."""
        for process in (*self.workers, self.sick, *self.gateways):
            if process.pids:
                await process.stop()
        self._engine.dispose()

    def keep_logs(self, directory: Path) -> None:
        """Copy what the processes logged."""
        directory.mkdir(parents=True, exist_ok=True)
        for log in self._folder.glob("*.log"):
            shutil.copy(log, directory)

    # -- the report ----------------------------------------------------------------------------------

    def report(self) -> bool:
        """Print what the log says. False if a verdict is wrong, or a watcher missed something."""
        logs: dict[int, list[dict[str, Any]]] = {}
        with self._engine.connect() as connection:
            for row in connection.execute(select(events).order_by(events.c.submission_id, events.c.seq)):
                logs.setdefault(row.submission_id, []).append(json.loads(row.payload))
            claims = [row.worker for row in connection.execute(select(attempts.c.worker))]
            first_claim = func.min(attempts.c.started_at)
            waited = select(submissions.c.id, submissions.c.created_at, first_claim).join(attempts)
            spans = {row[0]: (row[1], row[2]) for row in connection.execute(waited.group_by(submissions.c.id))}
        right = 0
        for each in self.followed:
            given = logs[each.submission_id][-1].get("final_status")
            right += given == each.expected
            if given != each.expected:
                print(f"WRONG: submission {each.submission_id}, {each.kind}: {given}, not {each.expected}")
                for event in logs[each.submission_id]:
                    if event.get("status") != "pending" or "detail" in event:
                        print(f"    {json.dumps(event)[:400]}")
        given = Counter(logs[each.submission_id][-1].get("final_status") for each in self.followed)
        print(f"right verdicts: {right} of {len(self.followed)}; `error`: {given['error']}; {dict(given)}")
        self._report_interrupted(logs)
        self._report_waiting(spans)
        workers = (*self.workers, self.sick)
        shares = {process.name: sum(map(process.judged_with, claims)) for process in workers}
        print(f"claims by worker: {shares}")
        told = sum("queue_position" in event for log in logs.values() for event in log)
        print(f"events that told a place in the queue: {told}, for {len(claims)} claims")
        whole = sum(each.is_over and each.seqs == list(range(1, len(each.seqs) + 1)) for each in self.followed)
        reconnects = sum(each.reconnects for each in self.followed)
        print(f"watchers with every event once and in order: {whole} of {len(self.followed)}; reconnects: {reconnects}")
        print(f"submitting was repeated, because a gateway was restarting or busy: {self.repeated} times")
        return right == whole == len(self.followed)

    def _report_interrupted(self, logs: Mapping[int, Sequence[Mapping[str, Any]]]) -> None:
        """How long it took from an interruption until the next attempt was under way, by its cause."""
        found: dict[str, list[float]] = {cause: [] for cause in (*_CAUSES.values(), _JUDGE_FAILED)}
        for submission_id, log in logs.items():
            for number, event in enumerate(log):
                if event.get("status") != "pending" or (cause := interrupted_by(str(event.get("detail")))) is None:
                    continue
                since = moment(event)
                if cause == _CAUSES[LOST]:
                    # Its watchers are told when its lease has expired; it is interrupted from the kill on.
                    since = self.killed_at.get(submission_id, since)
                again = (each for each in log[number:] if each.get("status") in ("building", "testing"))
                if (first := next(again, None)) is not None:
                    found[cause].append(moment(first) - since)
        for cause, took in found.items():
            most = f"; under way again after {min(took):.1f} to {max(took):.1f} s" if took else ""
            print(f"interrupted by {cause}: {len(took)}{most}")

    def _report_waiting(self, spans: Mapping[int, tuple[float, float]]) -> None:
        """How long users waited, and whether each was served in turn.

        Only those count who handed in while the one with many was waiting: nobody stood in the way of the others. Turns
        do not depend on how quick the workers are: while a submission waits, one of each other user's may be taken, and
        one more for each that its own user handed in before and that waits as well.

        Args:
            spans: by submission, when it was handed in and when a worker first took it, as Unix times.
        """
        users = {each.submission_id: each.user for each in self.followed}
        many = sorted(span for number, span in spans.items() if users[number] == MANY)
        over = max(taken for _, taken in many)
        beside = {
            number: span for number, span in spans.items() if users[number] != MANY and many[0][0] < span[0] < over
        }
        rows = ((f"the one with {len(many)} at once", many), (f"{len(beside)} of others meanwhile", beside.values()))
        for who, waits in rows:
            took = [taken - handed_in for handed_in, taken in waits] or [0.0]
            p50, p95 = quantile(took, 0.5), quantile(took, 0.95)
            print(f"waited until judging began, {who}: p50 {p50:.1f} s, p95 {p95:.1f} s, longest {max(took):.1f} s")
        passed, too_many = [0], 0
        for number, (handed_in, taken) in beside.items():
            before = sum(
                users[other] == users[number] and span[0] < handed_in < span[1] for other, span in spans.items()
            )
            passed.append(sum(handed_in < each < taken for _, each in many))
            too_many += passed[-1] > 1 + before
        print(f"of the one's, taken while one of the others' waited: {max(passed)} at most; out of turn: {too_many}")


def interrupted_by(detail: str) -> str | None:
    """Why a judging was begun again, from what its watchers were told; None if that was something else."""
    return _JUDGE_FAILED if f"{AGAIN}, try " in detail else _CAUSES.get(detail)


def moment(event: Mapping[str, Any]) -> float:
    """The Unix time of an event, in seconds."""
    return datetime.fromisoformat(str(event["timestamp"])).timestamp()


def usable_sandbox() -> str:
    """Bubblewrap where it works."""
    try:
        return str(choose(Sandbox.AUTO, for_others=True, concurrency=1, hidden=()).name.value)
    except SandboxError:
        return "none"


async def main() -> None:
    """Run the trial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--submissions", type=int, default=300)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--many", type=int, default=40, help="submissions of one user at once")
    parser.add_argument("--seconds", type=float, default=60.0, help="in which all submit")
    parser.add_argument("--judging", type=float, default=1.0, help="seconds that the tests of one submission wait")
    parser.add_argument("--concurrency", type=int, default=4, help="of each worker")
    parser.add_argument("--sandbox", choices=["bwrap", "none"], default=None)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep-logs", type=Path, help="copy the processes' logs to this directory")
    words = parser.parse_args()
    words.sandbox = words.sandbox or usable_sandbox()
    need_files(4 * words.submissions + 200)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="subcli-herd-")))
        postgres, redis = Postgres(), RedisServer()
        for backend in (postgres, redis):
            stack.callback(backend.close)
            backend.start()
        herd = Herd(words, folder, postgres.url("postgres"), redis.url())
        herd.add_users()
        try:
            for process in (*herd.gateways, *herd.workers, herd.sick):
                await process.start()
            herd.fill()
            print(f"{words.submissions} submissions of {words.users} users, sandbox: {words.sandbox}", flush=True)
            begun = time.monotonic()
            await herd.run()
            print(f"the last verdict came after {time.monotonic() - begun:.1f} s")
            is_good = herd.report()
        finally:
            await herd.close()
            if words.keep_logs is not None:
                herd.keep_logs(words.keep_logs)
    if not is_good:
        raise SystemExit(1)


if __name__ == "__main__":
    asyncio.run(main())
