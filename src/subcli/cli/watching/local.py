"""Judging on this machine: the judge's events in the place of a server's, for the same loop and the same views."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING

from subcli.client.session import Shown
from subcli.core.submission import LOCAL_ID, Connection
from subcli.core.watch import Watch
from subcli.shared.encoding import encode_any, timestamp

if TYPE_CHECKING:
    from subcli.judge.job import Job
    from subcli.judge.process.starter import Starter

_FOR_ITS_CALLER = ("time_out", "shortage")
"""What the judge tells its caller about the verdict, and no server sends on."""


class LocalSession:
    """A submission that is judged here, followed to its verdict (:class:`subcli.cli.watching.loop.Session`).

    Attributes:
        watch: its state.
        faults: what is wrong with the judge or the problem, in full, for the person in front of this machine.

    Args:
        job: what to judge.
        starter: what the solution's processes run under.
    """

    def __init__(self, job: Job, starter: Starter) -> None:
        self.watch = Watch(LOCAL_ID, problem=job.problem.slug, language=job.language)
        self.faults: list[str] = []
        self._job = job
        self._starter = starter

    async def batches(self) -> AsyncGenerator[Sequence[Shown], None]:
        """Judge, and yield each event when it happens. Closing the iterator kills every process of the submission."""
        from subcli.judge.supervise.engine import judge

        self.watch.connection = Connection("open")
        judging = judge(self._job, starter=self._starter, on_fault=self.faults.append)
        async with contextlib.aclosing(judging) as events:
            seq = 0
            async for event in events:
                seq += 1
                told = {key: value for key, value in event.items() if key not in _FOR_ITS_CALLER}
                stamps = {"submission_id": LOCAL_ID, "seq": seq, "timestamp": timestamp(time.time())}
                # As a text, like a server's: what is not valid must be noticed here as well.
                yield self.watch.receive(encode_any({**told, **stamps})).events
