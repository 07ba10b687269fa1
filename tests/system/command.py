"""The installed program as a process of an asyncio test, with everything that it printed kept for the canary."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.hang import HANG_S

from .timing import GRACE_S, Sampler

SUBCLI = [sys.executable, "-m", "subcli"]


@dataclass
class Done:
    """How a command ended.

    Attributes:
        took: seconds, from its start.
        ended: monotonic seconds.
        ran_s: seconds that it spent on a CPU.
        late_s: seconds that it waited for a CPU, and that this process was late in looking.
    """

    code: int
    out: str
    err: str
    took: float = 0.0
    ended: float = 0.0
    ran_s: float = 0.0
    late_s: float = 0.0

    @property
    def idle_s(self) -> float:
        """Seconds for which it neither computed nor waited for a CPU: what it waited for on purpose."""
        return self.took - self.ran_s - self.late_s

    @property
    def allowance_s(self) -> float:
        """How much later than promised something in its course may have happened, as measured."""
        return GRACE_S + self.late_s

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines of ``--json``."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def last(self) -> dict[str, Any]:
        """The last line of ``--json``."""
        return self.lines[-1]

    def of(self, *types: str) -> list[dict[str, Any]]:
        """The lines of these types."""
        return [line for line in self.lines if line["type"] in types]

    @property
    def seqs(self) -> list[int]:
        """Of the server's events, in the order in which they were shown."""
        return [line["seq"] for line in self.lines if "seq" in line]

    def states(self) -> list[str]:
        """The states of the connection, one after the other."""
        return [line["state"] for line in self.of("connection")]


@dataclass
class Commands:
    """Starts the program.

    Attributes:
        env: the environment of each.
        cwd: where each runs.
        printed: everything that any of them wrote.
    """

    env: dict[str, str]
    cwd: Path
    printed: list[str] = field(default_factory=list)

    async def __call__(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        limit: float = HANG_S,
        during: Callable[[asyncio.subprocess.Process], Any] | None = None,
        **options: Any,
    ) -> Done:
        """Run a command to its end.

        Args:
            env: on top of the usual environment.
            limit: seconds after which it counts as hanging.
            during: a coroutine function that is given the process while it runs.
        """
        started = time.monotonic()
        process = await self.start(*arguments, env=env, **options)
        sampler = Sampler(process.pid)
        helping = asyncio.ensure_future(during(process)) if during is not None else None
        try:
            async with asyncio.timeout(limit):
                out, err = await process.communicate()
        except TimeoutError:
            process.kill()
            out, err = await process.communicate()
            raise AssertionError(f"still running after {limit} s: {out!r} {err!r}") from None
        finally:
            await sampler.stop()
            if helping is not None:
                helping.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await helping
        took = time.monotonic() - started
        assert process.returncode is not None
        late_s = sampler.counters.queued_s + sampler.lag_s
        done = Done(
            *(process.returncode, (out or b"").decode(), (err or b"").decode()),
            *(took, time.monotonic(), sampler.counters.ran_s, late_s),
        )
        self.printed += [done.out, done.err]
        return done

    async def start(
        self, *arguments: str, env: Mapping[str, str] | None = None, **options: Any
    ) -> asyncio.subprocess.Process:
        """Start a command. Whoever reads its output puts it into ``printed``."""
        given = {
            "env": {**self.env, **(env or {})},
            "cwd": self.cwd,
            "stdin": asyncio.subprocess.DEVNULL,
            "stdout": asyncio.subprocess.PIPE,
            "stderr": asyncio.subprocess.PIPE,
            **options,
        }
        return await asyncio.create_subprocess_exec(*SUBCLI, *arguments, **given)


def is_running(pid: int) -> bool:
    """Whether a process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
