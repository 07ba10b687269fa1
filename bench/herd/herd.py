"""The processes and the submissions of the trial, and what disturbs them."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import re
import shutil
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Final

import httpx
from sqlalchemy import Engine, select

from bench.crowd import watch
from bench.herd.members import MANY, Followed, Process
from bench.herd.sums import CASES, PROBLEM, SOLUTIONS, TESTS, WEIGHTS
from bench.processes import free_port
from subcli.core.backoff import backoff
from subcli.server import ServerLimits
from subcli.server.accounts.accounts import Accounts
from subcli.server.accounts.passwords import Passwords
from subcli.server.log.database import open_database
from subcli.server.log.tables import submissions
from subcli.server.settings import PasswordCost

KEY: Final = "the key of the herd, known to both of its gateways"
PASSWORD: Final = "correct horse"
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


class Herd:
    """The submissions and the processes."""

    def __init__(self, words: argparse.Namespace, folder: Path, database: str, redis: str) -> None:
        self._words = words
        self._folder = folder
        self.engine: Engine = open_database(database)
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
        accounts = Accounts(self.engine, time.time, ServerLimits(), KEY.encode())
        hashed = Passwords(PasswordCost(passes=1, memory_kib=8, lanes=1)).hash(PASSWORD)
        for number in range(self._words.users):
            accounts.users.add(f"user{number}", hashed)

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
            with self.engine.connect() as connection:
                if found := list(connection.execute(query).scalars()):
                    return found
            await asyncio.sleep(0.02)
        return []

    async def close(self) -> None:
        """Stop what runs."""
        for process in (*self.workers, self.sick, *self.gateways):
            if process.pids:
                await process.stop()
        self.engine.dispose()

    def keep_logs(self, directory: Path) -> None:
        """Copy what the processes logged."""
        directory.mkdir(parents=True, exist_ok=True)
        for log in self._folder.glob("*.log"):
            shutil.copy(log, directory)
